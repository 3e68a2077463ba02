"""Sums, products, extrema, cumulative ones, and sorting along axes."""

from __future__ import annotations

from tests.fuzz.scope import Scope, Value
from tests.fuzz.table import operation


def _filled(v: Value) -> bool:
    return v.rank > 0 and v.size > 0


def _axes(s: Scope, v: Value) -> str:
    """A reduced axis, several of them or all."""
    kind = s.pick.of(["one", "all", "last", "pair"])
    if kind == "all":
        return "axis=None"
    keep = s.pick.of(["", ", keepdims=True"])
    if kind == "pair" and v.rank > 1:
        return f"axis=(0, {v.rank - 1}){keep}"
    return f"axis={s.axis(v) if kind == 'one' else -1}{keep}"


def _reduction(name: str, text: str, *, tight: bool = False) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(_filled)
        return v and text.format(v=v.name, axes=_axes(s, v))

    build.__name__ = name
    operation("reductions", tight=tight)(build)


_reduction("sum_", "jnp.sum({v}, {axes})", tight=True)
_reduction("mean", "jnp.mean(jnp.sin({v}), {axes})", tight=True)
_reduction("prod", "jnp.prod(1 + 0.3 * jnp.sin({v}), {axes})")
_reduction("logsumexp", "jax.scipy.special.logsumexp({v}, {axes})")
_reduction("max_", "jnp.max({v}, {axes})")
_reduction("min_", "jnp.min({v}, {axes})")
_reduction("variance", "jnp.var({v}, {axes})")
_reduction("norm", "jnp.sqrt(1 + jnp.sum({v} ** 2, {axes}))")
_reduction("length", "jnp.linalg.norm(1.5 + jnp.abs({v}).reshape(-1))")
_reduction("any_of", "{v} * jnp.any({v} > 0.3, {axes}).astype({v}.dtype).sum()")
_reduction("spread", "jnp.ptp({v}, {axes})")
_reduction("sum_where_positive", "jnp.sum({v}, {axes}, where={v} > 0)")


@operation("reductions")
def sum_of_empty(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.size == 0)
    return v and f"jnp.sum({v.name}, axis={s.axis(v)})"


def _along(name: str, text: str, *, tight: bool = False) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(_filled)
        return v and text.format(v=v.name, axis=s.axis(v), rev=s.pick.of([False, True]))

    build.__name__ = name
    operation("reductions", tight=tight)(build)


_along("cumsum", "lax.cumsum({v}, {axis}, reverse={rev})")
_along("cumprod", "lax.cumprod(1 + 0.3 * jnp.sin({v}), {axis}, reverse={rev})")
_along("cummax", "lax.cummax({v}, {axis}, reverse={rev})")
_along("cummin", "lax.cummin({v}, {axis}, reverse={rev})")
_along("cumlogsumexp", "lax.cumlogsumexp({v}, {axis}, reverse={rev})")
_along("softmax", "jax.nn.softmax({v}, {axis})")
_along("log_softmax", "jax.nn.log_softmax({v}, {axis})")
_along("standardize", "jax.nn.standardize({v}, {axis}, epsilon=0.1)")
_along("sort", "jnp.sort({v}, {axis}, descending={rev})")
_along("argsort_taken", "jnp.take_along_axis(jnp.sin({v}), jnp.argsort({v}, {axis}), {axis})")
_along("argmax_taken", "jnp.take_along_axis({v}, jnp.argmax({v}, {axis}, keepdims=True), {axis})")
_along("sorted_with_a_key", "lax.sort((jnp.cos({v}), {v}), dimension={axis}, num_keys=1)[1]")
_along("weighted_by_place", "{v} * jnp.argsort({v}, {axis})")
_along("median", "jnp.median({v}, {axis})")
_along(
    "one_hot_of_largest",
    "{v} * jax.nn.one_hot(jnp.argmax({v}, {axis}), {v}.shape[{axis}], axis={axis})",
)


@operation("reductions")
def largest_few(s: Scope) -> str | None:
    v = s.value(lambda v: _filled(v) and v.shape[-1] > 1)
    return v and f"lax.top_k({v.name}, {s.pick.integer(1, v.shape[-1] - 1)})[0]"


@operation("reductions")
def quantile(s: Scope) -> str | None:
    v = s.value(lambda v: _filled(v) and v.is_double)
    return v and f"jnp.quantile({v.name}, 0.3, axis=-1)"
