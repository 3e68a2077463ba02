"""The walk: rules by name, the dense fallback for what has none, symbolic zeros, dropped values."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

import jaxcalc
from jaxcalc.engine.rules import registry
from jaxcalc.engine.rules.reduction import along_axes
from jaxcalc.engine.rules.registry import Context
from jaxcalc.engine.tangents.lanes import Lanes, seed
from jaxcalc.engine.walk import interpret
from jaxcalc.engine.walk.interpret import TooDenseError, run_primal, walk
from jaxcalc.engine.walk.program import flatten
from tests.in_numpy import in_numpy

# a linear operation that no library knows, and that runs in numpy: each row plus its own mirror image
mirror_p = Primitive("mirror_for_tests")
mirror_p.def_impl(lambda x: jnp.asarray(np.asarray(x) + np.asarray(x)[..., ::-1]))
mirror_p.def_abstract_eval(lambda x: x)
mlir.register_lowering(mirror_p, mlir.lower_fun(lambda x: x + x[..., ::-1], multiple_results=False))
ad.deflinear2(mirror_p, lambda ct, _: [mirror_p.bind(ct)])
batching.defvectorized(mirror_p)


def mirrored(x):
    return mirror_p.bind(jnp.sin(x)) * 2.0


@pytest.fixture
def mirror_rule():
    @registry.rule("mirror_for_tests")
    def rule(eqn, operands):
        value = operands[0]
        return along_axes(eqn, value, [len(value.shape) - 1])

    yield
    del registry._RULES["mirror_for_tests"]


X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_primitive_without_a_rule_is_dense_and_exact(mode):
    found = jaxcalc.jacobian(mirrored, format="structured", mode=mode)(X)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacfwd(mirrored))(X), rtol=1e-6)
    assert found.nnz == 144


def test_strict_names_the_primitive_the_line_and_the_remedy():
    with pytest.raises(NotImplementedError) as caught:
        jaxcalc.jacobian(mirrored, format="structured", strict=True)(X)
    message = str(caught.value)
    assert message.startswith("jaxcalc.jacobian: the primitive mirror_for_tests (test_interpret.py:")
    assert "jaxcalc.engine.register_rule" in message


@pytest.mark.usefixtures("mirror_rule")
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_registered_rule_keeps_the_structure(mode):
    f = lambda x: mirrored(x) + 0.0 * x  # noqa: E731
    found = jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(X)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacfwd(f))(X), rtol=1e-6)
    assert found.nnz == 3 * 16


@pytest.mark.usefixtures("mirror_rule")
def test_two_rules_for_one_primitive_are_an_error():
    with pytest.raises(ValueError, match="'mirror_for_tests' has a rule already"):
        registry.rule("mirror_for_tests")(lambda eqn, operands: operands)


def test_every_linear_primitive_of_the_first_part_has_a_rule():
    names = (
        "mul div neg add add_any sub convert_element_type select_n slice pad concatenate stack split "
        "reshape squeeze expand_dims transpose broadcast_in_dim rev copy reduce_sum cumsum dot_general "
        "conv_general_dilated reduce_window_sum select_and_gather_add select_and_scatter_add gather "
        "scatter scatter-add scatter-sub scatter-mul dynamic_slice dynamic_update_slice real imag "
        "complex conj fft triangular_solve tile"
    )
    assert set(names.split()) <= set(registry.registered())


def tangent_program(f, *xs):
    closed = jax.make_jaxpr(lambda xs, ts: jax.jvp(f, xs, ts)[1])(xs, xs)
    program = flatten(closed, len(xs))
    program.prune(program.outputs)
    return program


def walked(f, *xs, context=None, observe=None):
    program = tangent_program(f, *xs)
    values = dict(zip(program.inputs, xs, strict=True))
    residuals = program.residuals(program.outputs[1:])
    known = dict(zip(residuals, run_primal(program.primal, values, residuals), strict=True))
    offset = 0
    for slot, x in zip(program.tangents, xs, strict=True):
        known[slot] = seed(x.shape, x.dtype, offset)
        offset += x.size
    return walk(context or Context("test"), program.tangent, known, program.outputs, observe)


def test_zeros_are_symbolic():
    x = jnp.ones(3)
    seen = []
    zero, one = walked(
        lambda x: (0.0 * x + jnp.cumsum(0.0 * x), x), x, observe=lambda step, out: seen.append(out[0])
    )
    assert zero.groups == ()
    assert one.groups[0].is_unit()
    assert all(isinstance(value, Lanes) and not value.groups for value in seen)


def test_an_output_that_depends_on_nothing_is_zero():
    (zero,) = walked(lambda x: (jnp.ones((2, 3)),), jnp.ones(3))
    assert (zero.shape, zero.groups) == ((2, 3), ())


def test_one_input_of_several():
    a, b = walked(lambda x, y: (x * 2, y.sum() + x), jnp.ones(2), jnp.ones(3))
    assert [g.index.reshape(-1).tolist() for g in a.groups] == [[0, 1]]
    assert sorted(np.unique([i for g in b.groups for i in g.index.flat])) == [0, 1, 2, 3, 4]


def test_too_many_entries_stop_the_walk_and_say_where():
    with pytest.raises(TooDenseError, match=r"dot_general .*test_interpret\.py"):
        walked(
            lambda x: (jnp.ones((50, 50)) @ x,), jnp.ones(50), context=Context("test", entry_limit=1000)
        )


def test_values_are_dropped_after_their_last_use(monkeypatch):
    def f(x):
        return x * lax.stop_gradient(jnp.sin(jnp.exp(jnp.cos(jnp.tanh(x)))))

    program = tangent_program(lambda x: (f(x),), jnp.ones(3))
    made, alive = [], []

    class Watched:
        """A stand-in for an array, which can be referred to weakly."""

        def __init__(self, array):
            self.array = array
            made.append(weakref.ref(self))

    def bind(eqn, operands):
        outputs = really(eqn, [o.array if isinstance(o, Watched) else o for o in operands])
        gc.collect()
        alive.append(sum(r() is not None for r in made))
        return [Watched(o) for o in outputs]

    really = interpret.equations.bind
    monkeypatch.setattr(interpret.equations, "bind", bind)
    (last,) = run_primal(
        program.primal, {program.inputs[0]: jnp.ones(3)}, program.residuals(program.outputs[1:])
    )
    np.testing.assert_allclose(last.array, jnp.sin(jnp.exp(jnp.cos(jnp.tanh(1.0)))), rtol=1e-6)
    assert len(made) >= 4
    assert max(alive) == 1  # the operand of the step at hand


def test_loops_without_a_rule_are_exact_for_now():
    f = lambda x: lax.scan(lambda c, a: (c * a, jnp.sin(c)), x[0], x)[1]  # noqa: E731
    x = jnp.linspace(0.5, 1.5, 4)
    found = jaxcalc.jacobian(f, format="structured")(x)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacfwd(f))(x), rtol=1e-5)
