"""Indices out of bounds, in every mode: reads that are clamped depend on the last element.

`x[i]` is JAX's promise that i is in bounds. Its values clamp, and so does its forward mode; its reverse
mode drops what comes back from outside, so that the two differ.
"""

from __future__ import annotations

import jax

from tests.fuzz.places import known_places, traced_places
from tests.fuzz.scope import Scope, Value
from tests.fuzz.table import operation

_MODES = [
    "",
    ", mode='clip'",
    ", mode='fill', fill_value=0",
    ", mode='promise_in_bounds'",
]
_WRITES = ["", ", mode='drop'", ", mode='clip'"]
# JAX before 0.12 counts the updates of a clipped maximum wrong: its modes differ, and both are wrong
_CLIPS_MAXIMA = jax.__version_info__ >= (0, 12)


def _line(v: Value) -> bool:
    return v.rank > 0 and v.shape[0] > 0 and v.size > 0


def _places(s: Scope, n: int, count: int) -> str:
    """Integers that are partly outside, known or worked out from values."""
    make = s.pick.of([known_places, known_places, traced_places])
    return make(s, n, count, outside=True)


def _read(name: str, text: str, modes: list[str]) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(_line)
        if v is None:
            return None
        mode = s.pick.of(modes)
        if mode in {"", ", mode='promise_in_bounds'"}:
            s.traits.modes_differ = True
        return text.format(v=v.name, i=_places(s, v.shape[0], s.pick.integer(1, 4)), mode=mode)

    build.__name__ = name
    operation("outside")(build)


_read("read_outside", "{v}[{i}]", [""])
_read("read_in_a_mode", "{v}.at[{i}].get(indices_are_sorted=False{mode})", _MODES)
_read(
    "taken_outside", "jnp.nan_to_num(jnp.take({v}, {i}, axis=0{mode}))", [*_MODES[1:3], ", mode='wrap'"]
)
_read("read_outside_twice", "{v}[{i}] * jnp.sin({v})[{i}]", [""])
_read("read_in_a_call", "jax.jit(lambda t: t[{i}])({v})", [""])
_read("read_under_vmap", "jax.vmap(lambda i: {v}[i])(jnp.asarray({i}))", [""])
_read("read_one_outside", "{v}[jnp.asarray({i})[0]]", [""])
_read(
    "read_in_a_loop",
    "lax.scan(lambda c, i: (c + jnp.mean({v}[i]), {v}[i]), 0.0, jnp.asarray({i}))[1]",
    [""],
)


@operation("outside")
def read_last_outside(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    if v is None:
        return None
    s.traits.modes_differ = True
    return f"{v.name}[..., {_places(s, v.shape[-1], 2)}]"


@operation("outside")
def read_pairs_outside(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1 and v.size > 0)
    if v is None:
        return None
    s.traits.modes_differ = True
    return f"{v.name}[{_places(s, v.shape[0], 3)}, {_places(s, v.shape[1], 3)}]"


@operation("outside")
def taken_along_outside(s: Scope) -> str | None:
    v = s.value(_line)
    if v is None or v.rank != 1:
        return None
    i = _places(s, v.shape[0], 3)
    mode = s.pick.of(["clip", "fill"])
    return f"jnp.nan_to_num(jnp.take_along_axis({v.name}, jnp.asarray({i}), 0, mode={mode!r}))"


def _write(name: str, how: str) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(_line)
        if v is None:
            return None
        modes = _WRITES if _CLIPS_MAXIMA or how not in {"max", "min"} else _WRITES[:2]
        i, mode = _places(s, v.shape[0], s.pick.integer(1, 3)), s.pick.of(modes)
        return f"{v.name}.at[{i}].{how}(jnp.cos({v.name})[:1]{mode})"

    build.__name__ = name
    operation("outside")(build)


for _how in ("set", "add", "subtract", "max", "min"):
    _write(f"written_outside_by_{_how}", _how)


@operation("outside")
def slice_outside(s: Scope) -> str | None:
    v = s.value(_line)
    if v is None or v.rank != 1:
        return None
    size, start = s.pick.integer(1, v.size), s.pick.integer(-v.size - 2, v.size + 2)
    return f"lax.dynamic_slice({v.name}, ({start},), ({size},))"


@operation("outside")
def element_outside(s: Scope) -> str | None:
    """A number of Python: JAX clamps it when it traces, since 0.10; before, it is read like any other."""
    v = s.value(_line)
    s.traits.modes_differ = True
    return v and f"{v.name}[{s.pick.integer(-v.shape[0] - 2, v.shape[0] + 2)}]"


@operation("outside")
def segments_outside(s: Scope) -> str | None:
    v = s.value(_line)
    return v and f"jax.ops.segment_sum({v.name}, jnp.asarray({_places(s, 3, v.shape[0])}), 3)"
