"""Elementwise operations, of one value and of two, and changes of dtype."""

from __future__ import annotations

import numpy as np

from tests.fuzz.scope import Scope, Value
from tests.fuzz.table import operation, templates

templates(
    "pointwise",
    """
    sin: jnp.sin({v})
    cos: jnp.cos({v})
    tanh: jnp.tanh({v})
    negative: -{v}
    times_number: 1.5 * {v}
    over_number: {v} / 1.7
    square: {v} ** 2
    cube: {v} ** 3
    power_of_minus_two: (2 + jnp.sin({v})) ** -2
    reciprocal: 1 / (2 + jnp.cos({v}))
    exp: jnp.exp(jnp.tanh({v}))
    exp2: jnp.exp2(jnp.tanh({v}))
    expm1: jnp.expm1(jnp.tanh({v}))
    log: jnp.log(2 + jnp.sin({v}))
    log1p: jnp.log1p(0.5 * jnp.sin({v}))
    sqrt: jnp.sqrt(1 + {v} * {v})
    rsqrt: lax.rsqrt(1 + {v} * {v})
    cbrt: jnp.cbrt(2 + jnp.sin({v}))
    power: (2 + jnp.sin({v})) ** 1.5
    number_to_the_power: 2.0 ** jnp.tanh({v})
    logistic: jax.nn.sigmoid({v})
    softplus: jax.nn.softplus({v})
    silu: jax.nn.silu({v})
    gelu: jax.nn.gelu({v})
    arctan: jnp.arctan({v})
    arcsinh: jnp.arcsinh({v})
    arcsin: jnp.arcsin(0.5 * jnp.sin({v}))
    arctanh: jnp.arctanh(0.5 * jnp.tanh({v}))
    cosh: jnp.cosh(jnp.tanh({v}))
    tan: jnp.tan(0.5 * jnp.tanh({v}))
    erf: lax.erf({v})
    erfc: lax.erfc({v})
    lgamma: lax.lgamma(2 + jnp.tanh({v}))
    absolute: jnp.abs({v})
    copied: jnp.copy({v})
    """,
    tight=True,
)
templates(
    "pointwise",
    """
    erf_inv: lax.erf_inv(0.5 * jnp.tanh({v}))
    digamma: lax.digamma(2 + jnp.tanh({v}))
    bessel: lax.bessel_i0e({v})
    relu: jax.nn.relu({v})
    leaky_relu: jax.nn.leaky_relu({v})
    elu: jax.nn.elu({v})
    relu6: jax.nn.relu6({v})
    clip: jnp.clip({v}, -0.5, 0.7)
    maximum_of_number: jnp.maximum({v}, 0.1)
    where_positive: jnp.where({v} > 0, jnp.sin({v}), 0.3)
    where_safe: jnp.where({v} > 0.2, jnp.log(jnp.where({v} > 0.2, {v}, 1.0)), {v})
    times_comparison: {v} * ({v} > -0.3)
    floor: {v} + 0.5 * jnp.floor({v})
    round_: {v} * jnp.round({v})
    sign: {v} * jnp.sign({v})
    remainder: jnp.mod({v}, 1.3)
    fmod: jnp.fmod({v}, 1.3)
    nan_to_num: jnp.nan_to_num({v})
    stop_gradient: {v} * lax.stop_gradient(jnp.sin({v}))
    stop_some: {v} + lax.stop_gradient({v})
    sinc: jnp.sinc({v})
    piecewise: jnp.piecewise({v}, [{v} < -0.2, {v} > 0.5], [jnp.sin, jnp.cos, lambda t: t * t])
    selected: jnp.select([{v} > 0.4, {v} > -0.4], [jnp.sin({v}), {v}], 0.1)
    select_bits: jnp.where(jnp.int32({v} * 3) & 1 == 1, {v}, -{v})
    sign_of_zero: jnp.where({v} == 0, 0.0, {v} / jnp.where({v} == 0, 1.0, 1 + jnp.abs({v})))
    reduce_precision: lax.reduce_precision({v}, 11, 52)
    """,
)


