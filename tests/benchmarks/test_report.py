"""docs/benchmarks.md is what the committed figures give, and the figures are complete."""

import re

import pytest

from benchmarks import plots, report, runner
from benchmarks.report_cases import others_win
from benchmarks.sweeps import CASES

FOUND = report.load(runner.RESULTS)


def test_committed_page_is_what_the_committed_figures_give():
    committed = (report.DOCS / "benchmarks.md").read_text("utf-8")
    assert committed == report.page(FOUND), "run `python -m benchmarks report`"


def test_page_changes_with_the_figures():
    row = FOUND["tridiagonal"]["measurements"]["asdex"]["100"]
    before, row["ratio"] = row["ratio"], 12345.0
    try:
        assert "12,000" in report.page(FOUND)
    finally:
        row["ratio"] = before


def test_a_tool_that_is_faster_is_named():
    results = FOUND["tridiagonal"]
    row = results["measurements"]["folx"]["100"]
    before = dict(row)
    row.update(run_seconds=1e-9, best_seconds=1e-9)
    try:
        assert any(
            line.startswith("| tridiagonal | n = 100 | folx | ") for line in others_win([results])
        )
    finally:
        row.update(before)


def test_every_part_is_there():
    assert set(FOUND) == {*CASES, *runner.PARTS}


@pytest.mark.parametrize("name", CASES)
def test_every_contender_has_figures_or_a_reason_at_every_size(name):
    case, results = CASES[name], FOUND[name]
    wanted = case.sizes[: case.quick] if results["quick"] else case.sizes
    assert results["sizes"] == list(wanted)
    assert results["contenders"] == list(case.contenders)
    for contender in case.contenders:
        rows = results["measurements"][contender]
        assert list(rows) == [str(size) for size in wanted]
        for row in rows.values():
            assert row.get("error") or row["run_seconds"] > 0


@pytest.mark.parametrize("name", CASES)
def test_every_result_that_was_checked_is_right(name):
    """Exact derivatives in float32; numerical ones have the error that they have."""
    if name.startswith("numerical"):
        pytest.skip("approximate")
    for contender, errors in FOUND[name]["accuracy"].items():
        assert all(value is not None and value < 1e-4 for value in errors.values()), contender


def test_every_part_with_a_command_of_its_own_has_figures():
    assert all("figures" in FOUND[name] for name in runner.PARTS)


def test_files_say_nothing_of_where_they_were_made():
    for path in runner.RESULTS.glob("*.json"):
        assert not re.search(r"(?:/[\w.-]+){2,}", path.read_text("utf-8")), path.name


def test_pictures_that_the_page_names_are_there_in_both_variants():
    text = (report.DOCS / "benchmarks.md").read_text("utf-8")
    named = set(re.findall(r'(?:src|srcset)="([^"]+)"', text))
    assert {
        f"images/benchmarks/{n}-{t}.svg" for n in ("overview", "suite") for t in plots.THEMES
    } <= named
    assert all((report.DOCS / name).is_file() for name in named)


def test_each_contender_that_is_drawn_has_a_style_of_its_own():
    for case in CASES.values():
        drawn = [plots._STYLES[name] for name in case.contenders if name != case.baseline]
        assert len(set(drawn)) == len(drawn), case.title
