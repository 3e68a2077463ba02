"""`jaxcalc diagnose` as users meet it: text, JSON and exit codes."""

import json
from pathlib import Path

import pytest

from jaxcalc.cli import main

MODULE = """
import jax.numpy as jnp

def loss(parameters, x):
    y = parameters["w"] * x
    root = jnp.sqrt(y)
    return jnp.sum(jnp.where(y > 0, root, 0.0))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"diagnosed_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_fault_is_told_with_its_line_and_exit_code_1(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["diagnose", f"{module}:loss", "--args", '{"w": [1, 2]}', "0,1", "--wrt", "parameters"]
    assert main(words) == 1
    text = capsys.readouterr().out
    assert f"error: {module}.py:6: sqrt has an infinite derivative at 0" in text
    assert f"where ({module}.py:7)" in text
    assert main([*words, "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert not record["healthy"]
    (finding,) = record["findings"]
    assert (finding["line"], finding["argument"]) == (6, "parameters['w']")


def test_a_healthy_function_and_one_with_notes_have_exit_code_0(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", f"{module}:loss", "--args", '{"w": [1, 2]}', "3,1"]) == 0
    assert "healthy, nothing found" in capsys.readouterr().out
    assert main(["diagnose", "abs(x)", "--at", "0", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["healthy"]
    assert record["findings"][0]["kind"] == "kink"


def test_a_shape_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "sin(x)", "--at", "float32[3]"]) == 2
    assert "needs values" in capsys.readouterr().err
