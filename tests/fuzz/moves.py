"""Operations that move elements: slices, pads, reshapes, joins."""

from __future__ import annotations

from tests.fuzz.scope import LARGEST, Scope, Value
from tests.fuzz.table import operation, templates

templates(
    "moves",
    """
    ravel: {v}.reshape(-1)
    transpose: {v}.T
    flip: jnp.flip({v})
    new_axis: {v}[..., None]
    new_first_axis: {v}[None]
    squeeze: jnp.squeeze({v})
    doubled: jnp.concatenate([{v}.reshape(-1), {v}.reshape(-1)])
    stacked_on_itself: jnp.stack([{v}, jnp.cos({v})], axis=-1)
    repeated: jnp.repeat({v}, 2)
    tiled: jnp.tile({v}, 2)
    of_rank_two: jnp.atleast_2d({v})
    rolled_flat: jnp.roll({v}, 1)
    """,
    tight=True,
)


def _some_axes(v: Value) -> bool:
    return v.rank > 0


@operation("moves", tight=True)
def sliced(s: Scope) -> str | None:
    v = s.value(_some_axes)
    return v and f"{v.name}[{', '.join(_slice(s, n) for n in v.shape)}]"


def _slice(s: Scope, n: int) -> str:
    step = s.pick.of(["", ":2", ":-1", ":3", ":-2"])
    if step.startswith(":-"):
        return f":{step}" if not n else f"{s.pick.integer(0, n - 1)}:{step}"
    low = s.pick.integer(0, n // 2)
    return f"{low}:{s.pick.integer(low, n)}{step}" if s.pick.often(40) else f"{low}:{step}"


@operation("moves", tight=True)
def element_of_axis(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.shape[0] > 0)
    return v and f"{v.name}[{s.pick.integer(-v.shape[0], v.shape[0] - 1)}]"


@operation("moves", tight=True)
def padded(s: Scope) -> str | None:
    v = s.value(_some_axes)
    if v is None:
        return None
    config = []
    for n in v.shape:
        interior = s.pick.of([0, 0, 1, 2])
        length = n + max(0, n - 1) * interior
        low = s.pick.integer(-min(2, length // 2), 2)
        config.append((low, s.pick.integer(-min(2, length // 2), 2), interior))
    return f"lax.pad({v.name}, jnp.zeros((), {v.name}.dtype), {config})"


@operation("moves", tight=True)
def padded_by_rule(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and min(v.shape) > 1)
    mode = s.pick.of(["constant", "edge", "wrap", "reflect", "symmetric"])
    return v and f"jnp.pad({v.name}, {s.pick.integer(1, 2)}, mode={mode!r})"


@operation("moves", tight=True)
def concatenated(s: Scope) -> str | None:
    v = s.value(_some_axes)
    if v is None:
        return None
    axis = s.axis(v)
    rest = [n for a, n in enumerate(v.shape) if a != axis]
    others = lambda w: w.rank == v.rank and [n for a, n in enumerate(w.shape) if a != axis] == rest  # noqa: E731
    parts = [v, *(s.value(others) for _ in range(s.pick.integer(1, 2)))]
    if s.pick.often(30):
        return f"jnp.concatenate([{v.name}, {s.constant(v.shape)}, {parts[1].name}], {axis})"
    return f"jnp.concatenate([{', '.join(p.name for p in parts)}], {axis})"


@operation("moves", tight=True)
def stacked(s: Scope) -> str | None:
    v = s.value()
    w = v and s.value(lambda w: w.shape == v.shape)
    return w and f"jnp.stack([{w.name}, 1.3 * {v.name}], axis={s.pick.integer(0, v.rank)})"


@operation("moves", tight=True)
def split_apart(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and max(v.shape) > 1)
    if v is None:
        return None
    axis = max(range(v.rank), key=lambda a: v.shape[a])
    cut = s.pick.integer(1, v.shape[axis] - 1)
    return f"jnp.concatenate(jnp.split({v.name}, [{cut}], {axis})[::-1], {axis})"


@operation("moves", tight=True)
def reshaped(s: Scope) -> str | None:
    v = s.value(lambda v: v.size > 0)
    if v is None:
        return None
    rows = s.pick.of([n for n in range(1, v.size + 1) if v.size % n == 0])
    shapes = [(rows, -1), (1, rows, -1), (-1, rows, 1), (rows, v.size // rows)]
    return f"{v.name}.reshape({s.pick.of(shapes)})"


@operation("moves", tight=True)
def moved_axes(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 1)
    return v and f"jnp.moveaxis({v.name}, {s.axis(v)}, {s.axis(v)})"


@operation("moves", tight=True)
def broadcast(s: Scope) -> str | None:
    v = s.value(lambda v: v.size <= LARGEST // 2)
    return v and f"jnp.broadcast_to({v.name}, {(s.pick.integer(1, 3), *v.shape)})"


@operation("moves", tight=True)
def flipped(s: Scope) -> str | None:
    v = s.value(_some_axes)
    return v and f"jnp.flip({v.name}, {s.axis(v)})"


@operation("moves", tight=True)
def rolled(s: Scope) -> str | None:
    v = s.value(_some_axes)
    return v and f"jnp.roll({v.name}, {s.pick.integer(-3, 3)}, {s.axis(v)})"


@operation("moves", tight=True)
def repeated_by_count(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and v.shape[0] > 0)
    if v is None:
        return None
    counts = [s.pick.integer(0, 2) for _ in range(v.shape[0])]
    return f"jnp.repeat({v.name}, np.array({counts}), axis=0, total_repeat_length={sum(counts)})"


@operation("moves", tight=True)
def triangle(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank >= 2)
    return v and f"jnp.{s.pick.of(['tril', 'triu'])}({v.name}, {s.pick.integer(-1, 1)})"


@operation("moves", tight=True)
def diagonal_matrix(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and 0 < v.size < 6)
    return v and f"jnp.diag({v.name}, {s.pick.integer(-1, 1)})"


@operation("moves", tight=True)
def diagonal_of(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank >= 2 and min(v.shape[:2]) > 0)
    return v and f"jnp.diagonal({v.name})"


@operation("moves", tight=True)
def outer(s: Scope) -> str | None:
    v = s.value(lambda v: v.size <= 8)
    w = v and s.value(lambda w: w.size <= 6)
    return w and f"jnp.outer({v.name}, {w.name})"


@operation("moves", tight=True)
def kronecker(s: Scope) -> str | None:
    v = s.value(lambda v: v.size <= 6 and v.rank <= 2)
    w = v and s.value(lambda w: w.size <= 6 and w.rank == v.rank)
    return w and f"jnp.kron({v.name}, {w.name})"


@operation("moves")
def difference(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank > 0 and min(v.shape) > 1)
    return v and f"jnp.diff({v.name}, n={s.pick.integer(1, 2)}, axis={s.axis(v)})"
