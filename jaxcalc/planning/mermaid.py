"""What `explain` says of a derivative as a Mermaid diagram, which notebooks and code hosts draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jaxcalc.planning.findings import Findings, Method
from jaxcalc.planning.flow import Station, heading, is_reverse, stations
from jaxcalc.planning.report import costs_in_words, notes_on

_LINES = 10  # of the source; the rest is folded
_CLASSES = (
    "classDef chosen stroke-width:3px",
    "classDef impossible stroke-dasharray:2",
    "classDef fallback stroke:#d55e00,stroke-width:3px,stroke-dasharray:6",
)
_ESCAPED = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;"})


def as_mermaid(found: Findings) -> str:
    """The lines of f, or its parts, what is carried between them, and the methods with their costs."""
    shown = stations(found, _LINES)
    upwards = is_reverse(found)
    lines = [
        "flowchart TB",
        f"subgraph f[{_quoted([heading(found)])}]",
        f"direction {'BT' if upwards else 'TB'}",
        *_flow(shown, upwards=upwards),
        "end",
        'subgraph methods["methods"]',
        *(f"m{i}[{_of_method(method)}]" for i, method in enumerate(found.methods)),
        *(f"fallback{i}[{_quoted(['fallback', text])}]" for i, text in enumerate(found.fallbacks)),
        "end",
        *_CLASSES,
    ]
    marked = {
        "chosen": [f"m{i}" for i, method in enumerate(found.methods) if method.is_chosen],
        "impossible": [f"m{i}" for i, method in enumerate(found.methods) if not method.is_possible],
        "fallback": [f"s{i}" for i, station in enumerate(shown) if station.is_dense]
        + [f"fallback{i}" for i in range(len(found.fallbacks))],
    }
    lines += [f"class {','.join(nodes)} {name}" for name, nodes in marked.items() if nodes]
    return "\n".join(lines)


def _flow(shown: Sequence[Station], *, upwards: bool) -> Iterator[str]:
    """A node for each station, and an arrow to the next one in the direction of the derivative."""
    for i, station in enumerate(shown):
        text = _quoted([station.title, station.detail, station.note])
        yield f"s{i}([{text}])" if station.is_end else f"s{i}[{text}]"
    for i in range(len(shown) - 1):
        start, stop = (i + 1, i) if upwards else (i, i + 1)
        yield f"s{start} -->|{_quoted([shown[start].leaving])}| s{stop}"


def _of_method(method: Method) -> str:
    return _quoted([method.name, ", ".join(costs_in_words(method)), *notes_on(method)])


def _quoted(texts: Sequence[str]) -> str:
    """Lines of text between quotation marks, without what Mermaid would read as more than text."""
    return f'"{"<br/>".join(text.translate(_ESCAPED) for text in texts if text)}"'
