"""The README says nothing that was not run: its examples, its commands, its names and its links."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

import jaxcalc
from jaxcalc.engine.jaxprs.params import NEWEST_TESTED
from tests.docs.pages import blocks_of, failures

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture
def _default_types() -> Iterator[None]:
    with jax.enable_x64(False):
        yield


@pytest.mark.usefixtures("_default_types")
def test_the_examples_and_commands_print_what_is_shown(tmp_path: Path) -> None:
    found = list(failures(README, tmp_path))
    assert not found, "\n".join(found)


def test_the_examples_are_short() -> None:
    examples = [block.code for block in blocks_of(README) if block.language == "python"]
    assert len(examples) >= 5
    assert all(code.count("\n") <= 10 for code in examples)
    assert len(re.findall(r"^\$ jaxcalc", README, re.MULTILINE)) >= 3


def test_the_two_commands_are_those_that_continuous_integration_runs() -> None:
    commands = re.findall(r"^    (pip install .*)$", README, re.MULTILINE)
    assert len(commands) == 2
    script = (ROOT / ".ci" / "run").read_text("utf-8").replace("--quiet ", "")
    for command in commands:
        assert command in script


def test_the_supported_versions_are_said_alike() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pythons = re.findall(r":: (3\.\d+)", " ".join(project["classifiers"]))
    assert project["requires-python"] == f">={pythons[0]}"
    assert f"Python {', '.join(pythons[:-1])} or {pythons[-1]}" in README
    (oldest,) = (r.removeprefix("jax>=") for r in project["dependencies"] if r.startswith("jax>="))
    assert f"JAX from {oldest} to {NEWEST_TESTED}" in README
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert f"interpreter {pythons[0]})" in script
    assert f"interpreter {pythons[-1]})" in script


def test_every_call_in_the_table_exists() -> None:
    table = README[README.index("| your function") : README.index("The transformations work")]
    names = re.findall(r"`([a-z_.]+)[(`]", table)
    assert len(names) > 10
    for name in names:
        found: object = jaxcalc
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found), name


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/design.md", "docs/conventions.md"]
)
def test_links_between_files_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), f"{name}: {target}"