def broadcastable(s: Scope, v: Value) -> Value | None:
    """Another value that broadcasts with v."""

    def fits(w: Value) -> bool:
        try:
            np.broadcast_shapes(v.shape, w.shape)
        except ValueError:
            return False
        return True

    return s.value(fits)


@operation("pointwise", tight=True)
def add(s: Scope) -> str | None:
    """In programs that must be tight, with a weight, so that x - x does not come about."""
    v = s.value()
    w = v and broadcastable(s, v)
    return w and (
        f"jnp.sin({v.name}) + 0.7 * {w.name}" if s.traits.is_tight else f"{v.name} + {w.name}"
    )


def _of_two(name: str, text: str, *, tight: bool = False) -> None:
    def build(s: Scope) -> str | None:
        v = s.value()
        w = v and broadcastable(s, v)
        return w and text.format(v=v.name, w=w.name)

    build.__name__ = name
    operation("pointwise", tight=tight)(build)


_of_two("multiply", "{v} * {w}", tight=True)
_of_two("divide", "{v} / (2 + jnp.sin({w}))", tight=True)
_of_two("to_the_power", "(2 + jnp.sin({v})) ** jnp.tanh({w})", tight=True)
_of_two("subtract", "{v} - {w}")
_of_two("maximum", "jnp.maximum({v}, {w})")
_of_two("minimum", "jnp.minimum({v}, 0.5 * {w})")
_of_two("where_greater", "jnp.where({v} > {w}, {v} * {w}, jnp.cos({w}))")
_of_two("arctan2", "jnp.arctan2({v}, 2 + jnp.sin({w}))")
_of_two("logaddexp", "jnp.logaddexp({v}, {w})")
_of_two("hypot", "jnp.hypot({v}, 1 + jnp.abs({w}))")
_of_two("clamp_above", "jnp.clip({v}, None, {w})")
_of_two("copysign", "jnp.copysign({v}, {w})")
_of_two("where_not_finite", "jnp.where(jnp.isfinite({v}), {v}, {w})")
_of_two("barrier", "sum(lax.optimization_barrier(({v}, {w})))")


@operation("pointwise", tight=True)
def times_constant(s: Scope) -> str | None:
    v = s.value()
    return v and f"{v.name} * {s.constant(v.shape, zeros=s.pick.of([0, 40]))}"


@operation("pointwise", tight=True)
def plus_constant(s: Scope) -> str | None:
    v = s.value()
    return v and f"{s.constant(v.shape[-1:])} + {v.name}"


@operation("pointwise", tight=True)
def where_known(s: Scope) -> str | None:
    v = s.value()
    w = v and s.value(lambda w: w.shape == v.shape)
    return w and f"jnp.where({s.constant(v.shape)} > 0, {v.name}, {w.name} * 1.1)"


@operation("pointwise")
def where_number_elsewhere(s: Scope) -> str | None:
    v = s.value()
    return v and f"jnp.where({s.constant(v.shape)} > 0, {v.name}, 0.0)"


@operation("pointwise")
def cast_to_single(s: Scope) -> str | None:
    v = s.value(lambda v: v.is_double)
    return v and f"{v.name}.astype(jnp.float32)"


@operation("pointwise")
def cast_to_half(s: Scope) -> str | None:
    v = s.value(lambda v: v.is_double)
    if v is None or not s.pick.often(30):
        return None
    return f"{v.name}.astype(jnp.{s.pick.of(['bfloat16', 'float16'])})"


@operation("pointwise")
def cast_to_double(s: Scope) -> str | None:
    v = s.value(lambda v: not v.is_double)
    return v and f"{v.name}.astype(jnp.float64)"


@operation("pointwise")
def through_single(s: Scope) -> str | None:
    v = s.value()
    return v and f"{v.name}.astype(jnp.float32).astype({v.name}.dtype)"


@operation("pointwise")
def selected_of_three(s: Scope) -> str | None:
    v = s.value()
    w = v and s.value(lambda w: w.shape == v.shape and w.dtype == v.dtype)
    which = v and f"jnp.int32(jnp.abs({v.name}) * 2) % 3"
    return w and f"lax.select_n({which}, {v.name}, {w.name}, jnp.cos({v.name}))"
