"""Static values: those that depend on shapes and closed-over constants alone, known before the run.

Index arrays, masks, permutations and segment ids are such values. They are worked out when they are
first asked for, in numpy where that is exact: compiling a program for each small operation would
cost more than the rest of the set-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.traits import having
from jaxcalc.heuristics import heuristics


class Static:
    """A static value, evaluated when `array` is first read."""

    __slots__ = ("_array", "_evaluate", "aval")

    def __init__(self, aval: Any, evaluate: Callable[[], Any]) -> None:
        self.aval = aval
        self._evaluate: Callable[[], Any] | None = evaluate
        self._array: Any = None

    @property
    def array(self) -> Any:
        """The value: a numpy array, or a JAX array when JAX made it."""
        if self._evaluate is not None:
            self._array = self._evaluate()
            self._evaluate = None
        return self._array


def operand(array: Any) -> Any:
    """A static value as the operand of a traced equation; one repeated number is not stored in full."""
    if isinstance(array, np.ndarray) and array.size > 1 and is_repeated(array):
        return lax.full(array.shape, array.reshape(-1)[0], array.dtype)
    return array


def constant(aval: Any, value: Any) -> Static:
    """A static value that is known already; a literal of a jaxpr is a number without a shape."""
    return Static(aval, lambda: value if hasattr(value, "shape") else np.asarray(value, aval.dtype))


def outputs(eqn: JaxprEqn, inputs: Sequence[Static]) -> list[Static]:
    """The outputs of an equation all of whose inputs are static."""
    memo: list[Any] = []

    def evaluate(i: int) -> Any:
        if not memo:
            memo.extend(_evaluate(eqn, [x.array for x in inputs]))
        return memo[i]

    return [Static(v.aval, lambda i=i: evaluate(i)) for i, v in enumerate(eqn.outvars)]  # type: ignore[misc]


def _evaluate(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    if eqn.primitive.name == "pvary":  # inside `jax.shard_map`: a known value is one on all devices
        return arrays
    rule = _NUMPY.get(eqn.primitive.name)
    if rule is not None and all(_is_cheap(a) for a in (*arrays, equations.output(eqn))):
        with np.errstate(all="ignore"):
            result = _apply(rule, eqn, [np.asarray(a) for a in arrays])
        if result is not None:
            return [np.asarray(result, equations.output(eqn).dtype)]
    with jax.ensure_compile_time_eval():
        return equations.bind(eqn, arrays, known=True)


def _apply(rule: Callable[..., Any], eqn: JaxprEqn, arrays: list[np.ndarray]) -> Any:
    """Apply a rule; an elementwise one to one number only, where all operands repeat one number.

    The result then stays a view of one number, which is how the rules for lanes see that a
    coefficient is the same everywhere.
    """
    shape = equations.output(eqn).shape
    if eqn.primitive.name in _ELEMENTWISE and all(is_repeated(a) for a in arrays):
        one = rule(eqn, *[a.reshape(-1)[:1].reshape(()) for a in arrays])
        return None if one is None else np.broadcast_to(np.asarray(one), shape)
    return rule(eqn, *arrays)


def is_repeated(a: np.ndarray) -> bool:
    """Whether an array is a view of one number."""
    return a.size > 0 and not any(stride for stride, n in zip(a.strides, a.shape, strict=True) if n > 1)


def _is_cheap(a: Any) -> bool:
    """Whether numpy computes on this array exactly as XLA does, without moving much of it."""
    dtype = np.dtype(a.dtype) if isinstance(a.dtype, np.dtype) else None
    if dtype is None or dtype.kind not in "biufc" or (dtype.itemsize == 2 and dtype.kind == "f"):
        return False
    return not isinstance(a, jax.Array) or a.size <= heuristics().numpy_elements or dtype.kind in "biu"


def _integers(*arrays: np.ndarray) -> bool:
    return all(a.dtype.kind in "iu" for a in arrays)


def _has_least(a: np.ndarray) -> bool:
    return a.dtype.kind == "i" and bool((a == np.iinfo(a.dtype).min).any())


def _div(_: JaxprEqn, a: np.ndarray, b: np.ndarray) -> Any:
    """lax.div rounds integers toward zero; dividing by zero is left to XLA."""
    if not _integers(a, b) or (b == 0).any() or _has_least(a) or _has_least(b):
        return None  # the absolute value of the least integer overflows
    quotient = np.abs(a) // np.abs(b)
    return np.where((a < 0) != (b < 0), -quotient, quotient)


def _rem(_: JaxprEqn, a: np.ndarray, b: np.ndarray) -> Any:
    return np.fmod(a, b) if _integers(a, b) and (b != 0).all() else None


def _convert(eqn: JaxprEqn, a: np.ndarray) -> Any:
    target = np.dtype(equations.new_dtype(eqn))
    if a.dtype.kind == "f" and target.kind in "iu":
        return None  # out of range, XLA saturates and numpy wraps
    if a.dtype.kind == "c" and target.kind != "c":
        return None
    return a.astype(target)


def _iota(eqn: JaxprEqn) -> np.ndarray:
    shape, dimension = equations.iota(eqn)
    line = np.arange(shape[dimension], dtype=equations.output(eqn).dtype)
    line = line.reshape([-1 if a == dimension else 1 for a in range(len(shape))])
    return np.broadcast_to(line, shape)


def _broadcast(eqn: JaxprEqn, a: np.ndarray, *_: Any) -> np.ndarray:
    shape, dimensions = equations.broadcast_in_dim(eqn)
    inner = [1] * len(shape)
    for axis, place in enumerate(dimensions):
        inner[place] = a.shape[axis]
    return np.broadcast_to(a.reshape(inner), shape)


def _slice(eqn: JaxprEqn, a: np.ndarray) -> np.ndarray:
    return a[tuple(slice(*bounds) for bounds in equations.slices(eqn))]


def _reshape(eqn: JaxprEqn, a: np.ndarray) -> np.ndarray:
    order = equations.reshape_order(eqn)
    return (a if order is None else a.transpose(order)).reshape(equations.output(eqn).shape)


def _select(_: JaxprEqn, which: np.ndarray, *cases: np.ndarray) -> Any:
    if len(cases) != 2:
        return None
    return np.where(which.astype(bool), cases[1], cases[0])


def _comparison(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, a, b: function(a, b)


_ELEMENTWISE = having("folds")

_NUMPY: dict[str, Callable[..., Any]] = {
    "iota": _iota,
    "broadcast_in_dim": _broadcast,
    "convert_element_type": _convert,
    "div": _div,
    "rem": _rem,
    "slice": _slice,
    "select_n": _select,
    "add": lambda _, a, b: a + b,
    "sub": lambda _, a, b: a - b,
    "mul": lambda _, a, b: a * b,
    "neg": lambda _, a: -a,
    "not": lambda _, a: ~a,
    "and": lambda _, a, b: a & b,
    "or": lambda _, a, b: a | b,
    "xor": lambda _, a, b: a ^ b,
    "max": lambda _, a, b: np.maximum(a, b) if _integers(a, b) else None,
    "min": lambda _, a, b: np.minimum(a, b) if _integers(a, b) else None,
    "eq": _comparison(np.equal),
    "ne": _comparison(np.not_equal),
    "lt": _comparison(np.less),
    "le": _comparison(np.less_equal),
    "gt": _comparison(np.greater),
    "ge": _comparison(np.greater_equal),
    "sign": lambda _, a: np.sign(a) if _integers(a) else None,
    "copy": lambda _, a: a,
    "stop_gradient": lambda _, a: a,
    "squeeze": lambda eqn, a: a.reshape(equations.output(eqn).shape),
    "expand_dims": lambda eqn, a: a.reshape(equations.output(eqn).shape),
    "reshape": _reshape,
    "transpose": lambda eqn, a: a.transpose(equations.permutation(eqn)),
    "rev": lambda eqn, a: np.flip(a, equations.dimensions(eqn)),
    "concatenate": lambda eqn, *a: np.concatenate(a, equations.dimension(eqn)),
}
