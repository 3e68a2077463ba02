"""Every notebook is committed executed and clean; `python -m tests.notebooks` makes it so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

from tests.notebooks.clean import LARGEST, NOTEBOOKS, cleaned, faults, written


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_executed_and_clean(path: Path) -> None:
    assert faults(path.read_text("utf-8")) == []


def test_notebooks_are_numbered_in_the_order_in_which_they_are_read() -> None:
    assert [path.name.split("-")[0] for path in NOTEBOOKS] == ["1", "2", "3", "4", "5"]


PICTURE = {"image/png": "aGVsbG8="}


def printed(text: str, name: str = "stdout") -> Any:
    return v4.new_output("stream", name=name, text=text)


def notebook(*outputs: Any, count: int = 1, source: str = "f(x)", alt: str = "") -> Any:
    cell = v4.new_code_cell(source, id="call", execution_count=count, outputs=list(outputs))
    if alt:
        cell.metadata = nbformat.from_dict({"mystnb": {"image": {"alt": alt}}})
    return cleaned(v4.new_notebook(cells=[v4.new_markdown_cell("# A goal", id="goal"), cell]))


def test_a_clean_notebook_has_no_faults() -> None:
    shown = v4.new_output("display_data", data=PICTURE)
    html = v4.new_output("display_data", data={"text/html": "<tr><td>6/2/1</td></tr>"})
    link = printed("see https://example.org/a/b and notebooks/3-structure.ipynb\n")
    assert faults(written(notebook(link, shown, html, alt="A line"))) == []


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (notebook(printed("warning", "stderr")), "writes to stderr"),
        (notebook(printed("in /home/ada/model.py, line 3")), "'/home/ada/model.py'"),
        (notebook(printed("at <object at 0x7f3a12b4c5d0>")), "'0x7f3a12b4c5d0'"),
        (notebook(source="open('/data/a.csv')"), "'/data/a.csv'"),
        (notebook(v4.new_output("error", ename="TypeError", evalue="x")), "ends in TypeError"),
        (notebook(v4.new_output("display_data", data={"application/json": {}})), "application/json"),
        (notebook(v4.new_output("display_data", data=PICTURE)), "a picture without a description"),
        (notebook(count=3), "from the first to the last"),
        (notebook(source=""), "is empty"),
        (notebook(printed("x" * LARGEST)), "more than 400,000"),
    ],
)
def test_each_fault_is_found(made: Any, fault: str) -> None:
    found = faults(written(made))
    assert len(found) == 1
    assert fault in found[0]


def timed(made: Any) -> None:
    made.cells[1].metadata = nbformat.from_dict({"execution": {"iopub.execute_input": "12:00"}})


def other_kernel(made: Any) -> None:
    made.metadata.kernelspec.display_name = "mine"


def in_pieces(made: Any) -> None:
    made.cells[1].outputs[:1] = [printed("a\n"), printed("b\n")]


def with_output_metadata(made: Any) -> None:
    made.cells[1].outputs[1].metadata = nbformat.from_dict({"filenames": {"image/png": "a.png"}})


def with_repr(made: Any) -> None:
    made.cells[1].outputs[1].data["text/plain"] = "Report(file='model.py')"


@pytest.mark.parametrize("spoil", [timed, other_kernel, in_pieces, with_output_metadata, with_repr])
def test_cleaning_leaves_nothing_of_the_run(spoil: Callable[[Any], None]) -> None:
    made = notebook(printed("a\nb\n"), v4.new_output("display_data", data={"text/html": "<p>f</p>"}))
    text = written(made)
    spoil(made)
    assert faults(written(made)) == [
        "its metadata or its layout are not those that `python -m tests.notebooks` writes"
    ]
    assert written(cleaned(made)) == text


KEPT = {"tags": ["hide-input"], "mystnb": {"image": {"alt": "A line"}}}


def test_cleaning_keeps_ids_tags_and_descriptions() -> None:
    made = notebook()
    made.cells[1].metadata = nbformat.from_dict(KEPT | {"collapsed": True})
    cell = cleaned(made).cells[1]
    assert (cell.id, cell.metadata) == ("call", KEPT)
