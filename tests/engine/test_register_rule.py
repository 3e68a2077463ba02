"""`register_rule`: primitives described by the axes that they mix, or by a rule; its errors."""

import doctest
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

import jaxcalc
import jaxcalc.engine
from jaxcalc.engine import Group, Lanes, register_rule
from jaxcalc.engine.rules import registry
from jaxcalc.engine.rules.lane_by_lane import MixedAxesError
from tests.in_numpy import in_numpy

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4)).astype(np.float32)


def linear_primitive(name, function, transpose, *, batched=True, several=False):
    """A primitive for a linear function that works on the last axes of its operands.

    By itself it runs on known numbers only, so that it cannot be followed.
    """
    p = Primitive(name)
    p.multiple_results = several
    p.def_impl(lambda *xs, **params: function(*map(np.asarray, xs), **params))
    p.def_abstract_eval(
        lambda *xs, **params: jax.tree.map(
            lambda y: jax.core.ShapedArray(y.shape, y.dtype),
            jax.eval_shape(
                lambda *ys: function(*ys, **params),
                *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in xs),
            ),
        )
    )
    mlir.register_lowering(p, mlir.lower_fun(function, multiple_results=several))
    ad.deflinear2(p, transpose)
    if batched:

        def batch(operands, axes, **params):
            (size,) = {x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None}
            full = [
                batching.bdim_at_front(x, a, size) if a is not None else jnp.stack([x] * size)
                for x, a in zip(operands, axes, strict=True)
            ]
            out = jax.vmap(lambda *ys: function(*ys, **params))(*full)
            return out, [0] * len(out) if several else 0

        batching.primitive_batchers[p] = batch
    return p


def running(x, *, axis):
    return jnp.cumsum(x, axis=axis)


running_p = linear_primitive(
    "running_for_tests",
    running,
    lambda ct, _, *, axis: [jnp.flip(running_p.bind(jnp.flip(ct, axis), axis=axis), axis)],
)
unbatched_p = linear_primitive(
    "unbatched_for_tests",
    running,
    lambda ct, _, *, axis: [jnp.flip(unbatched_p.bind(jnp.flip(ct, axis), axis=axis), axis)],
    batched=False,
)
scaled_p = linear_primitive("scaled_for_tests", lambda x: 3 * x, lambda ct, _: [scaled_p.bind(ct)])
total_p = linear_primitive(
    "total_for_tests",
    lambda x: jnp.sum(x, -1),
    lambda ct, x: [jnp.broadcast_to(ct[..., None], x.aval.shape)],
)
widened_p = linear_primitive(
    "widened_for_tests",
    lambda x: jnp.concatenate([x, 2 * x], -1),
    lambda ct, x: [ct[..., : x.aval.shape[-1]] + 2 * ct[..., x.aval.shape[-1] :]],
)
crossed_p = linear_primitive(
    "crossed_for_tests",
    lambda a, b: [a + b[..., ::-1], a - 2 * b, jnp.zeros(a.shape, jnp.int32)],
    lambda cts, a, b: [cts[0] + cts[1], cts[0][..., ::-1] - 2 * cts[1]],
    several=True,
)


@pytest.fixture
def registered():
    """`register_rule`, undone after the test."""
    undone = []

    def register(*args, **kwargs):
        undo = register_rule(*args, **kwargs)
        undone.append(undo)
        return undo

    yield register
    for undo in reversed(undone):
        undo()


def structured(f, x, mode, **options):
    return jaxcalc.jacobian(f, format="structured", mode=mode, strict=True, **options)(x)


def same(found, f, x):
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacfwd(f))(x), rtol=1e-5, atol=1e-6)


BOTH = pytest.mark.parametrize("mode", ["forward", "reverse"])


def test_the_page_runs():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 25
    assert result.failed == 0


@BOTH
@pytest.mark.parametrize(
    ("mixes", "axis", "entries"),
    [
        ((-1,), 1, 3 * 16),
        ((1,), 1, 3 * 16),
        ([np.int64(0)], 0, 4 * 9),
        ((0, 1), 1, 144),
        (lambda eqn: [eqn.params["axis"]], 1, 3 * 16),
        (lambda eqn: (eqn.params["axis"],), 0, 4 * 9),
    ],
)
def test_axes_that_are_not_mixed_keep_their_structure(registered, mode, mixes, axis, entries):
    registered(running_p, mixes=mixes)
    f = lambda x: running_p.bind(jnp.sin(x), axis=axis) * x[:, :1]  # noqa: E731
    found = structured(lambda x: running_p.bind(jnp.sin(x), axis=axis), X, mode)
    assert found.nnz == entries
    same(found, lambda x: running_p.bind(jnp.sin(x), axis=axis), X)
    same(structured(f, X, mode), f, X)


@BOTH
def test_an_elementwise_primitive(registered, mode):
    registered("scaled_for_tests", mixes=())
    f = lambda x: scaled_p.bind(x * x) + x[::-1]  # noqa: E731
    found = structured(f, X, mode)
    assert found.nnz == 4 * (1 + 2 + 2)
    same(found, f, X)


