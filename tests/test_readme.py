"""The README says nothing that was not run: its example, its commands, its names and its links."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jaxcalc
from jaxcalc.cli import main
from jaxcalc.engine.params import NEWEST_TESTED

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return found


def test_the_example_prints_what_is_shown() -> None:
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", block("python")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stderr == ""
    assert shown.stdout == block("text")


def test_the_example_has_about_ten_lines() -> None:
    assert len([line for line in block("python").splitlines() if line]) <= 12


def test_the_commands_print_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    parts = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block("console"), re.MULTILINE)
    assert len(parts) >= 3
    for command, expected in parts:
        program, *words = shlex.split(command)
        assert program == "jaxcalc"
        assert main(words) == 0, command
        assert capsys.readouterr().out == expected, command


def test_the_explanation_begins_as_shown() -> None:
    line, _, shown = block("pycon").partition("\n")
    names: dict[str, object] = {}
    exec(block("python").split("bowl")[0], names)
    explanation = eval(line.removeprefix(">>> print(").removesuffix(")"), names)
    assert str(explanation).split("\n\n")[0] + "\n" == shown


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
    table = README[README.index("| your function") : README.index("The transformations take")]
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
