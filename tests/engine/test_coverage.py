"""The table of primitives: complete over each supported JAX, true, and the same on its page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import primitives as primitives_of_jax
from jax.interpreters import ad
from jax.sharding import AxisType, PartitionSpec
from linear_programs import linear_program, primitives, seeing_a_tangent

import jaxcalc
import jaxcalc.engine
from jaxcalc.engine.rules import registry
from jaxcalc.engine.rules.coverage import MEANINGS

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"

# some of the supported versions of JAX have these, and some have not
NOT_IN_EACH = frozenset(
    {
        "box_get", "box_set", "call", "closed_call", "custom_transpose_call", "empty", "empty_ref",
        "eval_jaxpr", "free_ref", "get_global", "log2", "log_extend", "log_read", "mpmd_map", "mulhi",
        "new_box", "new_log", "one_minus_square", "ormqr", "pbroadcast_dynamic", "pgather",
        "philox2x32", "philox4x32", "polynomial", "program_order", "reduced_vary_cast",
        "reduced_vary_cast_p", "relayout", "scaled_dot", "shard_alike", "stack", "stage",
        "threefry4x32", "tpu_custom_call", "unreduced_pmax", "unreduced_pmin", "unstack",
        "vary_unreduced_cast", "vary_unreduced_cast_p", "with_memory_space_constraint", "xla_pmap",
    }
)  # fmt: skip

# a fresh process, since other tests define primitives of their own
LISTING = """
import importlib, importlib.util, json
import jax.ad_checkpoint
from jax.extend.core import Primitive, primitives
from jax.interpreters import ad, batching, partial_eval
for name in ("buffer_callback", "compute_on", "fused", "multihost_utils", "pallas", "scheduling_groups",
             "shard_alike", "sparse", "xla_metadata"):
    if importlib.util.find_spec("jax.experimental." + name):  # JAX 0.12 has no shard_alike
        importlib.import_module("jax.experimental." + name)