def test_a_result_may_leave_out_the_mixed_axes(registered):
    registered(total_p, mixes=(-1,))
    f = lambda x: total_p.bind(jnp.sin(x))  # noqa: E731
    found = structured(f, X, "forward")
    assert found.nnz == 12
    same(found, f, X)


def test_a_mixed_axis_may_change_its_size(registered):
    registered(widened_p, mixes=(-1,))
    f = lambda x: widened_p.bind(jnp.sin(x))  # noqa: E731
    found = structured(f, X, "forward")
    assert found.nnz == 3 * 8 * 4
    same(found, f, X)


def test_several_operands_and_results_one_of_them_of_integers(registered):
    registered(crossed_p, mixes=(1,))

    def f(x):
        a, b, counts = crossed_p.bind(jnp.sin(x), jnp.roll(x, 1, 0) ** 2)
        return a * b + counts

    found = structured(f, X, "forward")
    assert found.nnz == 12 * 8  # two rows meet
    same(found, f, X)

    def g(x):
        a, b, _ = crossed_p.bind(jnp.sin(x), jnp.ones_like(x))
        return a + b

    same(structured(g, X, "forward"), g, X)


@BOTH
def test_a_primitive_that_cannot_be_batched_is_applied_lane_after_lane(registered, mode):
    registered(unbatched_p, mixes=(1,))
    f = lambda x: unbatched_p.bind(jnp.sin(x), axis=1)  # noqa: E731
    found = structured(f, X, mode)
    assert found.nnz == 3 * 16
    expected = jax.jacfwd(lambda x: jnp.cumsum(jnp.sin(x), 1))(X)
    np.testing.assert_allclose(found.todense(), expected, rtol=1e-5, atol=1e-6)


def test_without_a_rule_such_a_primitive_is_dense_and_exact():
    f = lambda x: unbatched_p.bind(jnp.sin(x), axis=1)  # noqa: E731
    found = jaxcalc.jacobian(f, format="structured", mode="forward")(X)
    assert found.nnz == 144
    expected = jax.jacfwd(lambda x: jnp.cumsum(jnp.sin(x), 1))(X)
    np.testing.assert_allclose(found.todense(), expected, rtol=1e-5, atol=1e-6)


def test_under_jit_vmap_and_in_a_hessian(registered):
    registered(running_p, mixes=(-1,))
    f = lambda x: running_p.bind(jnp.sin(x), axis=1)  # noqa: E731
    jacobian = jaxcalc.jacobian(f, format="structured", mode="forward", strict=True)
    same(jax.jit(jacobian)(X), f, X)
    values = jax.vmap(lambda x: jacobian(x).todense())(np.stack([X, 2 * X]))
    np.testing.assert_allclose(values[1], in_numpy(jax.jacfwd(f))(2 * X), rtol=1e-5, atol=1e-6)

    loss = lambda x: jnp.sum(running_p.bind(x, axis=1) ** 3)  # noqa: E731
    found = jaxcalc.hessian(loss, format="structured", strict=True)(X)
    assert found.nnz == 3 * 16
    np.testing.assert_allclose(found.todense(), in_numpy(jax.hessian(loss))(X), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("x64")
def test_in_float64_under_strict_promotion(registered):
    registered(running_p, mixes=(-1,))
    f = lambda x: running_p.bind(jnp.sin(x), axis=1)  # noqa: E731
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        found = structured(f, X.astype(np.float64), "forward")
        dense = found.todense()
    assert dense.dtype == np.float64
    np.testing.assert_allclose(dense, in_numpy(jax.jacfwd(f))(X.astype(np.float64)), rtol=1e-12)


def test_a_rule_of_its_own(registered):
    def rule(eqn, operands):
        (value,) = operands
        return Lanes(value.shape, value.dtype).with_groups(
            [Group(3 * g.data, g.index) for g in value.groups]
        )

    registered(scaled_p, rule)
    f = lambda x: scaled_p.bind(jnp.sin(x))  # noqa: E731
    found = structured(f, X, "forward")
    assert found.nnz == 12
    same(found, f, X)


def test_a_derivative_made_ready_before_is_made_anew():
    f = lambda x: running_p.bind(jnp.sin(x), axis=1)  # noqa: E731
    jacobian = jaxcalc.jacobian(f, format="structured", mode="forward")
    assert jacobian(X).nnz == 144
    undo = register_rule(running_p, mixes=(1,))
    assert jacobian(X).nnz == 48
    undo()
    assert jacobian(X).nnz == 144


def test_a_check_sees_a_rule_that_is_registered_after_another_check():
    def wrong(eqn, operands):
        (value,) = operands
        return value  # without the factor

    f = lambda x: scaled_p.bind(jnp.sin(x))  # noqa: E731
    assert jaxcalc.check(f, X)
    undo = register_rule(scaled_p, wrong)
    assert [found.kind for found in jaxcalc.check(f, X).findings[:1]] == ["structure disagrees"]
    undo()
    assert jaxcalc.check(f, X)


def test_replacing_and_undoing():
    name = "replaced_for_tests"
    first = register_rule(name, mixes=())
    with pytest.raises(
        ValueError, match=r"register_rule: the primitive 'replaced_for_tests' has a rule.*replace=True"
    ):
        register_rule(name, mixes=(0,))
    second = register_rule(name, mixes=(0,), replace=True)
    assert registry.declared()[name] == (0,)
    with pytest.raises(ValueError, match="Undo later ones first"):
        first()
    second()
    assert registry.declared()[name] == ()
    first()
    assert registry.find(name) is None
    assert name not in registry.declared()
    with pytest.raises(ValueError, match="no longer the one to undo"):
        first()


def test_replacing_a_rule_of_the_library():
    before = registry.find("neg")
    with pytest.raises(ValueError, match=r"'neg' has a rule already, jaxcalc.*elementwise.negate"):
        register_rule("neg", mixes=())
    undo = register_rule("neg", mixes=(), replace=True)
    try:
        f = lambda x: -jnp.sin(x)  # noqa: E731
        same(structured(f, X, "forward"), f, X)
    finally:
        undo()
    assert registry.find("neg") is before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {},
            TypeError,
            r"neither of `rule` and `mixes` are given for 'p'.*mixes=\(\) for an elementwise",
        ),
        (
            {"rule": lambda e, o: o, "mixes": ()},
            TypeError,
            "both of `rule` and `mixes` are given for 'p'",
        ),
        ({"mixes": (1, 1)}, ValueError, r"the axes that 'p' mixes are \(1, 1\). Name each axis once"),
        ({"mixes": "01"}, TypeError, r"the axes that 'p' mixes are '01'. Give a tuple of integers"),
        ({"mixes": 1}, TypeError, r"the axes that 'p' mixes are 1. Give a tuple"),
        ({"mixes": (1.0,)}, TypeError, r"mixes are \(1.0,\)"),
        ({"mixes": (True,)}, TypeError, r"mixes are \(True,\)"),
        ({"rule": (0,)}, TypeError, r"the rule of 'p' is \(0,\). Pass a function \(eqn, operands\)"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=rf"^jaxcalc\.engine\.register_rule: .*{message}"):
        register_rule("p", **arguments)
    assert registry.find("p") is None


