"""The outputs of a loop that known values decide, against the loop itself."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxcalc
from jaxcalc.engine.jaxprs.fold import constant
from jaxcalc.engine.jaxprs.fold_loops import constant_outputs
from tests.dense_reference import Case, check

X = np.arange(1.0, 5.0, dtype=np.float32)


def loop(x, start):
    def step(carry, row):
        i, y, twice = carry
        return (i + 2, y * row, twice + i), (i * 10, y, row[0] * 0 + 1)

    return lax.scan(step, (start, x, 0), jnp.ones((3, 4)), length=3)


def scan_of(f, *args):
    jaxpr = jax.make_jaxpr(f)(*args)
    return next(e for e in jaxpr.eqns if e.primitive.name == "scan")


def test_a_counter_and_what_follows_from_it_are_known():
    eqn = scan_of(loop, X, 1)
    inputs = [constant(v.aval, np.ones(v.aval.shape, v.aval.dtype)) for v in eqn.invars]
    x = next(i for i, v in enumerate(eqn.invars) if v.aval.shape == (4,))
    inputs[x] = object()  # not known
    found = constant_outputs(eqn, inputs)
    names = [v.aval.str_short() for v in eqn.outvars]
    assert [names[i] for i in sorted(found)] == ["int32[]", "int32[]", "int32[3]", "float32[3]"]
    values = [np.asarray(found[i].array).tolist() for i in sorted(found)]
    assert values == [7, 1 + 1 + 3 + 5, [10, 30, 50], [1.0, 1.0, 1.0]]


def test_nothing_is_known_of_a_loop_that_depends_on_x_alone():
    eqn = scan_of(lambda x: lax.scan(lambda c, _: (c * 2, c), x, None, length=3), X)
    assert constant_outputs(eqn, [object()] * len(eqn.invars)) == {}


def test_a_value_that_comes_to_depend_on_x_later_is_not_known():
    def f(x):
        return lax.scan(lambda c, _: ((c[1], c[2], x), c[0]), (0 * X, 0 * X, 0 * X), None, length=4)

    eqn = scan_of(f, X)
    inputs = [constant(v.aval, np.ones(v.aval.shape, v.aval.dtype)) for v in eqn.invars]
    inputs[0] = object()
    assert constant_outputs(eqn, inputs) == {}


def test_places_that_a_counter_gives_are_known(x64):
    def f(x):
        return lax.fori_loop(0, 4, lambda i, y: y.at[i].set(y[i + 1] * y[i]), x)

    check(Case(f, (7,)))
    assert jaxcalc.sparsity(f, jnp.ones(7)).nnz == 2 * 4 + 3
