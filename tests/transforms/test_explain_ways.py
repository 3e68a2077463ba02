"""That `explain` names the way which a call under `jax.jit` takes, and why the others are not taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from jaxcalc.methods import batched
from jaxcalc.methods.composite import Product
from jaxcalc.methods.dense import Dense
from jaxcalc.methods.derivative import Derivative
from jaxcalc.methods.mixed import Mixed

W = np.random.default_rng(0).normal(size=(70, 70)).astype(np.float32)


@jax.custom_vjp
def reverse_rule(x):
    return x**2


reverse_rule.defvjp(lambda x: (x**2, x), lambda x, c: (2 * x * c,))


def layers(x):
    return jnp.tanh(jnp.tanh(x @ W) @ W)


def stencil(x):
    return jnp.sin(x[1:]) * jnp.exp(x[:-1])


def doubled_until_large(x):
    return lax.while_loop(lambda y: jnp.sum(y) < 10.0, lambda y: 2 * y, x)


def hourglass(x):
    return layers(jnp.tanh(x @ W[:, :1]) @ W[:1])


CALLS = {
    "structure pays": (stencil, 400, {}),
    "too small": (jnp.sin, 5, {}),
    "wide": (lambda x: layers(x)[:7], 70, {}),
    "tall": (lambda x: layers(jnp.tile(x, 10)), 7, {}),
    "one direction": (doubled_until_large, 9, {}),
    "the other direction": (lambda x: reverse_rule(x) * 2, 9, {}),
    "many outputs of a rule for reverse": (lambda x: jnp.tile(reverse_rule(x), 40), 9, {}),
    "neither": (lambda x: reverse_rule(doubled_until_large(x)), 9, {}),
    "forward on demand": (stencil, 400, {"mode": "forward"}),
    "reverse on demand": (stencil, 400, {"mode": "reverse"}),
    "forward by a transpose": (lambda x: reverse_rule(x) * 2, 9, {"mode": "forward"}),
    "little memory": (stencil, 400, {"memory_limit": 20_000}),
    "less memory": (layers, 70, {"memory_limit": 3_000}),
    "complex outputs": (lambda x: jnp.exp(1j * x[:3]), 9, {"mode": "reverse"}),
    "complex outputs in little memory": (
        lambda x: jnp.exp(1j * x),
        90,
        {"mode": "reverse", "memory_limit": 20_000},
    ),
    "bottleneck": (hourglass, 70, {}),
    "curvature": (lambda x: jnp.sum(stencil(x) ** 2), 400, {"order": 2}),
    "curvature of little": (lambda x: jnp.sum(x**3), 4, {"order": 2}),
    "curvature in little memory": (
        lambda x: jnp.sum(layers(x)),
        70,
        {"order": 2, "memory_limit": 9_000},
    ),
    "curvature by reverse": (lambda x: jnp.sum(x**3), 4, {"order": 2, "mode": "reverse"}),
    "curvature by forward": (lambda x: jnp.sum(x**3), 4, {"order": 2, "mode": "forward"}),
    "curvature of a loop": (lambda x: jnp.sum(doubled_until_large(x) ** 2), 4, {"order": 2}),
    "curvature of a vector": (lambda x: x**3, 4, {"order": 2}),
}


class Seen:
    """What a call does, seen from inside."""

    def __init__(self, calls_of):
        self.name = ""
        self.blocks = 1
        for method in (Dense, Product, Mixed):
            calls_of(method, "run", self.by_jax)
        calls_of(Derivative, "__call__", self.structured)
        calls_of(batched, "products_with_basis", self.products)

    def by_jax(self, args, kwargs):
        self.name = args[0].name

    def structured(self, args, kwargs):
        linear_map = args[0].linear_map
        self.name = f"structured, {linear_map.replace('hessian', 'forward over reverse')}"
        if args[0].compression is not None:
            self.name = self.name.replace("structured", "compressed")
            self.blocks = -(-args[0].compression.products // args[0].compression.block)

    def products(self, args, kwargs):
        total = sum(np.size(x) for x in args[1])
        self.blocks = -(-total // min(total, kwargs["block"]))


@pytest.mark.parametrize("name", CALLS)
def test_what_it_says_is_what_runs(name, calls_of):
    f, size, options = CALLS[name]
    order, rest = options.get("order", 1), {k: v for k, v in options.items() if k != "order"}
    x = jnp.linspace(0.1, 0.9, size)
    found = jaxcalc.explain(f, x, format="dense", **options)
    seen = Seen(calls_of)
    transform = jaxcalc.jacobian if order == 1 else jaxcalc.hessian
    jax.make_jaxpr(transform(f, **rest))(x)
    assert (found.chosen.name, found.chosen.blocks) == (seen.name, seen.blocks)
    assert seen.name
    if "memory_limit" in options:
        assert found.chosen.workspace <= options["memory_limit"]
        assert found.chosen.blocks > 1 or found.chosen.name.startswith("structured")


def batch(x):
    return layers(x.reshape(10, 70))


SPARSE_CALLS = {
    "stencil": (stencil, 400, {}),
    "loop": (doubled_until_large, 9, {}),
    "in little memory": (batch, 700, {"memory_limit": 300_000}),
    "in less memory": (batch, 700, {"memory_limit": 250_000, "mode": "reverse"}),
    "wide in little memory": (lambda x: batch(x)[:, 0], 700, {"memory_limit": 60_000}),
    "curvature": (lambda x: jnp.sum(stencil(x) ** 2), 400, {"order": 2}),
}


@pytest.mark.parametrize("name", SPARSE_CALLS)
def test_what_it_says_of_sparse_formats_is_what_runs(name, calls_of):
    f, size, options = SPARSE_CALLS[name]
    order, rest = options.get("order", 1), {k: v for k, v in options.items() if k != "order"}
    x = jnp.linspace(0.1, 0.9, size)
    found = jaxcalc.explain(f, x, **options)
    seen = Seen(calls_of)
    transform = jaxcalc.jacobian if order == 1 else jaxcalc.hessian
    jax.make_jaxpr(transform(f, format="structured", **rest))(x)
    assert (found.chosen.name, found.chosen.blocks) == (seen.name, seen.blocks)
    if "memory_limit" in options:
        assert found.chosen.workspace <= options["memory_limit"]
        assert found.chosen.name.startswith("compressed")
        turns = f"products in {found.chosen.blocks} blocks of {found.chosen.block}"
        assert turns in str(found) or found.chosen.products == 1
        assert {way.note for way in found.methods if way.name.startswith("structured")} >= {
            "above memory_limit"
        }


def loss_and_curve(p, x):
    steps = jnp.arange(1000.0)  # too many to be followed one by one
    curve = (
        jnp.exp(-steps * p["few"][0])
        + lax.scan(lambda c, t: (c, jnp.sin(c * t)), p["few"][1], steps)[1]
    )
    return {"loss": jnp.sum(jnp.tanh(p["many"] @ x) ** 2), "curve": curve}


@pytest.mark.parametrize("limit", [None, 30_000])
@pytest.mark.parametrize("abstract", [False, True])
def test_outputs_in_directions_of_their_own(limit, abstract, calls_of):
    p = {"few": jnp.ones(2), "many": jnp.ones((200, 10))}
    x = jnp.ones(10)
    given = jax.eval_shape(lambda: (p, x)) if abstract else (p, x)
    found = jaxcalc.explain(loss_and_curve, *given, format="dense", memory_limit=limit)
    seen = Seen(calls_of)
    jax.make_jaxpr(jaxcalc.jacobian(loss_and_curve, memory_limit=limit))(p, x)
    assert found.chosen.name == seen.name == "dense, in both directions"
    assert found.chosen.products == 3
    assert found.chosen.note == "2 forward, 1 in reverse"
    assert found.chosen.work < min(
        way.work for way in found.methods[1:] if way.name.startswith("dense")
    )
    assert ("scan", "body") in {(b.operation, b.branch) for b in found.branches}
    with pytest.raises(ValueError, match="memory_limit=50"):
        jaxcalc.explain(loss_and_curve, p, x, format="dense", memory_limit=50)


def test_nothing_to_differentiate_or_by():
    for f in (lambda x: x[:0], lambda x: (), lambda x: jnp.ones(3)):
        for kind in ("structured", "dense"):
            for mode in ("auto", "forward", "reverse"):
                found = jaxcalc.explain(f, jnp.ones(3), format=kind, mode=mode)
                assert found.pattern.nnz == 0
                assert str(found)
                assert found._repr_html_()
    found = jaxcalc.explain(lambda x: 2 * x, jnp.ones(0), format="dense")
    assert found.pattern.shape == (0, 0)


def test_every_kind_of_way_is_among_them():
    names = {
        jaxcalc.explain(f, jnp.ones(n), format="dense", **o).chosen.name for f, n, o in CALLS.values()
    }
    assert {"structured, forward", "dense, forward", "dense, reverse"} <= names
    assert {"structured, forward over reverse", "dense, forward over reverse"} <= names
    assert {"dense, reverse over reverse", "dense, forward over forward"} <= names


def reasons(found):
    return {way.name: way.note for way in found.methods if not way.is_possible}


def test_impossible_ways_say_why():
    found = jaxcalc.explain(doubled_until_large, jnp.ones(3))
    assert set(reasons(found)) == {"structured, reverse", "dense, reverse"}
    for text in reasons(found).values():
        assert text.startswith("while (test_explain_ways.py:")
        assert text.endswith(") has no reverse mode")
        assert text in str(found)
        assert text in found._repr_html_()
    impossible = [way for way in found.to_dict()["methods"] if not way["is_possible"]]
    assert [way["work"] for way in impossible] == [None, None]

    found = jaxcalc.explain(lambda x: reverse_rule(x), jnp.ones(3), format="dense")  # noqa: PLW0108
    assert reasons(found)["dense, forward"].startswith("custom_vjp_call (test_explain_ways.py:")
    forward = next(way for way in found.methods if way.name == "structured, forward")
    assert forward.note.endswith("by the transpose of its rule")

    found = jaxcalc.explain(stencil, jnp.ones(3), mode="reverse")
    assert reasons(found) == dict.fromkeys(
        ["structured, forward", "dense, forward"], "mode='reverse' was asked for"
    )
    found = jaxcalc.explain(lambda x: x**3, jnp.ones(3), order=2, format="dense")
    assert "needs a scalar output" in reasons(found)["structured, forward over reverse"]

    found = jaxcalc.explain(jnp.abs, jnp.ones(3, complex))
    assert "only where f is holomorphic" in reasons(found)["structured, forward"]


def test_what_is_too_dense_for_its_structure_says_where(monkeypatch):
    from jaxcalc.call.request import Request

    monkeypatch.setitem(Request.__init__.__kwdefaults__, "entry_limit", 3_000)

    def fresh(x):
        return jnp.tanh(jnp.tanh(x @ W) @ W)

    found = jaxcalc.explain(fresh, jnp.ones(70), format="dense")
    assert "too dense: " in reasons(found)["structured, forward"]
    assert "test_explain_ways.py:" in reasons(found)["structured, forward"]
    assert found.chosen.name == "dense, forward"
    assert (found.pattern, found.lines) == (None, ())
    with pytest.raises(ValueError, match=r"jaxcalc.explain: .* too dense .*test_explain_ways.py:"):
        jaxcalc.explain(fresh, jnp.ones(70))


def test_bottlenecks_are_shown_with_their_cuts():
    found = jaxcalc.explain(hourglass, jnp.ones(70), format="dense")
    assert [(p.inputs, p.outputs, p.direction) for p in found.parts] == [
        (70, 1, "reverse"),
        (1, 70, "forward"),
    ]
    assert found.parts[0].ends.startswith("test_explain_ways.py:")
    way = next(way for way in found.methods if way.name == "dense, product of parts")
    assert way.products == 2
    assert way.work < min(other.work for other in found.methods if other is not way)
    assert not jaxcalc.explain(hourglass, jnp.ones(70)).parts, "a question of dense derivatives"


def test_ways_are_prepared_once(calls_of):
    made = calls_of(Derivative, "__init__", lambda args, kwargs: (args[3], kwargs["is_dense"]))
    jaxcalc.explain(lambda x: x[1:] * x[:-1], jnp.ones(50))
    assert sorted(made) == [("forward", False), ("reverse", False)]
    made.clear()
    jaxcalc.explain(lambda x: jnp.sum(x**4), jnp.ones(50), order=2)
    assert made == [("hessian", False)]
