"""The tables of `explain`: steps, blocks of pytrees, branches and loops, against what runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.branches import branches
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.planning.findings import Branch

W = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)


def line_of(function):
    """The line after the `def`."""
    return f"test_explain_tables.py:{function.__code__.co_firstlineno + 1}"


def all_shapes(jaxpr):
    for eqn in jaxpr.eqns:
        yield from (tuple(v.aval.shape) for v in eqn.outvars)
        for inner in equations.programs(eqn):
            yield from all_shapes(inner)


@pytest.mark.parametrize("width", [6, 3])
def test_lanes_and_nonzeros_are_those_of_the_program_that_runs(width):
    def f(x):
        return jnp.tanh(x @ W[:width, :width])

    x = jnp.ones((9, width))
    found = jaxcalc.explain(f, x)
    ran = jaxcalc.jacobian(f, format="structured")(x)
    assert found.pattern.nnz == ran.nnz == ran.values.size == 9 * width**2
    program = jax.make_jaxpr(lambda x: jaxcalc.jacobian(f, format="structured")(x).values)(x).jaxpr
    lanes = {shape[0] for shape in all_shapes(program) if shape[1:] == (9, width)}
    assert lanes - {1} == {found.chosen.products} == {width}
    assert [line.lanes for line in found.lines] == [width]
    assert found.lines[0].entries == ran.nnz


def test_the_line_that_makes_it_dense_is_marked():
    def f(x):
        y = jnp.sin(x)
        y = y[1:] * y[:-1]
        y = y / jnp.sum(y)
        return jnp.exp(y)

    found = jaxcalc.explain(f, jnp.linspace(1.0, 2.0, 50))
    first = f.__code__.co_firstlineno
    noted = {int(line.place.split(":")[1]) - first: line.note for line in found.lines}
    assert noted == {1: "", 2: "", 3: "becomes dense here", 4: ""}
    assert "becomes dense here" in str(found)

    def helper(a):
        return a[1:] * 2 + a[:-1]

    def again(x):  # the line of the helper is met with few lanes first
        y = helper(x)
        y = jnp.sin(y)
        return helper(y)

    found = jaxcalc.explain(again, jnp.ones(20))
    assert [line.note for line in found.lines if line.place == line_of(helper)] == [
        "most lanes from here"
    ]
    found = jaxcalc.explain(lambda x: x * 2, jnp.ones(20))
    assert not any(line.note for line in found.lines), "one lane is none to note"


def test_every_block_of_pytrees_is_told():
    def f(p, x, n):
        return {"y": x @ p["w"] + p["b"], "n": x**2}, jnp.sum(p["b"])

    p = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
    found = jaxcalc.explain(f, p, jnp.ones(4), 3, argnums=(0, 1))
    ran = jaxcalc.jacobian(f, argnums=(0, 1))(p, jnp.linspace(1.0, 2.0, 4), 3)
    told = {(b.output, b.input): b for b in found.blocks}
    assert len(told) == len(found.blocks) == 9
    shown = {"": "(output)"}
    for path, array in jax.tree_util.tree_leaves_with_path(ran):
        name = jax.tree_util.keystr(path)
        block = next(b for (o, i), b in told.items() if o + i == name)
        assert block.shape == array.shape
        assert block.nonzeros == np.count_nonzero(array)
        assert shown.get(block.output, block.output) in str(found)
    assert told["[0]['n']", "[1]"].structure == "diagonal"
    assert told["[1]", "[0]['w']"].structure == "empty"
    assert sum(b.nonzeros for b in found.blocks) == found.pattern.nnz
    assert found.to_dict()["blocks"][0]["shape"] == list(found.blocks[0].shape)
    assert not jaxcalc.explain(jnp.sin, jnp.ones(3)).blocks, "one block is told by the pattern"


def test_many_blocks_are_cut_short_in_the_text():
    found = jaxcalc.explain(lambda xs: [2 * x for x in xs], [jnp.ones(2)] * 6)
    assert len(found.blocks) == 36
    assert "... and 16 more" in str(found)
    assert str(found).count("diagonal") == 4, "the whole and three of six"
    dense = jaxcalc.explain(lambda xs: [2 * x for x in xs], [jnp.ones(2)] * 6, format="dense")
    assert dense.blocks == found.blocks


def cond_and_loops(x):
    y = lax.cond(x[0] > 0, jnp.sin, lambda y: jnp.sum(jnp.outer(y, jnp.cos(y)), axis=1), x)
    y = lax.scan(lambda c, _: (jnp.sin(c), None), y, None, length=3000)[0]
    return lax.while_loop(lambda c: jnp.sum(c) > 3, lambda c: c / 2, y)


def test_branches_and_loops_of_f():
    closed = jax.make_jaxpr(cond_and_loops)(jnp.ones(10))
    first = cond_and_loops.__code__.co_firstlineno
    cond, scan, loop = (f"test_explain_tables.py:{first + i}" for i in (1, 2, 3))
    vector, matrix = 40, 400
    assert branches(closed.jaxpr.eqns) == [
        Branch(cond, "cond", "branch 0", "both", vector + matrix),
        Branch(cond, "cond", "branch 1", "both", vector),
        Branch(scan, "scan", "body", "both", vector),
        Branch(loop, "while", "condition", "both", 4 + 1),
        Branch(loop, "while", "body", "both", vector),
    ]
    assert branches(closed.jaxpr.eqns, times=3)[-1].peak_bytes == 3 * vector


@pytest.mark.parametrize("options", [{}, {"format": "dense"}, {"format": "dense", "mode": "forward"}])
def test_branches_and_loops_of_what_runs(options):
    x = jnp.ones(100)
    found = jaxcalc.explain(cond_and_loops, x, **options)
    program = jax.make_jaxpr(
        lambda x: jax.tree.leaves(
            jaxcalc.jacobian(cond_and_loops, **{"format": "structured"} | options)(x)
        )
    )(x)
    peaks = {(b.operation, b.branch): set() for b in found.branches}
    for b in branches(program.jaxpr.eqns, "anywhere"):
        peaks.setdefault((b.operation, b.branch), set()).add(b.peak_bytes)
    first = cond_and_loops.__code__.co_firstlineno
    lines = {"cond": first + 1, "scan": first + 2, "while": first + 3}
    for b in found.branches:
        assert b.place == f"test_explain_tables.py:{lines[b.operation]}"
        assert b.peak_bytes in peaks[b.operation, b.branch], b
    assert {"branch 0", "branch 1", "body", "condition"} == {b.branch for b in found.branches}
    computes = {b.computes for b in found.branches}
    assert computes == {"tangents" if found.chosen.name.startswith("structured") else "both"}
    assert found.peak_of_branches == max(b.peak_bytes for b in found.branches)
    assert found.to_dict()["control_flow"]["peak_bytes"] == found.peak_of_branches
    assert len(found.to_dict()["control_flow"]["branches"]) == len(found.branches)
    assert "control flow" in str(found)
    assert "branch 1" in found._repr_html_()


def test_what_f_computes_is_told_apart():
    def f(x):
        return lax.cond(x[0] > 0, jnp.sin, lambda x: jnp.sum(jnp.outer(x, jnp.cos(x)), axis=1), x)

    found = jaxcalc.explain(f, jnp.ones(100), mode="reverse")
    assert [(b.branch, b.computes) for b in found.branches] == [
        ("branch 0", "values"),
        ("branch 1", "values"),
        ("branch 0", "tangents"),
        ("branch 1", "tangents"),
    ]
    assert found.branches[0].peak_bytes > 4 * 100 * 100 > found.branches[1].peak_bytes
    assert found.branches[2].peak_bytes > 4 * 100 * 100


def test_loops_inside_loops_and_none():
    def nested(x):
        def step(c, _):
            return lax.cond(c[0] > 0, jnp.sin, jnp.cos, c), None

        return lax.scan(step, x, None, length=2000)[0]

    found = jaxcalc.explain(nested, jnp.ones(5))
    assert {(b.operation, b.branch) for b in found.branches} == {
        ("scan", "body"),
        ("cond", "branch 0"),
        ("cond", "branch 1"),
    }
    assert jaxcalc.explain(jnp.sin, jnp.ones(5)).branches == ()
    assert "control flow" not in str(jaxcalc.explain(jnp.sin, jnp.ones(5)))


def test_results_count_where_they_are_asked_for():
    program = jax.make_jaxpr(lambda x: jnp.sin(jnp.cos(x)))(jnp.ones(100)).jaxpr
    assert peak_bytes(program) == 400
    assert peak_bytes(program, with_results=True) == 800
