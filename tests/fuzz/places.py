"""Gathers, scatters and slices, at places that are known, or that depend on values."""

from __future__ import annotations

import numpy as np

from tests.fuzz.scope import Scope, Value
from tests.fuzz.table import operation


def _line(v: Value) -> bool:
    return v.rank > 0 and v.shape[0] > 0


def known_places(s: Scope, n: int, count: int, *, unique: bool = False, outside: bool = False) -> str:
    """A closed-over array of integers below n."""
    rng = np.random.default_rng(s.pick.integer(0, 30))
    if unique:
        return s.hold(rng.permutation(n)[:count])
    return s.hold(rng.integers(-n - 1 if outside else 0, n + 2 if outside else n, count))


def traced_places(s: Scope, n: int, count: int, *, outside: bool = False) -> str:
    """Integers that are worked out from a value."""
    v = s.value(lambda v: v.size > 0)
    if v is None:
        return known_places(s, n, count)
    seen = f"jnp.int32(9 * jnp.abs(jnp.resize({v.name}, {count})))"
    return f"{seen} - {n}" if outside else f"{seen} % {n}"


@operation("places", tight=True)
def gathered(s: Scope) -> str | None:
    v = s.value(_line)
    return v and f"{v.name}[{known_places(s, v.shape[0], s.pick.integer(1, 5))}]"


