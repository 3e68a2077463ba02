"""Contracts with JAX, continued: indexing, windows, ragged and sparse products, collectives."""

import ast
import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import sparse
from jax.experimental.fused import fused
from jax.experimental.scheduling_groups import scheduling_group
from jax.sharding import AxisType, PartitionSpec
from jax_versions import on_host
from test_equations import Contract, equation, find, require

import jaxcalc
from jaxcalc.engine.jaxprs import equations, indexing
from jaxcalc.engine.jaxprs.indexing import Places

READERS = {"equations.py", "indexing.py", "bodies.py"}

M, T = jnp.ones((2, 3)), jnp.ones((4, 2, 3))
I = jnp.array([1, 0])
B = jnp.array([[0], [1], [1], [0]])  # one place for each of four rows
GATHER = lax.GatherDimensionNumbers((1,), (1,), (1,), (0,), (0,))
SCATTER = lax.ScatterDimensionNumbers((1,), (1,), (1,), (0,), (0,))


def gathered(t, i):
    return lax.gather(t, i, GATHER, (1, 1, 3), mode="clip")


def scattered(t, i):
    return lax.scatter_add(t, i, jnp.ones((4, 3)), SCATTER, mode="drop")


def promising(t, i):
    return lax.gather(t, i, GATHER, (1, 1, 3), mode="promise_in_bounds")


def promising_scatter(t, i):
    return lax.scatter_add(t, i, jnp.ones((4, 3)), SCATTER, mode="promise_in_bounds")


def has_mode(name):
    mode = lax.GatherScatterMode.from_any(name)
    return lambda eqn: eqn.params["mode"] == mode and len(eqn.invars) >= 2


def gather_again(options):
    again = lax.gather(T, B, **options)
    return again.shape == (4, 3) and set(options) == {"dimension_numbers", "slice_sizes", "mode"}


def scatter_again(options):
    again = lax.scatter_add(T, B, jnp.ones((4, 3)), **options)
    return float(again.sum()) == 36 and set(options) == {"dimension_numbers", "mode"}


def ragged(a, b):
    return lax.ragged_dot(a, b, jnp.array([2, 1, 1], jnp.int32))


def on_devices(f):
    mesh = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("i")
    return jax.shard_map(f, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)


DIAGONAL = jnp.asarray(np.ones(3, np.float32))
PLACES = np.arange(3, dtype=np.int32)
BCOO = sparse.BCOO((DIAGONAL, np.stack([PLACES, PLACES], 1)), shape=(3, 3))
BCSR = sparse.BCSR((DIAGONAL, PLACES, np.arange(4, dtype=np.int32)), shape=(3, 3))
DOT = indexing.SparseDot((3, 3), ((1,), (0,)))
HOST = jax.ShapeDtypeStruct((2, 3), jnp.float32)


def pooled(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 2), ((0, 1), (1, 0)), (1, 1), (2, 1))


def pooled_slope(x):
    return jax.grad(lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), "VALID").sum())(x)


def host(vmap_method):
    return lambda m: jax.pure_callback(np.sin, HOST, m, vmap_method=vmap_method)


CONTRACTS = {
    "places": [
        Contract("gather", gathered, (T, B), Places((1,), (1,), (0,), (0,), (1,))),
        Contract("gather", lambda m, i: m[i], (M, I), Places((0,), (0,), (), (), (1,))),
        Contract("scatter-add", scattered, (T, B), Places((1,), (1,), (0,), (0,), (1,))),
        Contract(
            "scatter-add", lambda m, i: m.at[i].add(1.0), (M, I), Places((0,), (0,), (), (), (1,))
        ),
        Contract("scatter", lambda m, i: m.at[i].set(1.0), (M, I), Places((0,), (0,), (), (), (1,))),
        Contract(
            "scatter-mul", lambda m, i: m.at[i].mul(2.0), (M, I), Places((0,), (0,), (), (), (1,))
        ),
    ],
    "window_sizes": [Contract("gather", gathered, (T, B), (1, 1, 3))],
    "gather_options": [Contract("gather", gathered, (T, B), gather_again)],
    "scatter_options": [Contract("scatter-add", scattered, (T, B), scatter_again)],
    "promises": [
        Contract("gather", promising, (T, B), True),
        Contract("gather", gathered, (T, B), False),
        Contract("scatter-add", promising_scatter, (T, B), True),
        Contract("scatter-add", scattered, (T, B), False),
    ],
    "without_promise": [
        Contract("gather", promising, (T, B), has_mode("clip")),
        Contract("scatter-add", promising_scatter, (T, B), has_mode("drop")),
    ],
    "pooling": [
        Contract(
            "reduce_window_max",
            pooled,
            (jnp.ones((4, 4)),),
            ((2, 2), (1, 2), ((0, 1), (1, 0)), (1, 1), (2, 1)),
        ),
        Contract(
            "select_and_scatter_add",
            pooled_slope,
            (jnp.ones((4, 4)),),
            ((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)),
        ),
    ],
    "selects_largest": [Contract("select_and_scatter_add", pooled_slope, (jnp.ones((4, 4)),), True)],
    "ragged_dot": [
        Contract(
            "ragged_dot_general",
            ragged,
            (jnp.ones((4, 5)), jnp.ones((3, 5, 2))),
            indexing.RaggedDot(((1,), (1,)), ((), ()), 0, (0,)),
        )
    ],
    "sparse_dot": [
        Contract("bcoo_dot_general", lambda x: BCOO @ x, (jnp.ones(3),), DOT),
        Contract("bcsr_dot_general", lambda x: BCSR @ x, (jnp.ones(3),), DOT),
    ],
    "implementation": [
        Contract(
            "bcoo_todense",
            lambda d: sparse.BCOO((d, BCOO.indices), shape=(3, 3)).todense(),
            (BCOO.data,),
            lambda run: np.array_equal(run(BCOO.data, BCOO.indices), np.eye(3)),
        )
    ],
    "lacks_vmap_method": [
        Contract("pure_callback", host(None), (M,), True),
        Contract("pure_callback", host("sequential"), (M,), False),
        Contract("ffi_call", jax.ffi.ffi_call("for_tests", HOST), (M,), True),
        Contract(
            "ffi_call", jax.ffi.ffi_call("for_tests", HOST, vmap_method="sequential"), (M,), False
        ),
        Contract("sin", jnp.sin, (M,), False),
    ],
    "summed_over": [
        Contract("psum", on_devices(lambda m: lax.psum(m, "i")), (M,), ((), ("i",))),
        Contract("psum", jax.vmap(lambda m: lax.psum(m, "b"), axis_name="b"), (M,), ((0,), ())),
    ],
    "gathered": [
        Contract(
            "all_gather", on_devices(lambda m: lax.all_gather(m, "i", axis=1)), (M,), (1, 1, False)
        ),
        Contract(
            "all_gather", on_devices(lambda m: lax.all_gather(m, "i", tiled=True)), (M,), (0, 1, True)
        ),
    ],
    "scattered_along": [
        Contract(
            "reduce_scatter",
            on_devices(lambda m: lax.psum_scatter(m, "i", scatter_dimension=1, tiled=True)),
            (M,),
            1,
        )
    ],
    "exchanged": [
        Contract(
            "all_to_all", on_devices(lambda m: lax.all_to_all(m, "i", 1, 0, tiled=True)), (M,), (1, 0)
        )
    ],
}


