"""Each kind of random cases draws what JAX can evaluate, and notices what is wrong."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from tests.fuzz import direct
from tests.fuzz.choices import Recorded
from tests.fuzz.compare import MismatchError
from tests.fuzz.direct import Calls, compare_calls
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.programs import Program
from tests.fuzz.tally import Tally, failure_of, printed

pytestmark = pytest.mark.usefixtures("x64")

CALLS = Calls(
    "x = np.array([0.5, 2.0])\nk = [1.0]\ndef f(x, i):\n    return k[0] * x[i] ** 2\n"
    "def change():\n    k[0] += 1.0\n"
    "rounds = [(lambda: None, (np.array([0, 1]),)), (change, (np.array([1, 1]),))]\n",
    ("dense",),
    (),
)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_draws_programs_of_jax(name):
    """The same numbers lead to the same program, and other numbers to others."""
    drawn = [KINDS[name].draw(Recorded(random.Random(k)), 6) for k in range(12)]
    again = KINDS[name].draw(Recorded(random.Random(3)), 6)
    assert repr(again) == repr(drawn[3])
    assert len({repr(made) for made in drawn}) > 8
    made = drawn[0]
    if isinstance(made, Program):
        made.function(jax.tree.map(jnp.asarray, made.points(1)[0]))
    else:
        space = dict(direct.NAMES)
        exec(made.source, space)
        change, rest = space["rounds"][0]
        change()
        space["f"](jnp.asarray(space["x"]), *rest)


@pytest.mark.parametrize("way", sorted({*direct.WAYS} - {"dense hessian under jit"}))
def test_direct_calls_notice_an_old_answer(monkeypatch, way):
    """A derivative that stays what it was at the first call."""
    right = direct.WAYS[way]

    def stale(f):
        answers = []

        def run(x, *rest):
            answers.append(right(f)(x, *rest))
            return answers[0]

        return run

    calls = Calls(CALLS.source, (way,), ())
    compare_calls(calls)
    monkeypatch.setitem(direct.WAYS, way, stale)
    with pytest.raises(MismatchError, match="call 2"):
        compare_calls(calls)


def test_a_warning_of_the_library_is_a_failure():
    import warnings

    class JaxcalcWarning(UserWarning):
        pass

    def warns(made, *, compiled):
        warnings.warn("fell back", JaxcalcWarning, stacklevel=1)

    assert "fell back" in failure_of(Kind(1, lambda r, n: CALLS, warns), CALLS)


def test_faults_are_counted_by_kind():
    tally = Tally()
    tally.programs["loops"] = tally.programs["objects"] = 2
    tally.failures = [("loops", "MismatchError: hessian misses"), ("objects", "TypeError: no")]
    text = printed(tally, 1.0, statistics=False)
    assert [
        line.split()[:5] for line in text.splitlines() if line.startswith(("loops", "objects"))
    ] == [
        ["loops", "2", "0", "1", "0"],
        ["objects", "2", "0", "0", "1"],
    ]


def test_a_program_kept_is_run_in_numpy_alone():
    """Nothing is compiled, and the answers are those of a compiled call."""
    from tests.fuzz.staged import in_numpy

    J = jaxcalc.jacobian(lambda x: x[1:] * x[:-1], format="structured")
    with in_numpy():
        found = J(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found.values, J(np.array([1.0, 2.0, 3.0])).values)
