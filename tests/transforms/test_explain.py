"""What `explain` says, and that what it says is what runs."""

import json
from xml.etree import ElementTree as ET

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from tests.transforms.golden.functions import stencil, vector

W = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)


def layers(x):
    hidden = jnp.tanh(x @ W)
    return jnp.tanh(hidden @ W)


def chain(x):
    return jnp.sum((x[1:] - x[:-1] ** 2) ** 2)


FUNCTIONS = {
    "diagonal": (jnp.sin, (9,), 1),
    "stencil": (stencil, (50,), 1),
    "batched layers": (layers, (8, 6), 1),
    "sum": (jnp.sum, (9,), 1),
    "arrow": (lambda x: (x + x[0]).at[0].add(jnp.sum(x)), (9,), 1),
    "loop": (lambda x: lax.fori_loop(0, 40, lambda _, y: jnp.sin(y), x), (9,), 1),
    "branch": (lambda x: lax.cond(x[0] > 0, jnp.sin, lambda y: y[::-1], x), (9,), 1),
    "dense": (lambda x: W @ x, (6,), 1),
    "chain, twice": (chain, (30,), 2),
    "squares, twice": (lambda x: jnp.sum(x**4), (30,), 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_counts_what_runs(name):
    f, shape, order = FUNCTIONS[name]
    x = jnp.linspace(0.1, 1.0, int(np.prod(shape))).reshape(shape)
    found = jaxcalc.explain(f, x, order=order)
    transform = jaxcalc.jacobian if order == 1 else jaxcalc.hessian
    derivative = transform(f, format="structured")(x)
    assert found.pattern == derivative.layout.pattern
    assert found.chosen.name.startswith("structured")
    assert found.chosen.products == max(line.lanes for line in found.lines) if found.lines else True
    assert [way.is_chosen for way in found.methods] == [True] + [False] * (len(found.methods) - 1)
    assert json.loads(json.dumps(found.to_dict()))["pattern"]["nonzeros"] == derivative.nnz
    text = str(found)
    assert text.splitlines()[0].startswith("Hessian" if order == 2 else found.term)
    assert max(map(len, text.splitlines())) <= 120


def test_the_whole_text():
    found = jaxcalc.explain(stencil, jax.ShapeDtypeStruct((50,), jnp.float32))
    expected = """\
Jacobian   float32[50] -> float32[48]
entries    48 x 50, 144 nonzeros (6 %), banded (lower 0, upper 2)
format     structured
plan       structured, forward, 3 lanes
fallbacks  none"""
    assert str(found).startswith(expected)
    assert "methods" in str(found)
    assert "dense, forward" in str(found)


def test_lines_name_the_source():
    found = jaxcalc.explain(layers, jnp.ones((8, 6)))
    first, second = (line for line in found.lines if line.place.startswith("test_explain.py"))
    assert int(second.place.split(":")[1]) == int(first.place.split(":")[1]) + 1
    assert first.lanes == second.lanes == 6
    assert "dot_general" in first.operations


def test_fallbacks_are_named():
    @jax.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, c: (c / jnp.sum(c**2),))
    found = jaxcalc.explain(lambda x: clipped(x) * 2, jnp.ones(3), mode="reverse")
    assert len(found.fallbacks) == 1
    assert "test_explain.py" in found.fallbacks[0]
    assert found.fallbacks[0] in str(found)


def test_dense_formats_compare_with_plain_jax():
    found = jaxcalc.explain(layers, jnp.ones((8, 6)), format="dense")
    assert found.chosen.name.startswith(("structured", "dense"))
    tiny = jaxcalc.explain(lambda x: x**2, jnp.ones(3), format="dense")
    assert tiny.chosen.name.startswith("dense")
    assert tiny.lines_of.startswith("structured"), "its steps are shown though another way is taken"
    assert "steps, if it were structured" in str(tiny)


def test_it_measures_when_asked():
    found = jaxcalc.explain(stencil, vector(50), analyze=True)
    m = found.measured
    assert min(m.seconds, m.seconds_of_f, m.seconds_to_compile, m.estimated_seconds) > 0
    assert m.error == m.seconds / m.estimated_seconds
    assert m.output == 4 * found.pattern.nnz
    for word in ("measured", "estimated", "compiled", "times f", "workspace", "result 576 B"):
        assert word in str(found)
    assert found.to_dict()["measured"]["workspace"] >= 0
    assert "measured" not in str(jaxcalc.explain(stencil, vector(50)))


def test_inside_a_trace_it_explains_and_does_not_run():
    found = []

    @jax.jit
    def run(x):
        found.append(jaxcalc.explain(stencil, x))
        return x

    run(jnp.ones(50))
    assert str(found[0]) == str(jaxcalc.explain(stencil, vector(50)))
    with pytest.raises(ValueError, match=r"jaxcalc.explain: analyze=True runs .* outside of jax.jit"):
        jax.jit(lambda x: jaxcalc.explain(stencil, x, analyze=True))(jnp.ones(50))


@pytest.mark.parametrize("kind", ["structured", "bcoo", "dense"])
@pytest.mark.parametrize("wide", [False, True])
def test_the_strictest_settings(kind, wide):
    with (
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
        jax.debug_nans(True),
        jax.enable_x64(wide),
    ):
        found = jaxcalc.explain(stencil, jnp.linspace(0.0, 1.0, 50), format=kind, analyze=True)
        assert found.pattern.nnz == 144
        assert jaxcalc.explain(chain, jnp.ones(20), order=2, format=kind).pattern.nnz == 58
        assert found._repr_html_()


def test_names_and_several_arguments():
    def f(x, scale, shift):
        return scale * x + shift

    arguments = jnp.ones(5), 2.0, jnp.ones(5)
    both = jaxcalc.explain(f, *arguments, argnums=(0, 1))
    assert [(b.input, b.shape, b.nonzeros) for b in both.blocks] == [
        ("[0]", (5, 5), 5),
        ("[1]", (5,), 5),
    ]
    named = jaxcalc.explain(f, arguments[0], shift=arguments[2], scale=2.0, argnames="shift")
    assert (named.pattern.shape, str(named.pattern.structure)) == ((5, 5), "diagonal")
    assert jaxcalc.explain(f, *arguments, argnames=("x", "scale")).blocks == both.blocks


def test_notebooks_show_a_table_and_the_pattern():
    html = jaxcalc.explain(lambda x: x[1:] * x[:-1], jnp.ones(5))._repr_html_()
    tables = ET.fromstring(html).findall(".//table")
    captions = [table.findtext("caption") for table in tables]
    assert captions == [None, "methods", "steps"]
    assert "structured, forward" in html
    svg = ET.fromstring(html).find(".//svg")
    assert svg.get("aria-label") == "sparsity pattern, 4 x 5"
    assert "color" not in html.replace("currentColor", "").lower(), "the page's own colors do"


def test_a_picture_stays_small():
    for f in (lambda x: x * 2, lambda x: x[:50] * x.reshape(-1, 50).sum(0)):
        assert len(jaxcalc.explain(f, vector(1_000_000))._repr_html_()) < 20_000


def test_bad_requests():
    with pytest.raises(ValueError, match=r"jaxcalc.explain: order must be 1 .* got 3"):
        jaxcalc.explain(jnp.sin, 1.0, order=3)
    with pytest.raises(ValueError, match=r"jaxcalc.explain: unknown format 'coo'.*dense.*structured"):
        jaxcalc.explain(jnp.sin, 1.0, format="coo")
    with pytest.raises(TypeError, match=r"lax\.cond"):
        jaxcalc.explain(lambda x: x if x > 0 else -x, 1.0)
    with pytest.raises(TypeError, match="expected a function"):
        jaxcalc.explain(3, 1.0)
    with pytest.raises(ValueError, match=r"jaxcalc.explain: unknown mode 'up'.*auto.*forward.*reverse"):
        jaxcalc.explain(jnp.sin, 1.0, mode="up")
    for limit in (0, -1, "1 gigabyte or so"):
        with pytest.raises(
            ValueError, match=r"jaxcalc.explain: memory_limit must be a positive number"
        ):
            jaxcalc.explain(jnp.sin, 1.0, memory_limit=limit)
    with pytest.raises(ValueError, match=r"jaxcalc.explain: memory_limit=8 \(8 B\) is less than"):
        jaxcalc.explain(layers, jnp.ones((8, 6)), format="dense", memory_limit=8)
    with pytest.raises(ValueError, match=r"jaxcalc.explain: the dense derivative, 10000000 x 10000000"):
        jaxcalc.explain(jnp.sin, vector(10_000_000), format="dense", memory_limit=10**9)