def test_what_is_no_primitive():
    with pytest.raises(TypeError, match=r"the primitive is <.*, of type .*jax.extend.core.Primitive"):
        register_rule(jnp.sin, mixes=())


@pytest.mark.parametrize("name", ["jit", "scan", "custom_jvp_call", "bcoo_todense"])
def test_what_is_followed_takes_no_rule(name):
    with pytest.raises(ValueError, match=rf"{name!r} runs programs.*rules for the primitives inside"):
        register_rule(name, mixes=())


@pytest.mark.parametrize(
    ("mixes", "message"),
    [
        ((2,), r"running_for_tests \(test_register_rule.py:\d+\) is said to mix axis 2.*axes -2 to 1"),
        ((-3,), "is said to mix axis -3"),
        (lambda eqn: "ab", r"mixes are 'ab'"),
    ],
)  # fmt: skip
def test_axes_that_are_not_there(registered, mixes, message):
    registered(running_p, mixes=mixes)
    with pytest.raises(
        (MixedAxesError, TypeError), match=rf"jaxcalc\.engine\.register_rule: .*{message}"
    ):
        structured(lambda x: running_p.bind(x, axis=1), X, "forward")


@pytest.mark.parametrize(("primitive", "mixes"), [(widened_p, (0,)), (total_p, (0,)), (total_p, ())])
def test_kept_axes_that_the_result_has_not_got(registered, primitive, mixes):
    registered(primitive, mixes=mixes)
    with pytest.raises(
        MixedAxesError, match=r"said not to mix the axes .*output 0 has the shape .*Name all"
    ):
        structured(lambda x: primitive.bind(x), X, "forward")  # noqa: PLW0108


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (lambda v: None, TypeError, r"returned NoneType, and the primitive has 1 output"),
        (lambda v: [v, v], TypeError, r"returned list, and the primitive has 1 output"),
        (
            lambda v: [np.ones(v.shape)],
            TypeError,
            r"returned ndarray for output 0. Return Lanes of shape",
        ),
        (
            lambda v: Lanes((3,), v.dtype),
            ValueError,
            r"Lanes of shape \(3,\).*which has shape \(3, 4\)",
        ),
        (lambda v: Lanes(v.shape, np.dtype("int8")), ValueError, "dtype int8 .*dtype float32"),
    ],
)
def test_a_rule_that_returns_something_else(registered, result, error, message):
    registered(scaled_p, lambda eqn, operands: result(operands[0]))
    with pytest.raises(error, match=rf"the rule of scaled_for_tests \(test_register.*{message}"):
        structured(lambda x: scaled_p.bind(x), X, "forward")  # noqa: PLW0108


@pytest.mark.parametrize("name", jaxcalc.engine.__all__)
def test_public_names(name):
    assert getattr(jaxcalc.engine, name).__doc__
    assert name in dir(jaxcalc.engine)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        jaxcalc.engine.nothing  # noqa: B018
