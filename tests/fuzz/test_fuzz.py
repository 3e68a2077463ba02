"""Random programs against dense JAX, on a fixed budget; `python -m tests.fuzz` runs more of them."""

import random
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import jaxcalc
from tests.fuzz import compare as comparison
from tests.fuzz.__main__ import main
from tests.fuzz.choices import Recorded, shrunk
from tests.fuzz.compare import MismatchError, compare
from tests.fuzz.evaluate import evaluate
from tests.fuzz.programs import Program, program, programs
from tests.fuzz.table import TABLE
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")


BUDGET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@settings(BUDGET, max_examples=25)
@given(programs())
def test_random_programs(made):
    compare(made)


@settings(BUDGET, max_examples=20)
@given(programs(tight=True, longest=5))
def test_random_programs_whose_pattern_must_be_exact(made):
    compare(made)


@pytest.mark.slow
@settings(BUDGET, max_examples=200)
@given(programs(), programs(tight=True, longest=5))
def test_more_random_programs(made, tight):
    compare(made)
    compare(tight)


def made_of(source, shape=(3,), **flags):
    given = {"is_tight": False, "has_forward": True, "has_reverse": True}
    return Program(source, source, (shape,), "float64", (), **(given | flags))


@pytest.mark.parametrize("change", ["wrong", "missing", "superfluous", "twice"], ids=lambda c: c)
def test_the_comparison_notices(monkeypatch, change):
    structured = jaxcalc.jacobian(lambda x: x * jnp.sin(x), format="structured")
    right = structured(jnp.ones(3))

    def changed(J):
        rows, cols, values = J.rows, J.cols, J.values
        if change == "wrong":
            values = values.at[1].multiply(1.001)
        elif change == "missing":
            rows, cols, values = rows[1:], cols[1:], values[1:]
        else:
            extra = (0, 1) if change == "superfluous" else (0, 0)
            rows, cols = np.append(rows, extra[0]), np.append(cols, extra[1])
            values = jnp.append(values, 0.0)
        return Fake(rows, cols, values, right.shape)

    class Fake:
        def __init__(self, rows, cols, values, shape):
            self.rows, self.cols, self.values, self.shape = rows, cols, values, shape

    jacobian = jaxcalc.jacobian
    monkeypatch.setattr(
        comparison.jaxcalc, "jacobian", lambda f, **k: lambda x: changed(jacobian(f, **k)(x))
    )
    with pytest.raises(MismatchError):
        compare(made_of("def f(x):\n    return x * jnp.sin(x)\n", is_tight=True))


def test_what_falls_back_to_plain_jax_is_a_failure():
    made = made_of("jnp.sin(x)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as outside of pytest
        with comparison._all_paths(made), pytest.raises(jaxcalc.JaxcalcWarning):
            warnings.warn("fell back", jaxcalc.JaxcalcWarning, stacklevel=1)


def test_a_failure_shrinks_to_the_operation_that_fails():
    allowed = ["fft", "sin", "exp", "stacked", "ravel", "cumsum"]

    def make(recorded):
        return program(recorded.integer, 8, allowed=allowed)

    def is_wrong(made):
        return "fft" in made.operations

    drawn = (Recorded(random.Random(number)) for number in range(200))
    first = next(r for r in drawn if is_wrong(made := make(r)) and len(made.operations) > 4)
    least, _ = shrunk(first.drawn, make, is_wrong, 300)
    assert "fft" in least.operations
    assert least.operations == ("fft",)


def test_the_command_reports_what_ran(capsys):
    assert main(["--programs", "2", "--seed", "3", "--only", "sin,ravel", "--statistics"]) == 0
    said = capsys.readouterr().out
    assert "2 programs" in said
    assert "steps" in said
    assert "0 failures" in said
    assert "argsort_taken" in said


@pytest.mark.parametrize("name", thinned(sorted(TABLE), 3))
def test_every_operation_can_be_drawn(name):
    """Each entry of the table makes a program, and numpy evaluates it as JAX does."""
    for number in range(300):
        recorded = Recorded(random.Random(number))
        made = program(recorded.integer, 3, allowed=[name, "sin", "stacked", "cast_to_single"])
        if name in made.operations:
            break
    else:
        raise AssertionError(f"{name} was never drawn")
    x = jax.tree.map(jnp.asarray, made.points(1)[0])
    found = evaluate(jax.make_jaxpr(made.function)(x), jax.tree.leaves(x))
    for a, b in zip(found, jax.tree.leaves(jax.jit(made.function)(x)), strict=True):
        np.testing.assert_allclose(a, np.asarray(b, a.dtype), rtol=1e-6, atol=1e-6)
