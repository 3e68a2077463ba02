"""Functions inside of functions: calls, custom derivatives, loops and branches."""

from __future__ import annotations

import numpy as np

from tests.fuzz.scope import Scope, Value
from tests.fuzz.table import operation

_DEEPEST = 2


def _room(s: Scope) -> bool:
    return s.depth < _DEEPEST


def _small(v: Value) -> bool:
    return v.size <= 16


def _last(inner: Scope, _: list[Value]) -> str:
    return inner.values[-1].name


def _like_first(inner: Scope, given: list[Value]) -> str:
    """A value like the first parameter, which depends on what the steps made."""
    first = given[0]
    same = inner.same_shape(first.shape)
    last = inner.values[-1]
    text = f"0.5 * {first.name} + jnp.tanh({(same or first).name})"
    if last is not same and last.size:
        text += f" * jnp.mean({last.name})"
    return f"({text}).astype(jnp.{first.dtype.name})"


def _call(name: str, text: str) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(_small) if _room(s) else None
        f = v and s.function([(v.shape, v.dtype)], _last)
        return f and text.format(f=f, v=v.name)

    build.__name__ = name
    operation("nesting")(build)


_call("jitted", "jax.jit({f})({v})")
_call("checkpointed", "jax.checkpoint({f})({v})")
_call("called_twice", "(lambda g: g({v}) * g(0.3 * {v}))(jax.jit({f}))")
_call("gradient_of", "jax.grad(lambda t: jnp.sum(jnp.sin({f}(t))))({v})")
_call("tangent_of", "jax.jvp({f}, ({v},), (jnp.cos({v}),))[1]")
_call(
    "forward_jacobian_of",
    "jnp.sum(jax.jacfwd({f})({v}), axis=-1) if {v}.ndim else jax.jacfwd({f})({v})",
)


@operation("nesting")
def batched(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.shape[0] > 0 and _small(v)) if _room(s) else None
    if v is None:
        return None
    axis = s.pick.integer(0, v.rank - 1)
    if v.shape[axis] == 0:
        return None
    f = s.function([(v.shape[:axis] + v.shape[axis + 1 :], v.dtype)], _last)
    return f and f"jax.vmap({f}, in_axes={axis})({v.name})"


@operation("nesting")
def mapped(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.shape[0] > 0 and _small(v)) if _room(s) else None
    f = v and s.function([(v.shape[1:], v.dtype)], _last)
    return f and f"lax.map({f}, {v.name})"


@operation("nesting")
def with_custom_jvp(s: Scope) -> str | None:
    v = s.value(_small)
    if v is None:
        return None
    f = s.traits.name("f")
    s.define(
        f,
        f"@jax.custom_jvp\ndef {f}(t):\n    return jnp.sin(t)\n"
        f"{f}.defjvp(lambda p, t: ({f}(p[0]), 1.7 * jnp.cos(p[0]) * t[0]))",
    )
    return f"{f}({v.name})"


# value, the rule of forward mode and that of reverse mode, which need not be the value's derivative
_RULES = [
    ("jnp.sin(t)", "1.7 * jnp.cos(t) * d", "1.7 * jnp.cos(t) * d"),
    ("t * jnp.sum(t)", "jnp.cos(t) * d + 0.3 * jnp.sum(d)", "jnp.cos(t) * d + 0.3 * jnp.sum(d)"),
    ("jnp.roll(jnp.sin(t), 1)", "jnp.roll(jnp.cos(t) * d, 1)", "jnp.cos(t) * jnp.roll(d, -1)"),
]


@operation("nesting")
def with_custom_vjp(s: Scope) -> str | None:
    """JAX has no forward mode for it; its twin has one, and the same derivative."""
    v = s.value(_small)
    if v is None or s.depth:
        return None
    s.traits.has_forward = False
    f = s.traits.name("f")
    value, forward, backward = s.pick.of(_RULES)
    head = f"def {f}(t):\n    return {value}\n"
    s.define(
        f,
        f"@jax.custom_vjp\n{head}{f}.defvjp(lambda t: ({value}, t), lambda t, d: ({backward},))",
        twin=(
            f"@jax.custom_jvp\n{head}"
            f"{f}.defjvp(lambda p, ds: (lambda t, d: ({value}, {forward}))(p[0], ds[0]))"
        ),
    )
    return f"{f}({v.name})"


@operation("nesting")
def scanned(s: Scope) -> str | None:
    """The carry at the end, or what was stacked up."""
    v = s.value(_small) if _room(s) else None
    xs = v and s.value(lambda w: w.rank > 0 and 0 < w.shape[0] <= 5 and _small(w))
    if xs is None:
        return None
    f = s.function(
        [(v.shape, v.dtype), (xs.shape[1:], xs.dtype)],
        lambda inner, given: f"{_like_first(inner, given)}, jnp.sin({given[0].name})",
    )
    options = s.pick.of(["", ", reverse=True", ", unroll=2"])
    return f and f"lax.scan({f}, {v.name}, {xs.name}{options})[{s.pick.integer(0, 1)}]"


@operation("nesting")
def counted_loop(s: Scope) -> str | None:
    v = s.value(_small) if _room(s) else None
    if v is None:
        return None
    f = s.function([(v.shape, v.dtype)], _like_first)
    return (
        f and f"lax.fori_loop(0, {s.pick.integer(0, 3)}, lambda i, t: {f}(t * (1 + 0.1 * i)), {v.name})"
    )