def test_select_and_scatter_keeps():
    eqn = equation(CONTRACTS["selects_largest"][0])
    assert bool(indexing.keeps(eqn, jnp.float32(2), jnp.float32(1)))
    assert not bool(indexing.keeps(eqn, jnp.float32(1), jnp.float32(2)))


# of primitives that `equations` reads, and that have no contract in `test_equations`
def is_whole(found):
    return len(found.operands) == len(found.program.jaxpr.invars)


def doubled(m):
    return jnp.sin(m) * 2


HERE = jax.memory.Space.Device
LINEAR_MAPS = [
    Contract(
        "linear_call",
        lambda m: jax.custom_derivatives.linear_call(lambda r, m: m * r, lambda r, m: m * r, 2.0, m),
        (M,),
        is_whole,
    ),
    *(Contract(name, run(doubled), (M,), is_whole) for name, run in on_host().items()),
    Contract("xla_metadata_call", scheduling_group("a")(doubled), (M,), is_whole),
    Contract("fused_call", fused(out_spaces=(HERE,))(doubled), (M,), is_whole),
    Contract(
        "bcoo_dot_general",
        lambda x: BCOO @ x,
        (jnp.ones(3),),
        lambda found: list(found.operands) == [0, 1, 2],
    ),
]


@pytest.mark.parametrize(
    ("reader", "contract"), [(reader, c) for reader, listed in CONTRACTS.items() for c in listed]
)
def test_contract_of_layouts(reader, contract):
    eqn = equation(contract)
    assert eqn is not None, (
        f"JAX {jax.__version__} no longer traces this call to {contract.primitive!r}"
    )
    require(reader, contract, eqn, indexing)


@pytest.mark.parametrize("contract", LINEAR_MAPS, ids=lambda c: c.primitive)
def test_contract_of_linear_maps(contract):
    require("linear_map", contract, equation(contract))


def test_every_reader_of_layouts_has_a_contract():
    readers = {
        name
        for name, value in vars(indexing).items()
        if inspect.isfunction(value) and value.__module__ == indexing.__name__ and name[0] != "_"
    }
    assert readers - {"keeps", "with_places"} == set(CONTRACTS), (
        "give each reader a contract in this file"
    )


@pytest.mark.parametrize("f", [gathered, scattered])
def test_places_that_are_changed(f):
    # the rows as places of their own, in the first column, in the place of a batch axis
    eqn = equation(Contract("gather" if f is gathered else "scatter-add", f, (T, B), None))
    without = indexing.with_places(eqn, Places((0, 1), (0, 1), (), (), (1,)))
    places = np.concatenate([np.arange(4)[:, None], np.asarray(B)], axis=1)
    t = jnp.arange(24.0).reshape(4, 2, 3)
    rest = [] if f is gathered else [jnp.ones((4, 3))]
    (found,) = equations.bind(without, [t, places, *rest])
    np.testing.assert_array_equal(found, f(t, B))
    assert indexing.places(eqn) == Places((1,), (1,), (0,), (0,), (1,))


def test_the_layout_of_params_is_read_nowhere_else():
    touching, reading = set(), set()
    for path in Path(jaxcalc.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "params":
                touching.add(path.name)
            if isinstance(node, ast.ImportFrom) and node.module == "jaxcalc.engine.jaxprs.params":
                names = {alias.name for alias in node.names}
                reading |= {path.name} if names - {"UnknownLayoutError"} else set()
    assert touching == {"params.py"}, "read params in jaxcalc/engine/jaxprs/equations.py or indexing.py"
    assert reading == READERS


def test_find_looks_inside_programs():
    jaxpr = jax.make_jaxpr(on_devices(lambda m: lax.psum(m, "i")))(M).jaxpr
    assert find(jaxpr, "psum") is not None
    assert find(jaxpr, "all_gather") is None
