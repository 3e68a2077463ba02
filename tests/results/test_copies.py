"""Copies and pickles of what the transformations return, also in another process."""

import copy
import pickle
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import descent, numerical

X = jnp.arange(1.0, 5.0)


class Pair(NamedTuple):
    """A pytree of a class that another process imports."""

    a: jax.Array
    b: jax.Array


def chained(x):
    return x[1:] * x[:-1]


def loss(x):
    return jnp.sum((x - 1.0) ** 2)


def pickled(x):
    return pickle.loads(pickle.dumps(x))


COPIES = pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
JACOBIANS = {
    "of an array": lambda: jaxcalc.jacobian(chained, format="structured")(X),
    "its transpose": lambda: jaxcalc.jacobian(chained, format="structured")(X).T,
    "sorted": lambda: jaxcalc.jacobian(chained, format="structured")(X).sorted(),
    "a block": lambda: jaxcalc.jacobian(lambda p: {"y": p["a"] * p["b"]}, format="structured")(
        {"a": X, "b": X}
    ).block("y", "b"),
    "of pytrees": lambda: jaxcalc.jacobian(lambda p: (p, chained(p[0])), format="structured")(
        (X, None)
    ),
    "a Hessian": lambda: jaxcalc.hessian(lambda x: jnp.sum(chained(x) ** 2), format="structured")(X),
    "with a random key": lambda: jaxcalc.jacobian(
        lambda p: p[0] * jax.random.normal(p[1], (4,)), format="structured", allow_int=True
    )((X, jax.random.key(0))),
}


@COPIES
@pytest.mark.parametrize("name", JACOBIANS)
def test_a_copied_jacobian_is_the_same_matrix_and_the_same_pytree(name, copied):
    J = JACOBIANS[name]()
    hash(J.layout), J.pattern, J.T
    K = copied(J)
    assert jax.tree.structure(K) == jax.tree.structure(J)
    assert hash(K.layout) == hash(J.layout)
    np.testing.assert_array_equal(jax.tree.map(jnp.add, J, K).matrix(), 2 * J.matrix())
    np.testing.assert_array_equal((J + K).matrix(), 2 * J.matrix())
    np.testing.assert_array_equal(K.T.matrix(), J.matrix().T)
    assert not K.rows.flags.writeable
    assert repr(K) == repr(J)


@COPIES
def test_a_copy_is_the_same_argument_of_a_compiled_function(copied):
    J = JACOBIANS["of an array"]()
    traces = []

    @jax.jit
    def times(J, v):
        traces.append(None)
        return J @ v

    np.testing.assert_array_equal(times(copied(J), X), times(J, X))
    assert len(traces) == 1


def test_a_deep_copy_has_values_of_its_own():
    J = JACOBIANS["of an array"]()
    assert copy.deepcopy(J).values is not J.values
    assert copy.deepcopy([J, J])[0].layout is J.layout


OTHERS = {
    "Jacobian": JACOBIANS["of an array"],
    "Jacobian of pytrees": lambda: jaxcalc.jacobian(
        lambda p: chained(p.a) * p.b[0], format="structured"
    )(Pair(X, X)),
    "BCOO": lambda: jaxcalc.jacobian(chained, format="bcoo")(X),
    "SparsityPattern": lambda: jaxcalc.sparsity(chained, X),
    "Explanation": lambda: jaxcalc.explain(chained, X, format="structured"),
    "Explanation, dense": lambda: jaxcalc.explain(loss, X, order=2),
    "Kind": lambda: jaxcalc.classify(chained, X),
    "CheckReport": lambda: jaxcalc.check(chained, X),
    "Diagnosis": lambda: jaxcalc.diagnose(lambda x: jnp.sum(jnp.sqrt(x - 1.0)), X),
    "Minimum": lambda: descent.minimize(loss, X, optimizer=0.1, steps=2),
    "Estimate": lambda: numerical.jacobian(chained)(X),
}


def told(x):
    """All that a result says: its text, and the arrays in it."""
    return str(x), [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(x) if hasattr(leaf, "dtype")]


@pytest.fixture(scope="module")
def results():
    return {name: make() for name, make in OTHERS.items()}


@COPIES
@pytest.mark.parametrize("name", OTHERS)
def test_results_can_be_copied(results, name, copied):
    assert told(copied(results[name])) == told(results[name])


def test_patterns_stay_comparable_and_read_only(results):
    pattern = results["SparsityPattern"]
    for copied in (copy.copy, copy.deepcopy, pickled):
        same = copied(pattern)
        assert same == pattern
        assert hash(same) == hash(pattern)
        assert not same.rows.flags.writeable


def test_pickles_are_read_in_another_process(results, tmp_path):
    # where strings and classes have other hashes
    file = tmp_path / "results.pickle"
    results["matrix"] = np.asarray(results["Jacobian"].matrix())
    file.write_bytes(pickle.dumps({name: x for name, x in results.items() if "pytrees" not in name}))
    program = f"""
import pickle, sys, jax, numpy as np, jaxcalc
import jax.numpy as jnp
with open({str(file)!r}, "rb") as f:
    found = pickle.load(f)
J = found["Jacobian"]
here = jaxcalc.jacobian(lambda x: x[1:] * x[:-1], format="structured")(jnp.arange(1.0, 5.0))
assert here.layout == J.layout and hash(here.layout) == hash(J.layout)
assert jax.tree.structure(here) == jax.tree.structure(J)
np.testing.assert_array_equal((here + J).matrix(), 2 * found["matrix"])
assert found["SparsityPattern"] == here.pattern and hash(found["SparsityPattern"]) == hash(here.pattern)
print("|".join(str(found[name]) for name in sorted(found)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    shown = [str(results[name]) for name in sorted(results) if "pytrees" not in name]
    assert run.stdout.strip() == "|".join(shown).strip()
