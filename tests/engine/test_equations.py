"""Contracts with JAX: every layout of an equation's params that the library reads.

When a JAX upgrade changes one, the test here fails first and says where to change what.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.params import UnknownLayoutError

ADVICE = (
    "JAX {version} lays out the params of {primitive!r} differently: {error}; they are now {params}. "
    "Read the new layout in {module}, `{reader}`, next to the old one for as long "
    "as pyproject.toml allows the older JAX, and then update this test."
)


class Contract(NamedTuple):
    """What a reader must find in the first equation of `primitive` that `f(*args)` traces to."""

    primitive: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    expected: Callable[[Any], bool] | Any


X, M, T = jnp.ones(6), jnp.ones((2, 3)), jnp.ones((4, 2, 3))
IMAGE, KERNEL = jnp.ones((1, 6, 6, 2)), jnp.ones((3, 3, 2, 5))


def convolved(image, kernel):
    return lax.conv_general_dilated(
        image,
        kernel,
        (2, 1),
        ((1, 1), (0, 2)),
        rhs_dilation=(1, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def is_program(found):
    return isinstance(found, ClosedJaxpr)


def scanned(x):
    return lax.scan(lambda c, a: (c * x[0] + a, c), x[1], x, reverse=True, unroll=2)


def looped(x):
    return lax.while_loop(lambda c: c < x[0], lambda c: c * x[1] + x[2], x[3])


def solved(a, b):
    return jnp.linalg.solve(a, b)


@jax.custom_jvp
def with_rule(x):
    return jnp.sin(x)


with_rule.defjvp(lambda primals, tangents: (with_rule(*primals), jnp.cos(primals[0]) * tangents[0]))


@jax.custom_vjp
def with_reverse_rule(x):
    return jnp.sin(x)


with_reverse_rule.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x) * g,))

SOLVE = {"left_side": False, "lower": True, "transpose_a": True}

# for each reader of equations.py, the primitives that it serves
CONTRACTS: dict[str, list[Contract]] = {
    "output": [Contract("sin", jnp.sin, (M,), lambda a: (a.shape, a.dtype) == ((2, 3), jnp.float32))],
    "operand": [Contract("sin", jnp.sin, (M,), lambda a: (a.shape, a.dtype) == ((2, 3), jnp.float32))],
    "kept_bits": [Contract("reduce_precision", lambda x: lax.reduce_precision(x, 8, 7), (X,), 7)],
    "called": [
        Contract("jit", jax.jit(lambda x: jnp.sin(x) * 2), (X,), is_program),
        Contract("remat2", jax.checkpoint(lambda x: jnp.sin(x) * 2), (X,), is_program),
        Contract("sin", jnp.sin, (X,), None),
    ],
    "linear_map": [
        Contract("custom_jvp_call", with_rule, (X,), lambda m: is_program(m.program)),
        Contract("custom_vjp_call", with_reverse_rule, (X,), lambda m: is_program(m.program)),
        Contract(
            "custom_linear_solve",
            solved,
            (jnp.eye(2), jnp.ones(2)),
            lambda m: len(m.operands) == len(m.program.jaxpr.invars),
        ),
        Contract("sin", jnp.sin, (X,), None),
    ],
    "new_dtype": [
        Contract("convert_element_type", lambda x: x.astype("float16"), (X,), jnp.dtype("float16"))
    ],
    "iota": [Contract("iota", lambda: lax.broadcasted_iota("int32", (2, 3), 1), (), ((2, 3), 1))],
    "broadcast_in_dim": [
        Contract(
            "broadcast_in_dim",
            lambda m: lax.broadcast_in_dim(m, (2, 4, 3), (0, 2)),
            (M,),
            ((2, 4, 3), (0, 2)),
        )
    ],
    "slices": [
        Contract("slice", lambda x: lax.slice(x, (1,), (5,), (2,)), (X,), [(1, 5, 2)]),
        Contract("slice", lambda x: lax.slice(x, (1,), (5,)), (X,), [(1, 5, 1)]),
    ],
    "reshape_order": [Contract("reshape", lambda m: lax.reshape(m, (6,)), (M,), None)],
    "permutation": [Contract("transpose", lambda t: jnp.transpose(t, (2, 0, 1)), (T,), (2, 0, 1))],
    "dimensions": [
        Contract("rev", lambda m: lax.rev(m, (1,)), (M,), (1,)),
        Contract("squeeze", lambda t: lax.squeeze(t[:1], (0,)), (T,), (0,)),
    ],
    "dimension": [Contract("concatenate", lambda m: lax.concatenate([m, m], 1), (M,), 1)],
    "axis": [
        Contract("split", lambda m: lax.split(m, (1, 2), 1), (M,), 1),
        Contract("cumsum", lambda m: lax.cumsum(m, 1, reverse=True), (M,), 1),
    ],
    "is_reversed": [
        Contract("cumsum", lambda m: lax.cumsum(m, 1, reverse=True), (M,), True),
        Contract("cumsum", lambda m: lax.cumsum(m, 1), (M,), False),
    ],
    "axes": [Contract("reduce_sum", lambda t: jnp.sum(t, (0, 2)), (T,), (0, 2))],
    "sizes": [Contract("split", lambda m: lax.split(m, (1, 2), 1), (M,), (1, 2))],
    "padding": [Contract("pad", lambda x: lax.pad(x, 0.0, [(1, 2, 3)]), (X,), ((1, 2, 3),))],
    "scan": [
        Contract(
            "scan",
            scanned,
            (X,),
            lambda s: (
                is_program(s.body)
                and (s.consts, s.carry) == (1, 1)
                and s.options == {"length": 6, "reverse": True, "unroll": 2}
            ),
        )
    ],
    "while_loop": [
        Contract(
            "while",
            looped,
            (X,),
            lambda w: (
                is_program(w.condition)
                and is_program(w.body)
                and (w.condition_consts, w.body_consts) == (1, 1)
            ),
        )
    ],
    "branches": [
        Contract(
            "cond",
            lambda x: lax.switch(1, [jnp.sin, jnp.cos, jnp.tan], x),
            (X,),
            lambda b: len(b) == 3 and all(map(is_program, b)),
        )
    ],
    "programs": [
        Contract(
            "cond", lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), (X,), lambda p: len(p) == 2
        ),
        Contract("scan", scanned, (X,), lambda p: len(p) == 1 and isinstance(p[0], Jaxpr)),
        Contract("while", looped, (X,), lambda p: len(p) == 2),
        Contract("sin", jnp.sin, (X,), []),
    ],
    "linear_solve": [
        Contract(
            "custom_linear_solve",
            solved,
            (jnp.eye(2), jnp.ones(2)),
            lambda s: is_program(s.matvec) and s.place == slice(0, 1) and s.right.start > 1,
        )
    ],
    "of_tangents": [
        Contract(
            "gather",
            lambda x: x.at[jnp.array([9])].get(mode="fill", fill_value=3.0),
            (X,),
            lambda e: equations.bind(e, [X, jnp.array([[9]])])[0] == 0,
        ),
    ],
    "parameters": [
        Contract("custom_jvp_call", with_rule, (X,), lambda s: not any(map(callable, s.values()))),
        Contract("reduce_sum", jnp.sum, (X,), lambda s: s["axes"] == (0,)),
    ],
    "triangular_solve": [
        Contract(
            "triangular_solve",
            lambda a: lax.linalg.triangular_solve(a, a, **SOLVE),
            (jnp.eye(2),),
            (False, True, True, False, False),
        )
    ],
    "label": [Contract("name", lambda a: checkpoint_name(a, "mine"), (X,), "mine")],
    "dot_general": [
        Contract(
            "dot_general",
            lambda a, b: lax.dot_general(a, b, (((2,), (1,)), ((0,), (0,)))),
            (T, jnp.ones((4, 3, 5))),
            lambda d: (
                (d.contracted, d.batch) == (((2,), (1,)), ((0,), (0,)))
                and d.options == {"precision": None, "preferred_element_type": None}
            ),
        )
    ],
    "kernel_size": [Contract("conv_general_dilated", convolved, (IMAGE, KERNEL), 18)],
    "convolution": [
        Contract(
            "conv_general_dilated",
            convolved,
            (IMAGE, KERNEL),
            lambda c: (
                (c.lhs_spec, c.rhs_spec, c.out_spec) == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
                and (c.strides, c.padding) == ((2, 1), ((1, 1), (0, 2)))
                and (c.lhs_dilation, c.rhs_dilation) == ((1, 1), (1, 2))
                and (c.feature_groups, c.batch_groups) == (1, 1)
                and set(c.options) == {"precision", "preferred_element_type"}
            ),
        )
    ],
    "fft_rank": [Contract("fft", jnp.fft.fft2, (jnp.ones((4, 4)),), 2)],
    "slice_sizes": [
        Contract("dynamic_slice", lambda m, i: lax.dynamic_slice(m, (i, 0), (1, 3)), (M, 1), (1, 3))
    ],
}
# primitives that some version of JAX in the range has not got
SINCE = {
    "axis": [Contract("stack", lambda x: jnp.stack([x, x], axis=1), (X,), 1)],
    "repeats": [Contract("tile", lambda x: jnp.tile(x, (2, 3)), (X,), (2, 3))],
}
OTHERS = {"bind", "count", "holds_state", "is_inexact", "parameters"}  # with tests of their own


def find(jaxpr: Jaxpr, primitive: str) -> JaxprEqn | None:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == primitive:
            return eqn
        for inner in equations.programs(eqn):
            found = find(inner, primitive)
            if found is not None:
                return found
    return None


def equation(contract: Contract) -> JaxprEqn | None:
    return find(jax.make_jaxpr(contract.f)(*contract.args).jaxpr, contract.primitive)


def without(eqn: JaxprEqn, name: str) -> JaxprEqn:
    return eqn.replace(params={key: value for key, value in eqn.params.items() if key != name})


def require(reader: str, contract: Contract, eqn: JaxprEqn, module: ModuleType = equations) -> None:
    try:
        found = getattr(module, reader)(eqn)
        kept = contract.expected(found) if callable(contract.expected) else found == contract.expected
        error = f"found {found}"
    except (UnknownLayoutError, AttributeError, TypeError, ValueError, IndexError) as raised:
        kept, error = False, repr(raised)
    if not kept:
        pytest.fail(
            ADVICE.format(
                version=jax.__version__,
                primitive=contract.primitive,
                error=error,
                params=sorted(eqn.params),
                module=module.__name__.replace(".", "/") + ".py",
                reader=reader,
            )
        )


@pytest.mark.parametrize(
    ("reader", "contract"), [(reader, c) for reader, listed in CONTRACTS.items() for c in listed]
)
def test_contract(reader, contract):
    eqn = equation(contract)
    assert eqn is not None, (
        f"JAX {jax.__version__} no longer traces this call to {contract.primitive!r}: find the "
        "primitive that it uses now, give it a rule in jaxcalc/engine/rules, and update this test."
    )
    require(reader, contract, eqn)


@pytest.mark.parametrize(("reader", "contract"), [(reader, c) for reader, (c,) in SINCE.items()])
def test_contract_where_the_primitive_exists(reader, contract):
    eqn = equation(contract)
    if eqn is None:
        pytest.skip(f"JAX {jax.__version__} has no primitive {contract.primitive!r}")
    require(reader, contract, eqn)


def test_every_reader_has_a_contract():
    readers = {
        name
        for name, value in vars(equations).items()
        if inspect.isfunction(value) and value.__module__ == equations.__name__ and name[0] != "_"
    }
    missing = readers - set(CONTRACTS) - set(SINCE) - OTHERS
    assert not missing, f"give {sorted(missing)} a contract in this file"
    assert not (set(CONTRACTS) | set(SINCE) | OTHERS) - readers


def test_a_changed_layout_is_reported_with_what_to_do():
    contract = CONTRACTS["axes"][0]
    eqn = equation(contract)
    renamed = without(eqn, "axes")
    with pytest.raises(
        pytest.fail.Exception,
        match=r"(?s)'reduce_sum' differently.*jaxcalc/engine/jaxprs/equations.py, `axes`.*pyproject",
    ):
        require("axes", contract, renamed)
    changed = eqn.replace(params={"axes": (1,)})
    with pytest.raises(pytest.fail.Exception, match=r"found \(1,\)"):
        require("axes", contract, changed)


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x: jnp.sin(x) * x[0], (X,)),
        (scanned, (X,)),
        (looped, (X * 2.0,)),
        (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), (X,)),
        (solved, (2 * jnp.eye(2), jnp.ones(2))),
        (with_rule, (X,)),
        (with_reverse_rule, (X,)),
        (jax.checkpoint(jnp.tanh), (X,)),
        (lambda m: lax.split(m, (1, 2), 1), (M,)),
        (lambda m: m.astype("bfloat16") @ m.T.astype("bfloat16"), (M,)),
        (convolved, (IMAGE, KERNEL)),
    ],
)
def test_bind_evaluates_each_equation_as_jax_does(f, args):
    program, shapes = jax.make_jaxpr(f, return_shape=True)(*args)
    environment = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    environment.update(zip(program.jaxpr.invars, jax.tree.leaves(args), strict=True))
    for eqn in program.jaxpr.eqns:
        operands = [v.val if hasattr(v, "val") else environment[v] for v in eqn.invars]
        environment.update(zip(eqn.outvars, equations.bind(eqn, operands), strict=True))
    found = [environment[v] for v in program.jaxpr.outvars]
    expected = jax.tree.leaves(f(*args))
    assert len(found) == len(expected) == len(jax.tree.leaves(shapes))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=1e-6)


def test_bind_keeps_the_context_of_an_equation():
    # the default precision that was in force at the trace is the equation's, not that of the walk
    with jax.default_matmul_precision("highest"):
        eqn = equation(Contract("dot_general", lambda a: a @ a.T, (M,), None))
    again = jax.make_jaxpr(lambda a: equations.bind(eqn, [a, a.T])[0])(M)
    assert find(again.jaxpr, "dot_general").params["precision"] == eqn.params["precision"]


def test_what_holds_state():
    program = jax.make_jaxpr(lambda k: (jax.new_ref(X)[...], jax.random.bits(k)))(jax.random.key(0))
    (made,) = find(program.jaxpr, "new_ref").outvars
    assert equations.holds_state(made.aval)
    assert not any(
        equations.holds_state(v.aval) for v in [*program.jaxpr.invars, *program.jaxpr.outvars]
    )


def test_inexact():
    shapes = [
        jax.ShapeDtypeStruct((), d) for d in ("float16", "bfloat16", "complex64", "int32", "bool")
    ]
    assert [equations.is_inexact(s) for s in shapes] == [True, True, True, False, False]
    assert not equations.is_inexact(jax.typeof(jax.random.key(0)))