tables = {
    "listed": [p for p in vars(primitives).values() if isinstance(p, Primitive)],
    "jvp": ad.primitive_jvps,
    "transpose": ad.primitive_transposes,
    "batched": batching.fancy_primitive_batchers,
    "partial": [*partial_eval.custom_partial_eval_rules, *partial_eval.dce_rules],
}
print(json.dumps({name: sorted({p.name for p in table}) for name, table in tables.items()}))
"""


@pytest.fixture(scope="module")
def installed() -> dict[str, set[str]]:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LISTING],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return {name: set(names) for name, names in json.loads(shown.stdout).items()}


@pytest.fixture(scope="module")
def table() -> dict[str, jaxcalc.engine.rules.coverage.Row]:
    return {row.primitive: row for row in jaxcalc.engine.coverage()}


def missing_and_gone(installed: set[str], table: set[str]) -> str:
    missing, gone = sorted(installed - table), sorted(table - installed - NOT_IN_EACH)
    found = []
    if missing:
        found.append(
            f"JAX {jax.__version__} has primitives that engine/rules/coverage.py does not list: "
            f"{', '.join(missing)}. Find out with jax.make_jaxpr whether the derivative of a function "
            "that uses one holds it with a tangent operand. If so, give it a rule in "
            "jaxcalc/engine/rules, or list it as dense; if JAX makes its derivative of others, list it "
            "as replaced; and so on (see MEANINGS). Then write the table into docs/coverage.md."
        )
    if gone:
        found.append(
            f"engine/rules/coverage.py lists primitives that JAX {jax.__version__} has not got: "
            f"{', '.join(gone)}. Drop them, unless pyproject.toml still allows a JAX that has them: "
            "then list them in NOT_IN_EACH."
        )
    return "\n".join(found)


def test_every_primitive_of_the_installed_jax_is_in_the_table(installed, table):
    complaint = missing_and_gone(set().union(*installed.values()), set(table))
    assert not complaint, complaint


def test_what_is_not_in_each_version_is_in_the_table(table):
    assert set(table) >= NOT_IN_EACH


def test_a_primitive_that_is_new_or_gone_is_named_with_what_to_do():
    complaint = missing_and_gone({"mul", "brand_new"}, {"mul", "long_gone"})
    assert "brand_new" in complaint
    assert "rule in jaxcalc/engine/rules" in complaint
    assert "has not got: long_gone" in complaint
    assert not missing_and_gone({"mul"}, {"mul"})


def test_the_table_names_each_primitive_once_and_says_how_in_known_words():
    rows = list(jaxcalc.engine.coverage())
    names = [row.primitive for row in rows]
    assert names == sorted(set(names))
    assert {row.how for row in rows} == set(MEANINGS)
    assert all(row.mixes for row in rows if row.how in ("rule", "followed", "dense"))


def test_rules_are_those_that_are_registered(installed, table):
    known = set().union(*installed.values()) | NOT_IN_EACH
    ruled = {name for name, row in table.items() if row.how == "rule"}
    assert ruled == set(registry.registered()) & known - set(registry.declared())


def test_what_is_said_agrees_with_the_tables_of_jax(installed, table):
    names = {how: {name for name, row in table.items() if row.how == how} for how in MEANINGS}
    assert names["replaced"] <= installed["jvp"] | NOT_IN_EACH | {"nextafter"}
    assert not names["replaced"] & installed["transpose"]
    # JAX has transposes for effects, which no tangent reaches
    assert names["constant"] & installed["transpose"] <= {"debug_callback", "debug_print", "dce_sink"}
    # these have a derivative that raises, or that cannot be linearized
    stubs = {"composite", "io_callback", "buffer_callback", "custom_vmap_call", "pallas_call"}
    assert names["refused"] & installed["jvp"] == stubs | {"reduce_window"}


X = np.linspace(0.2, 0.8, 5)
M = np.random.default_rng(0).normal(size=(4, 4)) + 3 * np.eye(4)
ROWS = np.random.default_rng(1).normal(size=(3, 4))
WINDOW = {"window_dimensions": (2, 2), "window_strides": (1, 1), "padding": "VALID"}

HAS_RULE = {"nextafter": primitives_of_jax.nextafter_p in ad.primitive_jvps}

# for each primitive that is replaced, functions that use it
UNARY = {
    "abs": jnp.abs, "acos": lax.acos, "acosh": lambda x: lax.acosh(x + 1), "asin": lax.asin,
    "asinh": lax.asinh, "atan": lax.atan, "atanh": lax.atanh, "bessel_i0e": lax.bessel_i0e,
    "bessel_i1e": lax.bessel_i1e, "cbrt": lax.cbrt, "cos": lax.cos, "cosh": lax.cosh,
    "digamma": lax.digamma, "erf": lax.erf, "erf_inv": lax.erf_inv, "erfc": lax.erfc, "exp": lax.exp,
    "exp2": lax.exp2, "expm1": lax.expm1, "integer_pow": lambda x: lax.integer_pow(x, 3),
    "lgamma": lax.lgamma, "log": lax.log, "log1p": lax.log1p, "logistic": lax.logistic,
    "rsqrt": lax.rsqrt, "sin": lax.sin, "sinh": lax.sinh, "sqrt": lax.sqrt, "square": lax.square,
    "tan": lax.tan, "tanh": lax.tanh, "sort": jnp.sort, "top_k": lambda x: lax.top_k(x, 2)[0],
    "approx_top_k": lambda x: lax.approx_max_k(x, 2)[0], "cumlogsumexp": lax.cumlogsumexp,
    "cummax": lax.cummax, "cummin": lax.cummin, "cumprod": lax.cumprod, "reduce_prod": jnp.prod,
    "reduce_max": jnp.max, "reduce_min": jnp.min, "clamp": lambda x: lax.clamp(0.3, x, 0.6),
    "random_gamma": lambda x: jax.random.gamma(jax.random.key(0), x),
    "scatter-max": lambda x: x.at[np.array([0, 1])].max(x[2:4]),
    "scatter-min": lambda x: x.at[np.array([0, 1])].min(x[2:4]),
    "polygamma": lambda x: lax.polygamma(jnp.ones_like(x), x),
    "ceil": lambda x: x * lax.ceil(x), "floor": lambda x: x * lax.floor(x),
    "round": lambda x: x * lax.round(x), "sign": lambda x: x * lax.sign(x),
    "stop_gradient": lambda x: x * lax.stop_gradient(x),
    "bitcast_convert_type": lambda x: x * lax.bitcast_convert_type(x, x.dtype),
    "random_bits": lambda x: x * jax.random.uniform(jax.random.key(1), x.shape, x.dtype),
    "debug_callback": lambda x: (jax.debug.callback(lambda _: None, x), x * x)[1],
    "log2": getattr(lax, "log2", None), "one_minus_square": getattr(lax, "one_minus_square", None),
    "nextafter": (lambda x: x * lax.nextafter(x, x + 1)) if HAS_RULE["nextafter"] else None,
    "is_finite": lambda x: jnp.where(lax.is_finite(x), x * x, 0.0),
    "argmax": lambda x: x * x[jnp.argmax(x)],
    "gt": lambda x: jnp.where(x > 0.5, x * x, x),
}  # fmt: skip
EXAMPLES = {
    **{name: (f, (X,)) for name, f in UNARY.items() if f is not None},
    "atan2": (lax.atan2, (X, X[::-1].copy())),
    "max": (lax.max, (X, X[::-1].copy())),
    "min": (lax.min, (X, X[::-1].copy())),
    "pow": (lax.pow, (X, X)),
    "rem": (lax.rem, (X, X[::-1].copy())),
    "igamma": (lax.igamma, (X, X)),
    "igammac": (lax.igammac, (X, X)),
    "regularized_incomplete_beta": (lambda x: lax.betainc(2.0 * np.ones(5), 3.0 * np.ones(5), x), (X,)),
    "reduce": (lambda m: lax.reduce(m, 0.0, lambda a, b: a + b + a * b, (0,)), (ROWS,)),
    "reduce_window_max": (lambda m: lax.reduce_window(m, -np.inf, lax.max, **WINDOW), (ROWS,)),
    "reduce_window_min": (lambda m: lax.reduce_window(m, np.inf, lax.min, **WINDOW), (ROWS,)),
    "cholesky": (lambda m: jnp.linalg.cholesky(m @ m.T), (M,)),
    "eig": (jnp.linalg.eigvals, (M,)),
    "eigh": (lambda m: jnp.linalg.eigh(m @ m.T), (M,)),
    "lu": (lambda m: lax.linalg.lu(m)[0], (M,)),
    "qr": (jnp.linalg.qr, (M,)),
    "svd": (lambda m: jnp.linalg.svd(m, full_matrices=False), (M,)),
}


def test_every_replaced_primitive_has_an_example(table):
    replaced = {name for name, row in table.items() if row.how == "replaced"}
    lacking = replaced - set(EXAMPLES) - {name for name, f in UNARY.items() if f is None}
    assert not lacking, f"add an example that uses {sorted(lacking)}"
    assert all(table[name].how in ("replaced", "constant") for name in EXAMPLES)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", EXAMPLES)
def test_no_tangent_reaches_a_primitive_that_is_said_to_see_none(name, table):
    f, args = EXAMPLES[name]
    assert name in primitives(jax.make_jaxpr(f)(*args).jaxpr), "the example does not use it"
    for way in ("forward", "reverse", "hessian"):
        if way == "hessian" and name in NO_HESSIAN_IN_JAX:
            continue
        found = seeing_a_tangent(linear_program(f, args, way))
        assert found, "the example has no derivative"
        wrong = {p: table[p].how for p in found if table[p].how not in ("rule", "followed")}
        assert not wrong, f"{way}: {wrong} see a tangent"


NO_HESSIAN_IN_JAX = {"igamma", "igammac", "eig"}


def test_the_search_for_tangents_looks_inside_loops_and_branches():
    def looped(x):
        x = lax.fori_loop(0, 3, lambda _, c: c[::-1] * 2.0, x)
        return lax.cond(x[0] > 0, lambda y: jnp.pad(y, 1), lambda y: jnp.concatenate([y, y[:2]]), x)

    found = seeing_a_tangent(linear_program(looped, (X,), "forward"))
    assert {"while", "cond", "rev", "pad", "concatenate"} <= found or {"scan", "cond", "rev"} <= found


def on_each_device(x):
    mesh = jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,))
    run = jax.shard_map(jnp.sin, mesh=mesh, in_specs=PartitionSpec("i"), out_specs=PartitionSpec("i"))
    return run(x)


DENSE = {
    "shard_map": on_each_device,
    "pure_callback": jax.custom_jvp(lambda x: jax.pure_callback(np.sin, x, x)),
}
DENSE["pure_callback"].defjvp(
    lambda primals, tangents: (
        jnp.sin(primals[0]),
        jax.pure_callback(lambda c, t: c * t, tangents[0], jnp.cos(primals[0]), tangents[0]),
    )
)


@pytest.mark.parametrize("name", DENSE)
def test_what_is_said_to_be_dense_is_dense_and_exact(name, table):
    f, x = DENSE[name], np.linspace(0.2, 0.8, 5, dtype=np.float32)
    assert table[name].how == "dense"
    assert name in primitives(jax.make_jaxpr(f)(x).jaxpr)
    found = jaxcalc.jacobian(f, format="structured", mode="forward")(x)
    assert found.nnz == 25
    np.testing.assert_allclose(found.todense(), np.diag(np.cos(x)), rtol=1e-6)
    with pytest.raises(
        NotImplementedError, match=rf"{name} .*jaxcalc.engine.register_rule\('{name}', mixes"
    ):
        jaxcalc.jacobian(f, format="structured", mode="forward", strict=True)(x)


def test_the_page_shows_the_table(table):
    shown = PAGE.read_text("utf-8").split("## The table")[1].split("\n\n", 2)[2]
    rows = tuple(table.values())
    assert shown == jaxcalc.engine.rules.coverage.Coverage(rows).markdown(), (
        "write jaxcalc.engine.coverage().markdown() below the first paragraph of 'The table' in "
        "docs/coverage.md"
    )


def test_the_table_prints():
    code = "import jaxcalc.engine; print(jaxcalc.engine.coverage())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["primitive", "how", "mixes", "note"]
    (cumsum,) = (line for line in lines if line.startswith("cumsum "))
    assert cumsum.split()[1:4] == ["rule", "its", "axis"]
    assert any(line.startswith("dense: no rule") for line in lines)


def test_what_register_rule_adds_is_in_the_table():
    before = len(jaxcalc.engine.coverage())
    undo = jaxcalc.engine.register_rule("primitive_for_the_table", mixes=(-1, 0))
    try:
        (row,) = (r for r in jaxcalc.engine.coverage() if r.primitive == "primitive_for_the_table")
        assert (row.how, row.mixes) == ("rule", "axis -1, axis 0")
    finally:
        undo()
    assert len(jaxcalc.engine.coverage()) == before