@operation("places", tight=True)
def gathered_from_last(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    return v and f"{v.name}[..., {known_places(s, v.shape[-1], s.pick.integer(1, 4))}]"


@operation("places", tight=True)
def gathered_by_pairs(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    if v is None:
        return None
    return f"{v.name}[{known_places(s, v.shape[0], 3)}, {known_places(s, v.shape[1], 3)}]"


@operation("places", tight=True)
def gathered_out_of_bounds(s: Scope) -> str | None:
    v = s.value(_line)
    if v is None:
        return None
    places = known_places(s, v.shape[0], 4, outside=True)
    return f"{v.name}.at[{places}].get(mode={s.pick.of(['fill', 'clip'])!r}, fill_value=0)"


@operation("places", tight=True)
def taken_along(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    if v is None:
        return None
    rng = np.random.default_rng(s.pick.integer(0, 30))
    places = s.hold(rng.integers(0, v.shape[-1], (*v.shape[:-1], 2)))
    return f"jnp.take_along_axis({v.name}, {places}, -1)"


@operation("places")
def gathered_anywhere(s: Scope) -> str | None:
    v = s.value(_line)
    return v and f"{v.name}[{traced_places(s, v.shape[0], s.pick.integer(1, 4))}]"


@operation("places")
def gathered_anywhere_outside(s: Scope) -> str | None:
    v = s.value(_line)
    if v is None:
        return None
    places = traced_places(s, v.shape[0], 3, outside=True)
    return f"{v.name}.at[{places}].get(mode={s.pick.of(['fill', 'clip'])!r}, fill_value=0)"


@operation("places")
def gathered_anywhere_from_last(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    return v and f"{v.name}[..., {traced_places(s, v.shape[-1], s.pick.integer(1, 4))}]"


@operation("places")
def gathered_by_traced_pairs(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    if v is None:
        return None
    return f"{v.name}[{traced_places(s, v.shape[0], 2)}, {known_places(s, v.shape[1], 2)}]"


def _written(s: Scope, v: Value, places: str, how: str, count: int) -> str:
    update = s.value(lambda w: w.shape == v.shape[1:] or w.size == 1)
    if update is None or s.pick.often(20):
        text = s.constant((count, *v.shape[1:]))
    elif update.size == 1 and update.shape != v.shape[1:]:
        text = f"{update.name}.reshape(())"
    else:
        text = f"jnp.sin({update.name})"
    if how == "mul":
        text = f"(1 + 0.3 * {text})"
    unique = ", unique_indices=True" if how == "mul" else ""  # JAX's derivative needs that
    return f"{v.name}.at[{places}].{how}(({text}).astype({v.name}.dtype){unique})"


@operation("places", tight=True)
def written_at_known(s: Scope) -> str | None:
    v = s.value(_line)
    if v is None:
        return None
    count = min(v.shape[0], s.pick.integer(1, 3))
    return _written(
        s, v, known_places(s, v.shape[0], count, unique=True), s.pick.of(["set", "add", "mul"]), count
    )


@operation("places")
def written_at_duplicates(s: Scope) -> str | None:
    v = s.value(_line)
    how = s.pick.of(["add", "set", "min", "max", "subtract"])
    if v is None:
        return None
    return _written(s, v, known_places(s, v.shape[0], 4), how, 4)


@operation("places")
def written_out_of_bounds(s: Scope) -> str | None:
    v = s.value(_line)
    how = s.pick.of(["add", "set"])
    return v and _written(s, v, known_places(s, v.shape[0], 4, outside=True), how, 4)


@operation("places")
def written_anywhere(s: Scope) -> str | None:
    v = s.value(_line)
    how = s.pick.of(["add", "set", "min", "max"])
    return v and _written(s, v, traced_places(s, v.shape[0], 3, outside=s.pick.often(30)), how, 3)


@operation("places")
def written_in_last(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    if v is None:
        return None
    make = s.pick.of([known_places, traced_places])
    places = make(s, v.shape[-1], 2)
    return f"{v.name}.at[..., {places}].{s.pick.of(['add', 'set', 'max'])}(jnp.cos({v.name}[..., :1]))"


@operation("places")
def written_slice(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.shape[0] > 1)
    how = s.pick.of(["set", "add", "mul", "max"])
    if v is None:
        return None
    unique = ", unique_indices=True" if how == "mul" else ""
    return f"{v.name}.at[1:{s.pick.integer(2, v.shape[0])}].{how}(jnp.cos({v.name}[:1]){unique})"


def _start(s: Scope, n: int) -> str:
    v = s.value(lambda v: v.size > 0)
    if v is None or s.pick.often(50):
        return f"jnp.int32({s.pick.integer(-1, n)})"
    return f"jnp.int32(5 * {v.name}.reshape(-1)[0])"


@operation("places")
def sliced_anywhere(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.size > 0)
    if v is None:
        return None
    sizes = tuple(s.pick.integer(1, n) for n in v.shape)
    return f"lax.dynamic_slice({v.name}, ({', '.join(_start(s, n) for n in v.shape)},), {sizes})"


@operation("places")
def updated_slice(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.size > 0)
    if v is None:
        return None
    part = ", ".join(f":{s.pick.integer(1, n)}" for n in v.shape)
    starts = ", ".join(_start(s, n) for n in v.shape)
    return f"lax.dynamic_update_slice({v.name}, jnp.sin({v.name})[{part}], ({starts},))"


@operation("places")
def segments(s: Scope) -> str | None:
    v = s.value(_line)
    if v is None:
        return None
    make = s.pick.of([known_places, traced_places])
    how = s.pick.of(["sum", "max", "prod", "min"])
    ids = make(s, 3, v.shape[0])
    if how == "sum":
        return f"jax.ops.segment_sum({v.name}, {ids}, 3)"
    if how == "prod":  # JAX differentiates it for unique places only
        ids = s.hold(np.arange(v.shape[0]))
        factors = f"1 + 0.3 * jnp.sin({v.name}), {ids}, {v.shape[0]}"
        return f"jax.ops.segment_prod({factors}, unique_indices=True)"
    inner = f"jax.ops.segment_{how}({v.name}, {ids}, 3)"
    return f"jnp.nan_to_num({inner}, posinf=0.0, neginf=0.0)"


@operation("places")
def counted_in_mask(s: Scope) -> str | None:
    v = s.value(_line)
    return (
        v and f"{v.name}[jnp.nonzero({v.name}.reshape(-1) > 0, size=2, fill_value=0)[0] % {v.shape[0]}]"
    )


@operation("places")
def interpolated(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and v.size > 1)
    return v and f"jnp.interp(jnp.tanh({v.name}), jnp.linspace(-1, 1, {v.size}), {v.name})"


@operation("places")
def searched(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and v.size > 1)
    return (
        v
        and f"jnp.sort({v.name})[jnp.clip(jnp.searchsorted(jnp.sort({v.name}), 0.1), 0, {v.size - 1})]"
    )
