"""The command line as users meet it: answers, JSON, exit codes, and what a mistake reads like."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcalc
from jaxcalc.cli import main
from jaxcalc.cli.errors import UsageError, in_shell_words

MODULE = """
import jax
import jax.numpy as jnp
import numpy as np

TABLE = 3

def loss(parameters, inputs=1.0):
    return jnp.sum(parameters["w"] ** 2) * inputs + parameters["b"] ** 3

def power(x, /, exponent, *, scale=2.0):
    return scale * x ** exponent

def total(*args):
    return sum(jnp.sum(a**2) for a in args)

def curve(t):
    return {"place": jnp.stack([jnp.cos(t), jnp.sin(t)]), "speed": 2 * t}

@jax.custom_jvp
def wrong(x):
    return jnp.sum(x**2)

@wrong.defjvp
def _(primals, tangents):
    return wrong(*primals), 3 * jnp.sum(primals[0] * tangents[0])

def broken(x):
    return x.no_such_attribute

def integer(x):
    return jnp.floor(x).astype(int)

class Model:
    @staticmethod
    def energy(x):
        return x @ x
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current directory, under a name of its own in every test."""
    name = f"functions_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.rstrip("\n")


def record(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    return json.loads(answer(capsys, *words, "--json"), parse_constant=pytest.fail)


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["derivative", "2*x**3 + 5", "--at", "2"], "24.0"),
        (["derivative", "2*x**3 + 5", "--at", "x=2", "--order", "3"], "12.0"),
        (["derivative", "2*x**3 + 5", "--at", "2", "--order", "4"], "0.0"),
        (["derivative", "-x**2", "--at", "-3"], "6.0"),
        (["derivative", "--at", "-3", "-x**2"], "6.0"),
        (["derivative", "--at", "3", "--dtype", "float32", "x/3"], "0.33333334"),
        (["derivative", "sin(x)", "--at", "pi"], "-1.0"),
        (["derivative", "[t, t**2]", "--at", "3"], "[1.0, 6.0]"),
        (["derivative", "4*x**4 * z**3", "--at", "x=1", "z=2", "--wrt", "z"], "48.0"),
        (["derivative", "4*x**4 * z**3", "--at", "x=1,z=2", "--wrt", "x,z"], "192.0"),
        (["derivative", "4*x**4 * z**3", "--at", "x=1", "--at", "z=2", "--wrt", "x,x"], "384.0"),
        (["gradient", "4*x**4 * z**3", "--args", "z=2", "x=1"], "x  128.0\nz  48.0"),
        (["gradient", "sum(v**2)", "--at", "-1,2,3"], "[-2.0, 4.0, 6.0]"),
        (["gradient", "x@x*z", "--at", "x=1,2,z=3", "--wrt", "x"], "[6.0, 12.0]"),
        (["jacobian", "[v[0]*v[1], v[2]]", "--at", "v=1,2,3"], "[[2.0, 1.0, 0.0],\n [0.0, 0.0, 1.0]]"),
        (["jacobian", "[x, z]", "--at", "x=1", "z=2"], "x  [1.0, 0.0]\nz  [0.0, 1.0]"),
        (["hessian", "x*z", "--at", "x=1", "z=2", "--mode", "forward"],
         "x x  0.0\nx z  1.0\nz x  1.0\nz z  0.0"),
        (["hessian", "4*v[0]**4*v[1]**3", "--at", "[1,2]"], "[[384.0, 192.0],\n [192.0,  48.0]]"),
        (["gradient", "sum(a@a)", "--at", "a=[[1,2],[3,4]]"], "[[ 7.0, 11.0],\n [ 9.0, 13.0]]"),
        (["derivative", "5", "--at", "2"], "0.0"),
    ],
)  # fmt: skip
def test_answers(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    assert answer(capsys, *words) == expected


def test_classify(capsys: pytest.CaptureFixture[str]) -> None:
    shown = answer(capsys, "classify", "[x[0]*x[1], x[2]]", "--at", "1,2,3", "--dtype", "float32")
    assert shown == "Jacobian: float32[3] -> float32[2] (R^3 -> R^2), shape [2,3]: use jaxcalc jacobian"
    found = record(capsys, "classify", "x*z", "--at", "x=1", "z=2", "--wrt", "x")
    assert (found["name"], found["spaces"], found["shapes"]) == ("partial derivative", "R -> R", [[]])


def test_json_holds_the_question_and_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert record(capsys, "hessian", "x**2*z", "--at", "x=1", "z=2") == {
        "command": "hessian",
        "target": "x**2*z",
        "at": {"x": 1.0, "z": 2.0},
        "wrt": ["x", "z"],
        "dtype": "float64",
        "value": 2.0,
        "result": {"x": {"x": 4.0, "z": 2.0}, "z": {"x": 2.0, "z": 0.0}},
    }


@pytest.mark.parametrize(
    ("words", "notes"),
    [
        (["derivative", "abs(x)", "--at", "0"], ["x = 0 is a kink: slopes -1 and 1"]),
        (["derivative", "3*t + maximum(t, 2*t)", "--at", "0"], ["t = 0 is a kink: slopes 4 and 5"]),
        (["gradient", "relu(x - 2)", "--at", "2"], ["x = 2 is a kink: slopes 0 and 1"]),
        (["hessian", "where(x > 0, x, 2*x)", "--at", "0"], ["x = 0 is a kink: slopes 2 and 1"]),
        (["derivative", "1/x", "--at", "0"], ["x = 0: division by zero gives an infinity"]),
        (["derivative", "x**x", "--at", "0"], ["x = 0: x**0.0 at 0: its derivative is"]),
        (["derivative", "log(x)", "--at", "x=-1"], ["x = -1: log of -1, below 0, is NaN"]),
        (["derivative", "x**1.5", "--at", "0", "--order", "2"], ["x = 0: the result is not finite"]),
        (
            ["gradient", "sum(abs(x))", "--at", "0,1"],
            ["this point: abs at 0 has a kink here: the slop"],
        ),
        (["gradient", "sqrt(x)*z", "--at", "x=0", "z=2"], ["x = 0, z = 2: sqrt has an infinite deri"]),
        (["derivative", "x*abs(x)", "--at", "0"], []),
        (["derivative", "1/x", "--at", "1"], []),
        (["derivative", "log(x)", "--at", "0"], ["x = 0: log(0) is -inf"]),
    ],
)
def test_kinks_poles_and_nan_are_noted(
    capsys: pytest.CaptureFixture[str], words: list[str], notes: list[str]
) -> None:
    assert main(words) == 0
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert len(lines) == len(notes), err
    for line, note in zip(lines, notes, strict=True):
        assert line.startswith(f"jaxcalc {words[0]}: note: {note}")
    assert "note" not in out
    assert main([*words, "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_commands_are_named_in_messages() -> None:
    for python, shell in (
        ("use jaxcalc.jacobian.", "use jaxcalc jacobian."),
        ("jaxcalc.jacobian(f) goes", "jaxcalc jacobian goes"),
        ("use jaxcalc.partial_derivative", "use jaxcalc derivative"),
        ("choose others with argnums or argnames, or", "choose others with --wrt, or"),
        ("jaxcalc.jacobian(f, holomorphic=True)", "jaxcalc.jacobian(f, holomorphic=True)"),
        ("jaxcalc.sparsity", "jaxcalc.sparsity"),
    ):
        assert in_shell_words(python) == shell


def test_json_without_what_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derivative", "[log(x), sqrt(x - 1)]", "--at", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["value"] == ["-inf", "nan"]
    assert found["result"] == ["inf", "nan"]


def test_functions_of_a_module(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    at = 'parameters={"w": [1, 2], "b": 3}'
    found = record(capsys, "gradient", f"{module}:loss", "--at", at, "inputs=2", "--wrt", "parameters")
    assert found["result"] == {"b": 27.0, "w": [4.0, 8.0]}
    assert found["value"] == 37.0
    text = answer(capsys, "hessian", f"{module}:loss", "--at", '{"w": [1, 2], "b": 3}')
    assert text.splitlines()[:2] == ["b b  18.0", "b w  [0.0, 0.0]"]
    assert answer(capsys, "gradient", f"{module}:Model.energy", "--at", "1,2") == "[2.0, 4.0]"
    shown = answer(capsys, "derivative", f"{module}:curve", "--at", "0")
    assert shown == "place  [-0.0, 1.0]\nspeed  2.0"


def test_arguments_of_every_kind(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gradient", f"{module}:power", "--at", "2", "exponent=3"]
    assert record(capsys, *words, "--wrt", "x")["result"] == 24.0
    assert record(capsys, *words, "scale=5")["result"]["scale"] == 8.0
    found = record(capsys, "gradient", f"{module}:total", "--at", "1", "1,2")
    assert found["result"] == {"argument0": 2.0, "argument1": [2.0, 4.0]}


def test_float32_is_float32_throughout(capsys: pytest.CaptureFixture[str]) -> None:
    found = record(
        capsys, "jacobian", "dot([[1, 2], [3, 4]], x)/3", "--at", "1,2", "--dtype", "float32"
    )
    assert found["result"][0][0] == pytest.approx(1 / 3, abs=1e-7)
    assert found["result"][0][0] != pytest.approx(1 / 3, abs=1e-10)


def test_check_passes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = answer(capsys, "check", "sum(sin(x)*z)", "--at", "x=1,2", "z=3")
    assert shown.startswith("gradient: (float64[2], float64) -> float64: passed")
    found = record(capsys, "check", "x**2", "--at", "3", "--order", "2")
    assert (found["passed"], found["term"], found["findings"]) == (True, "derivative", [])
    assert any(comparison["name"] == "Hessian: symmetry" for comparison in found["comparisons"])


def test_check_finds_a_wrong_derivative(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{module}:wrong", "--args", "1,2"]) == 1
    shown = capsys.readouterr().out
    assert "FAILED" in shown
    assert (
        "wrong derivative: derivative of output with respect to x[1]: 6, but the values of f say 4 "
        in shown
    )
    assert main(["check", f"{module}:wrong", "--args", "1,2", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is False
    worst = found["findings"][0]
    assert (worst["kind"], worst["exact"], worst["input"]) == ("wrong derivative", 6.0, "x[1]")
    assert worst["other"] == pytest.approx(4.0)


def test_check_is_not_fooled_where_quotients_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "sqrt(x)", "--at", "0"]) == 1
    assert "not finite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["derivative"], "give a TARGET"),
        (["derivative", "2x", "--at", "2"], "jaxcalc derivative: error: cannot read the expression"),
        (["derivative", "x"], "no value for x; give one, such as --at x=2"),
        (["derivative", "x*y", "--at", "2"], "name the values: --at x=... y=..."),
        (["derivative", "x*y", "--at", "x=2"], "no value for y"),
        (["derivative", "x", "--at", "y=2"], "no variable 'y' in the expression; it has x"),
        (["derivative", "x", "--at", "1", "2"], "a vector is written 1,2,3"),
        (["derivative", "x", "--at", "x=1", "2"], "comes after a named one"),
        (["derivative", "x", "--at", "x=1", "x=2"], "x is given twice"),
        (["derivative", "x", "--at", "pi=1"], "pi has a meaning of its own"),
        (["derivative", "x", "--at", "x="], "the value is empty"),
        (["derivative", "x", "--at", "x=two"], "'two' is not a number"),
        (["derivative", "x", "--at", "x=[1,[2]]"], "must have one shape"),
        (["derivative", "x", "--at", "x={1}"], "not valid JSON"),
        (["derivative", "x", "--at", 'x={"a": "b"}'], "expected numbers, lists and objects"),
        (
            ["derivative", "x*z", "--at", "x=1", "z=2"],
            "choose one with --wrt x, or use jaxcalc gradient",
        ),
        (
            ["derivative", "x*z", "--at", "x=1,z=2", "--wrt", "x,z", "--order", "2"],
            "--order goes with one",
        ),
        (["derivative", "x", "--at", "1", "--wrt", "y"], "--wrt: no argument 'y'; it can be x"),
        (["derivative", "x", "--at", "1", "--order", "0"], "order must be an integer of 1 or more"),
        (["derivative", "x", "--at", "1", "--order", "two"], "invalid int value: 'two'"),
        (["derivative", "x", "--at", "1,2"], "its derivative is a Jacobian; use jaxcalc jacobian"),
        (["jacobian", "x", "--args", "int32[3]"], "is a shape; jaxcalc jacobian needs values"),
        (["gradient", "x", "--at", "1,2"], "a gradient needs a scalar output"),
        (["gradient", "x", "--at", "1", "--dtype", "int8"], "choose from"),
        (["gradient", "x", "--at", "1", "--mode", "forward"], "unrecognized arguments"),
        (["gradient", "x > 1", "--at", "1"], "is bool"),
        (["gradient", "x[7]", "--at", "1,2"], "index 7 is out of bounds"),
        (["gradient", "a @ [1,2,3]", "--at", "a=1,2"], "the function raised"),
        (["hessian", "x", "--at", "1", "--mode", "sideways"], "invalid choice: 'sideways'"),
        (["nosuch"], "jaxcalc: error: there is no command 'nosuch'; it can be tour, classify, deri"),
        (["grad", "x", "--at", "1"], "there is no command 'grad'; did you mean gradient?"),
        (["hesian", "x", "--at", "1"], "there is no command 'hesian'; did you mean hessian?"),
        (["x**2", "--at", "1"], "as in: jaxcalc derivative '2*x**3 + 5' --at 2"),
        (["derivative", "sin x", "--at", "1"], "invalid syntax; write sin(x)"),
        (["derivative", "2 + exp 3.5", "--at", "1"], "write exp(3.5)"),
        (["derivative", "2 x", "--at", "1"], "a product is written 2*x"),
        (["gradient", "my_module.loss", "--at", "1"], "for a function in a file write my_module:loss"),
        (["gradient", "a.b.loss", "--at", "1"], "write a.b:loss"),
        (["--nosuch"], "--nosuch"),
        (
            ["gradient", "no_such_module:f", "--at", "1"],
            "cannot import no_such_module: ModuleNotFoundError: No module named 'no_such_module'\n",
        ),
        (["gradient", "math:no_such", "--at", "1"], "math has no function 'no_such'; it has acos"),
        (["gradient", "math:pi", "--at", "1"], "math:pi is a float, not a function"),
    ],
)
def test_mistakes_go_to_stderr_with_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert message in mistake(capsys, *words)


def test_mistakes_in_a_module(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = mistake(capsys, "gradient", f"{module}:broken", "--at", "1")
    assert "AttributeError" in told
    assert f"{module}.py, line 29)" in told
    assert "does not fit" in mistake(capsys, "gradient", f"{module}:power", "--at", "1", "2", "3")
    assert "missing a required argument: 'exponent'" in mistake(
        capsys, "gradient", f"{module}:power", "--at", "1"
    )
    assert "no values to call" in mistake(capsys, "gradient", f"{module}:total")
    assert "such as --at x=1,2,3 exponent=1,2,3" in mistake(capsys, "explain", f"{module}:power")
    assert "int" in mistake(capsys, "gradient", f"{module}:integer", "--at", "1.5")
    (tmp_path / f"{module}_b.py").write_text("def f(:\n")
    assert "SyntaxError" in mistake(capsys, "gradient", f"{module}_b:f", "--at", "1")


def test_traceback_on_request() -> None:
    with pytest.raises(UsageError):
        main(["derivative", "2x", "--at", "2", "--traceback"])


@pytest.mark.parametrize("words", [["--help"], ["derivative", "--help"], ["tour", "-h"]])
def test_help(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0
    assert "usage: jaxcalc" in capsys.readouterr().out


def test_examples_in_the_help_run(capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    from jaxcalc.cli.parser import EXAMPLES

    lines = [line.strip() for line in EXAMPLES.splitlines() if line.startswith("  jaxcalc")]
    runnable = [line for line in lines if "my_module" not in line]
    assert len(runnable) >= 4
    for line in runnable:
        answer(capsys, *shlex.split(line)[1:])


def test_the_module_is_run_with_python_m() -> None:
    command = [sys.executable, "-m", "jaxcalc"]
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"jaxcalc {jaxcalc.__version__}\n"
    words = ["derivative", "exp(x)", "--at", "x=0,1"]
    failed = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("jaxcalc derivative: error: ")
    assert failed.stdout == ""


def test_a_closed_pipe_is_no_error() -> None:
    words = [sys.executable, "-m", "jaxcalc", "jacobian", "outer(x, x)", "--at"]
    values = ",".join(str(i) for i in range(60))
    with subprocess.Popen([*words, values], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        told = process.stderr.read()
    assert told == b""
    assert process.returncode == 141


def test_precision_of_the_process_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    import jax

    before = jax.config.jax_enable_x64
    assert float(answer(capsys, "derivative", "sin(x)", "--at", "1")) == math.cos(1.0)
    assert jax.config.jax_enable_x64 == before


def test_explain(capsys: pytest.CaptureFixture[str], module: str) -> None:
    shown = answer(capsys, "explain", "x[0]*x", "--args", "float32[1000]")
    assert shown.startswith(
        "Jacobian   float32[1000] -> float32[1000]\nentries    1,000 x 1,000, 1,999 "
    )
    assert "structured, forward" in shown
    found = record(capsys, "explain", f"{module}:curve", "--at", "0.5", "--analyze")
    assert found["pattern"]["nonzeros"] == 3
    assert found["measured"]["seconds"] > 0
    found = record(capsys, "explain", "sum(x**3)", "--args", "x=float64[5]", "--order", "2")
    assert (found["term"], found["pattern"]["structure"]) == ("Hessian", "diagonal")
    assert found["at"] == {"x": "float64[5]"}
    assert isinstance(found["methods"][0]["is_chosen"], bool)


def test_explain_within_memory(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explain", "outer(x, x)", "--args", "float32[20]", "--format", "dense")
    free = record(capsys, *words)
    assert free["methods"][0]["blocks"] == 1
    for limit, size in (("6000", 6000), ("7.5KiB", 7680), ("1 MiB", 2**20)):
        found = record(capsys, *words, "--memory-limit", limit)
        assert found["methods"][0]["workspace"] <= size
        assert (found["methods"][0]["blocks"] > 1) == (size < 10_000)
    error = mistake(capsys, *words, "--memory-limit", "9")
    assert "memory_limit=9 (9 B) is less than the workspace" in error


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--args", "float99[3]"],
            "--at float99[3]: no dtype 'float99'; it can be bfloat16, bool, comp",
        ),
        (
            ["--args", "x=float32[3,-1]"],
            "--at x=float32[3,-1]: sizes are whole numbers, as in float32[3,4]",
        ),
        (["--args", "float32[n]"], "--at float32[n]: sizes are whole numbers"),
        (
            ["--args", "float64[3]", "--dtype", "float32"],
            "float64[3]: float64 goes with --dtype float64",
        ),
        (["--args", "int32[3]"], "x is int32, and a derivative with respect to an integer"),
        (["--args", "float32[3]", "--order", "2"], "needs a scalar output"),
    ],
)
def test_explain_refuses(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    assert expected in mistake(capsys, "explain", "x**2", *words)


@pytest.mark.parametrize(
    ("words", "legal"),
    [
        (["--mode", "up"], ["auto", "forward", "reverse"]),
        (["--format", "coo"], ["structured", "bcoo", "dense"]),
        (["--order", "3"], ["1", "2"]),
        (["--memory-limit", "0"], ["1000000", "256MiB", "1GiB"]),
        (["--memory-limit", "much"], ["1000000", "256MiB", "1GiB"]),
    ],
)
def test_explain_lists_what_is_legal(
    capsys: pytest.CaptureFixture[str], words: list[str], legal: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["explain", "x**2", "--args", "float32[3]", *words])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert all(choice in error for choice in [*legal, words[0]])


def test_a_shape_will_not_do_where_values_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    error = mistake(capsys, "gradient", "sum(x)", "--at", "float32[3]")
    assert "--at x: float32[3] is a shape; jaxcalc gradient needs values, such as 1,2,3" in error
