"""Matrix products, convolutions and pooling."""

from __future__ import annotations

from tests.fuzz.scope import LARGEST, Scope, Value
from tests.fuzz.table import operation


def _matrix(v: Value) -> bool:
    return v.rank >= 1 and v.size > 0


@operation("contractions")
def matrix_times(s: Scope) -> str | None:
    v = s.value(_matrix)
    if v is None:
        return None
    rows = s.pick.integer(1, 4)
    weights = s.constant((rows, v.shape[-2] if v.rank > 1 else v.shape[0]), zeros=s.pick.of([0, 50]))
    return f"{weights} @ {v.name}"


@operation("contractions")
def times_matrix(s: Scope) -> str | None:
    v = s.value(_matrix)
    return v and f"{v.name} @ {s.constant((v.shape[-1], s.pick.integer(1, 4)))}"


@operation("contractions")
def product_with_its_transpose(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank >= 2 and v.size > 0)
    return v and f"{v.name} @ jnp.swapaxes(jnp.cos({v.name}), -1, -2)"


@operation("contractions")
def product_of_two(s: Scope) -> str | None:
    v = s.value(_matrix)
    w = v and s.value(lambda w: w.rank >= 2 and w.shape[0] == v.shape[-1])
    return w and f"jnp.tensordot({v.name}, {w.name}, 1)"


@operation("contractions")
def sum_over_batch(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank >= 2 and v.size > 0)
    return v and f"jnp.einsum('...ij,...j->...i', {v.name}, jnp.sin({v.name}[..., 0, :]))"


@operation("contractions")
def batch_by_constant(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank >= 2 and v.size > 0)
    return v and f"jnp.einsum('i...j,ij->i...', {v.name}, {s.constant((v.shape[0], v.shape[-1]))})"


@operation("contractions")
def trace(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank >= 2 and min(v.shape) > 0)
    return v and f"jnp.trace({v.name})"


@operation("contractions")
def dot_of_itself(s: Scope) -> str | None:
    v = s.value()
    return v and f"jnp.vdot({v.name}, jnp.flip({v.name}))"


@operation("contractions")
def product_in_single(s: Scope) -> str | None:
    v = s.value(lambda v: _matrix(v) and v.is_double)
    weights = v and s.constant((v.shape[-1], 2))
    single = "astype(jnp.float32)"
    return (
        v and f"jnp.matmul({v.name}.{single}, {weights}.{single}, preferred_element_type=jnp.float64)"
    )


@operation("contractions")
def convolution(s: Scope) -> str | None:
    """One to two axes of space; batch and features in front."""
    v = s.value(lambda v: v.rank > 0 and min(v.shape) > 1 and v.size <= LARGEST // 2)
    if v is None:
        return None
    space = min(2, s.pick.integer(1, v.rank))
    groups = s.pick.of([1, 2]) if v.rank > space and v.shape[-space - 1] % 2 == 0 else 1
    features = v.shape[-space - 1] if v.rank > space else 1
    window = tuple(s.pick.integer(1, min(2, n)) for n in v.shape[-space:])
    kernel = s.constant((groups * s.pick.integer(1, 2), features // groups, *window))
    batch = f"{v.name}.reshape((-1, {features}, *{v.shape[-space:]}))"
    options = f"feature_group_count={groups}" + _window_options(s, space)
    strides = [s.pick.integer(1, 2) for _ in range(space)]
    padding = [(s.pick.integer(0, 2), s.pick.integer(0, 1)) for _ in range(space)]
    operands = f"{batch}, {kernel}.astype({v.name}.dtype)"
    return f"lax.conv_general_dilated({operands}, {strides}, {padding}, {options})"


def _window_options(s: Scope, space: int) -> str:
    kind = s.pick.of(["plain", "lhs_dilation", "rhs_dilation"])
    return "" if kind == "plain" else f", {kind}={(2,) * space}"


@operation("contractions")
def convolution_of_two(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and v.size > 1)
    w = v and s.value(lambda w: w.rank == 1 and 0 < w.size <= v.size)
    return w and f"jnp.convolve({v.name}, {w.name}, mode={s.pick.of(['same', 'full', 'valid'])!r})"


@operation("contractions")
def filtered_by_itself(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 2 and min(v.shape) > 1)
    return (
        v and f"lax.conv({v.name}[None, None], jnp.sin({v.name})[None, None, :2, :2], (1, 1), 'SAME')"
    )


def _pooling(name: str, text: str) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(lambda v: v.rank > 0 and min(v.shape) > 0)
        if v is None:
            return None
        window = tuple(s.pick.integer(1, min(3, n)) for n in v.shape)
        strides = tuple(s.pick.integer(1, 2) for _ in v.shape)
        padding = s.pick.of(["'VALID'", "'SAME'"])
        return text.format(v=v.name, how=f"{window}, {strides}, {padding}")

    build.__name__ = name
    operation("contractions", tight=False)(build)


_pooling("max_pooling", "lax.reduce_window({v}, np.array(-np.inf, {v}.dtype), lax.max, {how})")
_pooling("min_pooling", "lax.reduce_window({v}, np.array(np.inf, {v}.dtype), lax.min, {how})")
_pooling("sum_pooling", "lax.reduce_window({v}, np.array(0, {v}.dtype), lax.add, {how})")
_pooling(
    "average_pooling", "lax.reduce_window(jnp.sin({v}), np.array(0, {v}.dtype), lax.add, {how}) / 3"
)
