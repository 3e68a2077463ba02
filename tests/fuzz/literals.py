"""Numbers of Python as operands: in a jaxpr they are literals, not variables."""

from __future__ import annotations

from tests.fuzz.scope import Scope, Value
from tests.fuzz.table import operation, templates

_NUMBERS = ["2.0", "0.5", "-1.0", "0.0", "3", "-2"]


def _of_number(name: str, text: str, fits: str = "any") -> None:
    """An operation for one of the numbers, {k}."""

    def build(s: Scope) -> str | None:
        v = s.value(_FITS[fits])
        return v and text.format(v=v.name, k=s.pick.of(_NUMBERS))

    build.__name__ = name
    operation("literals")(build)


def _is_line(v: Value) -> bool:
    return v.rank == 1 and v.size > 0


_FITS = {"any": lambda _: True, "line": _is_line, "filled": lambda v: v.rank > 0 and v.size > 0}

for _name, _text, _fits in [
    ("number_dot", "jnp.dot({k}, {v})", "any"),
    ("dot_number", "jnp.dot({v}, {k})", "any"),
    ("number_tensordot", "jnp.tensordot({k}, {v}, 0)", "any"),
    ("number_einsum", "jnp.einsum(',...->...', {k}, {v})", "any"),
    ("einsum_number", "jnp.einsum('...,->...', {v}, {k})", "any"),
    ("number_inner", "jnp.inner({k}, {v})", "any"),
    ("number_outer", "jnp.outer({k}, {v})", "any"),
    ("number_kron", "jnp.kron({k}, {v})", "line"),
    ("number_dot_general", "lax.dot_general({k} * 1.0, {v}, (((), ()), ((), ())))", "any"),
    ("dot_general_number", "lax.dot_general({v}, {k} * 1.0, (((), ()), ((), ())))", "any"),
    ("number_convolved", "jnp.convolve({v}, jnp.full(1, {k}))", "line"),
    ("number_multiplied", "jnp.multiply({k}, {v})", "any"),
    ("number_divided", "jnp.divide({v}, 1 + {k} ** 2)", "any"),
    ("number_subtracted", "{k} - {v}", "any"),
    ("number_padded", "lax.pad({v}, jnp.asarray({k}, {v}.dtype), [(1, 1, 0)] * {v}.ndim)", "any"),
    ("number_set", "{v}.at[0].set({k})", "filled"),
    ("number_added_at", "{v}.at[..., -1].add({k})", "filled"),
    ("number_multiplied_at", "{v}.at[0].mul({k}, unique_indices=True)", "filled"),
    ("number_selected", "jnp.where({v} > 0.1, {v}, {k})", "any"),
    ("number_between", "jnp.clip({v}, -abs({k}), abs({k}))", "any"),
    ("number_filled", "jnp.full_like({v}, {k}) * {v}", "any"),
    ("number_concatenated", "jnp.append({v}, {k})", "line"),
    ("number_in_a_call", "jax.jit(lambda a, b: jnp.dot(a, b))({k}, {v})", "any"),
    ("number_in_a_checkpoint", "jax.checkpoint(lambda a, b: jnp.dot(a, jnp.sin(b)))({k}, {v})", "any"),
    ("number_in_a_branch", "lax.cond({v}.sum() > 0, lambda a, b: a * b, lambda a, b: a - b, {k}, {v})", "any"),
    ("number_carried", "lax.scan(lambda c, t: (c * 0.5 + jnp.sum(t), c + t), {k} * 1.0, {v})", "filled"),
    ("number_counted", "lax.fori_loop(0, 2, lambda i, t: jnp.dot({k}, t) + i, {v})", "any"),
    ("number_to_a_power", "(1 + abs({k})) ** jnp.tanh({v})", "any"),
    ("number_of_a_rule", "(lambda g: (g.defjvp(lambda p, t: (g(*p), p[0] * t[1] + p[1] * t[0])), g)[1])"
     "(jax.custom_jvp(lambda a, b: jnp.dot(a, b)))({k} * 1.0, {v})", "any"),
    ("number_integrated", "jnp.trapezoid({v}, dx={k})", "filled"),
    ("number_polynomial", "jnp.polyval(jnp.array([1.0, {k}]), {v})", "any"),
    ("number_linear_solve", "{v} / (2.0 * jnp.dot({k}, {k}) + 1)", "any"),
    ("number_mapped", "jax.vmap(lambda a, b: jnp.dot(a, b), (None, 0))({k}, {v})", "filled"),
]:  # fmt: skip
    if _name == "number_carried":
        _text += "[1]"
    _of_number(_name, _text, _fits)

templates(
    "literals",
    """
    dot_of_dots: jnp.dot(2.0, jnp.dot({v}, 0.5))
    dot_of_zero: {v} + jnp.dot(0.0, jnp.sin({v}))
    complex_number: jnp.real(jnp.dot(1j, jnp.dot({v}, 1 - 1j)))
    """,
)
