"""What each primitive does, in numpy; see `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special

from tests.fuzz.evaluate_places import gather, scatter


def _integer_pow(p: Any, x: Any) -> Any:
    return x ** p["y"] if p["y"] >= 0 else 1 / x ** (-p["y"])


def _pad(p: Any, x: Any, fill: Any) -> Any:
    config = p["padding_config"]
    if not config:  # numpy has no padding of a number
        return x
    shape = [n + max(0, n - 1) * c for n, (_, _, c) in zip(x.shape, config, strict=True)]
    spread = np.full(shape, fill, x.dtype)
    spread[tuple(slice(None, None, c + 1) for _, _, c in config)] = x
    widths = [(max(0, a), max(0, b)) for a, b, _ in config]
    padded = np.pad(
        spread, widths, constant_values=fill
    )  # a cut may go on in the padding at the other end
    ends = zip(padded.shape, config, strict=True)
    return padded[tuple(slice(max(0, -a), n + min(0, b)) for n, (a, b, _) in ends)]


def _broadcast_in_dim(p: Any, x: Any, *_: Any) -> Any:
    inner = [1] * len(p["shape"])
    for axis, place in enumerate(p["broadcast_dimensions"]):
        inner[place] = x.shape[axis]
    return np.broadcast_to(x.reshape(inner), p["shape"])


def _iota(p: Any) -> Any:
    line = np.arange(p["shape"][p["dimension"]], dtype=p["dtype"])
    return np.broadcast_to(
        line.reshape([-1 if a == p["dimension"] else 1 for a in range(len(p["shape"]))]), p["shape"]
    )


def _dot_general(p: Any, a: Any, b: Any) -> Any:
    (ca, cb), (ba, bb) = p["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    names_a: list[str] = [next(letters) for _ in a.shape]
    names_b = [next(letters) for _ in b.shape]
    for i, j in [*zip(ca, cb, strict=True), *zip(ba, bb, strict=True)]:
        names_b[j] = names_a[i]
    free = [n for i, n in enumerate(names_a) if i not in ca and i not in ba]
    free += [n for j, n in enumerate(names_b) if j not in cb and j not in bb]
    out = "".join([*(names_a[i] for i in ba), *free])
    return np.einsum(f"{''.join(names_a)},{''.join(names_b)}->{out}", a, b)


def _select_n(_: Any, which: Any, *cases: Any) -> Any:
    which = np.broadcast_to(which, cases[0].shape).astype(int)
    return np.choose(which, cases) if cases[0].size else cases[0]


def _reshape(p: Any, x: Any) -> Any:
    return (x if p["dimensions"] is None else x.transpose(p["dimensions"])).reshape(p["new_sizes"])


def _slice(p: Any, x: Any) -> Any:
    strides = p["strides"] or (1,) * x.ndim
    return x[tuple(map(slice, p["start_indices"], p["limit_indices"], strides))]


def _starts(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    clipped = [int(np.clip(s, 0, n - k)) for s, n, k in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(s, s + k) for s, k in zip(clipped, sizes, strict=True))


def _dynamic_slice(p: Any, x: Any, *starts: Any) -> Any:
    return x[_starts(starts, x.shape, p["slice_sizes"])]


def _dynamic_update_slice(_: Any, x: Any, update: Any, *starts: Any) -> Any:
    result = x.copy()
    result[_starts(starts, x.shape, update.shape)] = update
    return result


def _accumulated(function: Any) -> Callable[..., Any]:
    def run(p: Any, x: Any) -> Any:
        if not p["reverse"]:
            return function(x, axis=p["axis"])
        return np.flip(function(np.flip(x, p["axis"]), axis=p["axis"]), p["axis"])

    return run


def _arg(function: Any) -> Callable[..., Any]:
    return lambda p, x: function(x, axis=p["axes"][0])


def _div(_: Any, a: Any, b: Any) -> Any:
    return np.where(b == 0, -1, np.trunc(a / np.where(b == 0, 1, b))) if a.dtype.kind in "iu" else a / b


def _sign(_: Any, x: Any) -> Any:
    return np.sign(x)


def _round(p: Any, x: Any) -> Any:
    return np.round(x) if int(p["rounding_method"]) == 1 else np.trunc(x + np.copysign(0.5, x))


def _convert(p: Any, x: Any) -> Any:
    dtype = np.dtype(p["new_dtype"])
    if x.dtype.kind == "f" and dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.clip(np.nan_to_num(x), float(info.min), float(info.max)).astype(dtype)
    return x.real.astype(dtype) if x.dtype.kind == "c" and dtype.kind != "c" else x.astype(dtype)


def _fft(p: Any, x: Any) -> Any:
    word = {0: "fftn", 1: "ifftn", 2: "rfftn", 3: "irfftn"}[int(p["fft_type"])]
    lengths = p["fft_lengths"]
    return getattr(np.fft, word)(x, s=lengths, axes=tuple(range(x.ndim - len(lengths), x.ndim)))


def _triangular_solve(p: Any, a: Any, b: Any) -> Any:
    a = np.tril(a) if p["lower"] else np.triu(a)
    if p["unit_diagonal"]:
        a = a - a * np.eye(a.shape[-1]) + np.eye(a.shape[-1])
    a = np.conj(a) if p["conjugate_a"] else a
    a = np.swapaxes(a, -1, -2) if p["transpose_a"] else a
    if p["left_side"]:
        return _solved(a, b)
    return np.swapaxes(_solved(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)), -1, -2)


def _solved(a: Any, b: Any) -> Any:
    """Each system by itself; NaN for singular ones, as in a branch that `vmap` runs and drops."""
    found = np.full_like(b, np.nan)
    for place in np.ndindex(b.shape[:-2]):
        if np.all(np.diagonal(a[place])):
            found[place] = np.linalg.solve(a[place], b[place])
    return found


def _bcoo_todense(p: Any, data: Any, indices: Any) -> Any:
    dense = np.zeros(p["spinfo"].shape, data.dtype)
    if not dense.ndim:
        return data.sum()
    np.add.at(dense, tuple(np.moveaxis(indices, -1, 0)), data)
    return dense


def _extremum(function: Any, neutral: float) -> Callable[..., Any]:
    def run(p: Any, x: Any) -> Any:
        if x.dtype.kind == "f":
            return function(x, axis=p["axes"], initial=neutral)
        return function(x, axis=p["axes"])

    return run


def _all(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *arrays: function(*arrays)


SIMPLE: dict[str, Callable[..., Any]] = {
    **{
        name: _all(getattr(np, name))
        for name in (
            "sin", "cos", "tan", "tanh", "sinh", "cosh", "exp", "exp2", "expm1", "log", "log1p",
            "sqrt", "cbrt", "square", "floor", "ceil", "conj", "real", "imag",
        )
    },
    **{
        name: _all(getattr(np, word))
        for name, word in {
            "neg": "negative", "add": "add", "add_any": "add", "sub": "subtract", "mul": "multiply",
            "max": "maximum", "min": "minimum", "pow": "power", "rem": "fmod", "atan2": "arctan2",
            "abs": "abs", "atan": "arctan", "asin": "arcsin", "acos": "arccos", "asinh": "arcsinh",
            "acosh": "arccosh", "atanh": "arctanh", "eq": "equal", "ne": "not_equal", "lt": "less",
            "le": "less_equal", "gt": "greater", "ge": "greater_equal", "is_finite": "isfinite",
            "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "not": "bitwise_not",
        }.items()
    },
    "erf": _all(scipy.special.erf),
    "erfc": _all(scipy.special.erfc),
    "lgamma": _all(scipy.special.gammaln),
    "digamma": _all(scipy.special.digamma),
    "logistic": lambda _, x: 1 / (1 + np.exp(-x)),
    "rsqrt": lambda _, x: 1 / np.sqrt(x),
    "div": _div,
    "sign": _sign,
    "round": _round,
    "complex": lambda _, a, b: a + 1j * b,
    "integer_pow": _integer_pow,
    "clamp": lambda _, low, x, high: np.clip(x, low, high),
    "lt_to": _all(np.less),
    "le_to": _all(np.less_equal),
    "tile": lambda p, x: np.tile(x, p["reps"]),
    "fft": _fft,
    "triangular_solve": _triangular_solve,
    "bcoo_todense": _bcoo_todense,
    "stop_gradient": lambda _, x: x,
    "copy": lambda _, x: x,
    "copy_p": lambda _, x: x,
    "name": lambda _, x: x,
    "convert_element_type": _convert,
    "select_n": _select_n,
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "squeeze": lambda p, x: x.reshape([n for a, n in enumerate(x.shape) if a not in p["dimensions"]]),
    "expand_dims": lambda p, x: np.expand_dims(x, p["dimensions"]),
    "transpose": lambda p, x: x.transpose(p["permutation"]),
    "rev": lambda p, x: np.flip(x, p["dimensions"]),
    "concatenate": lambda p, *x: np.concatenate(x, p["dimension"]),
    "stack": lambda p, *x: np.stack(x, p["axis"]),
    "slice": _slice,
    "pad": _pad,
    "iota": _iota,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "dot_general": _dot_general,
    "reduce_sum": lambda p, x: x.sum(p["axes"], dtype=x.dtype),
    "reduce_prod": lambda p, x: x.prod(p["axes"], dtype=x.dtype),
    "reduce_max": _extremum(np.max, -np.inf),
    "reduce_min": _extremum(np.min, np.inf),
    "reduce_and": lambda p, x: np.logical_and.reduce(x, p["axes"]),
    "reduce_or": lambda p, x: np.logical_or.reduce(x, p["axes"]),
    "cumsum": _accumulated(np.cumsum),
    "cumprod": _accumulated(np.cumprod),
    "cummax": _accumulated(np.maximum.accumulate),
    "cummin": _accumulated(np.minimum.accumulate),
    "cumlogsumexp": _accumulated(np.logaddexp.accumulate),
    "argmax": _arg(np.argmax),
    "argmin": _arg(np.argmin),
    "gather": gather,
    "scatter": scatter(None),
    "scatter-add": scatter(np.add),
    "scatter-sub": scatter(np.subtract),
    "scatter-mul": scatter(np.multiply),
    "scatter-min": scatter(np.minimum),
    "scatter-max": scatter(np.maximum),
}  # fmt: skip
