"""Docstrings as the code writes them: plain text, `names` in single backticks, a paragraph "Cost: ...".

A name in single backticks becomes a link where the reference has it, and is code everywhere else.
"""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

_COLON = "\ue000"  # stands for a colon while napoleon looks
_LABEL = re.compile(r"^(Cost|Method): (?=\S)")


def code_or_link(
    _name: str, rawtext: str, text: str, lineno: int, inliner: Any, *_options: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """The role of text in single backticks."""
    shown = nodes.literal(rawtext, text, classes=["code-or-link"])
    if not re.fullmatch(r"[A-Za-z_][\w.]*", text):
        return [shown], []
    environment = inliner.document.settings.env
    link = addnodes.pending_xref(
        rawtext, shown, refdomain="py", reftype="obj", reftarget=text, code_or_link=True
    )
    link["py:module"] = environment.ref_context.get("py:module")
    link["py:class"] = environment.ref_context.get("py:class")
    link.line = lineno
    return [link], []


def no_link(
    _app: Sphinx, _env: Any, node: addnodes.pending_xref, shown: nodes.Node
) -> nodes.Node | None:
    """What is left of a name that the reference does not have."""
    return shown if node.get("code_or_link") else None


def as_restructuredtext(
    _app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    """Escape what would be markup (|x|, the s of "`array`s"), and set "Cost:" and "Method:" in bold."""
    for number, given in enumerate(lines):
        line = lines[number] = given.replace(_COLON, ":")
        if not line.lstrip().startswith((">>>", "...")):
            pieces = re.split(r"(`[^`]*`)", line)
            pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
            pieces[2::2] = [re.sub(r"^(?=\w)", r"\\ ", piece) for piece in pieces[2::2]]
            lines[number] = _LABEL.sub(r"**\1:** ", "".join(pieces))


def hide_colons(
    _app: Sphinx, what: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    """Keep napoleon from taking the words before a colon for the type of a property."""
    if what == "property" and lines:
        lines[0] = lines[0].replace(":", _COLON)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the role and the handlers."""
    app.add_role("code_or_link", code_or_link)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("missing-reference", no_link)
    app.connect("autodoc-process-docstring", hide_colons, priority=100)
    app.connect("autodoc-process-docstring", as_restructuredtext)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