@operation("nesting")
def loop_over_places(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and 1 < v.size <= 6) if _room(s) else None
    if v is None:
        return None
    step = "lambda i, t: t.at[i].set(jnp.sin(t[i - 1]) + 0.5 * t[i])"
    return f"lax.fori_loop(1, {v.size}, {step}, {v.name})"


@operation("nesting")
def banded_loop(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and 2 < v.size <= 8)
    times = s.pick.integer(1, 3)
    step = "jnp.sin(t) + 0.3 * jnp.roll(t, 1).at[0].set(0)"
    return v and f"lax.scan(lambda t, _: ({step}, None), {v.name}, None, length={times})[0]"


@operation("nesting")
def open_loop(s: Scope) -> str | None:
    """How often it runs depends on values; JAX has no reverse mode for it."""
    v = s.value(_small) if _room(s) else None
    if v is None or s.depth:
        return None
    f = s.function([(v.shape, v.dtype)], _like_first)
    if f is None:
        return None
    s.traits.has_reverse = False
    far = f"(jnp.sum(jnp.abs(c[1])) > 0.4) & (c[0] < {s.pick.integer(1, 4)})"
    return f"lax.while_loop(lambda c: {far}, lambda c: (c[0] + 1, {f}(c[1])), (0, {v.name}))[1]"


def _branches(name: str, text: str, count: int) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(_small) if _room(s) else None
        if v is None:
            return None
        at = s.value(lambda w: w.size > 0)
        fs = [s.function([(v.shape, v.dtype)], _like_first, steps=1) for _ in range(count)]
        if at is None or None in fs:
            return None
        return text.format(at=f"{at.name}.reshape(-1)[0]", fs=", ".join(map(str, fs)), v=v.name)

    build.__name__ = name
    operation("nesting")(build)


_branches("branched", "lax.cond({at} > 0.2, {fs}, {v})", 2)
_branches("branched_on_number", "lax.cond(True, {fs}, {v})", 2)
_branches("switched", "lax.switch(jnp.int32(3 * {at}), [{fs}], {v})", 3)
_branches(
    "branched_by_each",
    "jax.vmap(lambda t: lax.cond(t > 0.2, jnp.sin, lambda u: u * u, t))({v}.reshape(-1))",
    0,
)


@operation("nesting")
def associative(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.shape[0] > 0)
    how = s.pick.of(["a + b", "jnp.maximum(a, b)", "a * jnp.tanh(b)"])
    return v and f"lax.associative_scan(lambda a, b: {how}, {v.name})"


@operation("nesting")
def linear_recurrence(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.shape[0] > 0)
    step = "lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1])"
    return v and f"lax.associative_scan({step}, (jnp.tanh({v.name}), jnp.sin({v.name})))[1]"


@operation("nesting")
def counted_while(s: Scope) -> str | None:
    """A loop whose counter does not depend on x; JAX has no reverse mode for it all the same."""
    v = s.value(lambda v: v.rank == 1 and 2 < v.size <= 8)
    if v is None or s.depth:
        return None
    s.traits.has_reverse = False
    step = "jnp.cos(c[1]) + 0.3 * jnp.pad(c[1], 1)[2:]"
    below = f"c[0] < {s.pick.integer(1, 3)}"
    return f"lax.while_loop(lambda c: {below}, lambda c: (c[0] + 1, {step}), (0, {v.name}))[1]"


@operation("nesting")
def scan_of_places(s: Scope) -> str | None:
    """Each step reads and writes at places that the loop counts, or that it is given."""
    v = s.value(lambda v: v.rank == 1 and 2 < v.size <= 6)
    if v is None:
        return None
    step = "(t.at[i].add(jnp.sin(t[j])), t[i] * t[j])"
    rng = np.random.default_rng(s.pick.integer(0, 30))
    places = s.hold(rng.integers(0, v.size, (s.pick.integer(1, 4), 2)))
    out = s.pick.integer(0, 1)
    return f"lax.scan(lambda t, p: (lambda i, j: {step})(*p), {v.name}, jnp.asarray({places}))[{out}]"


@operation("nesting")
def scan_of_two(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and _small(v))
    w = v and s.value(lambda w: w.shape == v.shape and w.dtype == v.dtype)
    step = "((c[1], 0.4 * c[0] + jnp.tanh(c[1])), c[0] * c[1])"
    out = s.pick.of(["[0][0]", "[0][1]", "[1]"])
    length = s.pick.integer(1, 4)
    return w and f"lax.scan(lambda c, _: {step}, ({v.name}, {w.name}), None, length={length}){out}"


@operation("nesting")
def root(s: Scope) -> str | None:
    v = s.value(lambda v: _small(v) and v.is_double)
    if v is None:
        return None
    equation = f"lambda u: u - 0.3 * jnp.sin(u) - {v.name}"
    iterated = f"lambda g, u: lax.fori_loop(0, 20, lambda _, u: {v.name} + 0.3 * jnp.sin(u), u)"
    return f"lax.custom_root({equation}, {v.name}, {iterated}, lambda g, b: b / g(jnp.ones_like(b)))"


@operation("nesting")
def each_element(s: Scope) -> str | None:
    v = s.value(_small) if _room(s) else None
    f = v and s.function([((), v.dtype)], _like_first)
    return f and f"jnp.vectorize({f})({v.name})"


_call("cotangent_of", "jax.vjp({f}, {v})[1](jnp.ones_like({f}({v})))[0]")
_call("linearized", "(lambda out, push: jnp.sin(out) + push(jnp.cos({v})))(*jax.linearize({f}, {v}))")
_call("named_for_checkpoint", "jax.checkpoint(lambda t: jnp.sin({f}(jnp.sin(t))))({v})")
