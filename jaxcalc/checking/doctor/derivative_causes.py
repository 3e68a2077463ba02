"""Why the derivative of an equation is NaN or infinite where its value is not, in words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor.cut_words import called
from jaxcalc.checking.doctor.overflow import derivative_overflows
from jaxcalc.checking.doctor.sample import Sample, shown
from jaxcalc.checking.doctor.tape import MOVES, Event, Tape
from jaxcalc.checking.doctor.value_causes import Why, why_value

_Rule = Callable[[Tape, Event, int, Sample], Why | None]
_SAFE = (
    "choose a safe operand first, inside of the branch: y = jnp.where(ok, x, 1.0), then "
    "jnp.where(ok, f(y), other)."
)
_NORM = (
    "norm at 0 has no derivative: it is a kink with one-sided derivatives -1 and 1, where JAX gives NaN"
)


def why_derivative(tape: Tape, event: Event, slot: int, sample: Sample) -> Why:
    """The cause of a cotangent for operand `slot`, at one element where it is not finite."""
    rule = _RULES.get(event.name)
    found = None if rule is None else rule(tape, event, slot, sample)
    if found is not None:
        return found
    if any(tape.is_bad(i) for i in event.outputs):
        why = why_value(tape, event, sample)
        return Why(f"{why.cause}, and so is its derivative", why.advice)
    is_bad_before = any(tape.is_bad(i) for i in event.inputs)
    if not is_bad_before and derivative_overflows(tape, event, slot):
        dtypes = [jnp.result_type(tape.values[i]) for i in (event.inputs[slot], *event.outputs)]
        inexact = (d for d in dtypes if jnp.issubdtype(d, jnp.inexact))
        dtype = min(inexact, key=lambda d: float(jnp.finfo(d).max))
        return Why(
            f"the derivative overflows in {event.name}: it exceeds the largest {dtype}",
            "scale the weights or the loss down, normalize between the layers or steps, or use a dtype "
            "of a wider range.",
        )
    if event.name in {"custom_jvp_call", "custom_vjp_call"}:
        kind = event.name.removesuffix("_call")
        return Why(
            f"the {kind} rule of this function makes NaN or an infinity of finite numbers",
            "look at the rule: it has to be finite wherever the function is.",
        )
    if is_bad_before:
        return Why(
            f"the derivative of {event.name} multiplies zero by an infinity that was made before",
            "put a large finite number in the place of the infinity.",
        )
    return Why(
        f"{event.name} has no finite derivative here",
        "keep its operands away from this point, or give the function around it a custom_jvp.",
    )


_LIBRARY = frozenset({"xlogy", "xlog1py", "_xlogx"})


def in_rule(event: Event, why: Why) -> Why:
    """The same for what the rule of a `custom_jvp` function does, if JAX wrote that function."""
    name = called(event)
    if name not in _LIBRARY:
        return why
    return Why(
        f"{name.lstrip('_')} has an infinite derivative where the operand of its logarithm is 0",
        "keep the operand away from there, as in jnp.maximum(x, tiny).",
    )


_BRANCH = "does not take: zero times it is NaN all the same"


def is_masked(cause: str) -> bool:
    """Whether a cause is in a branch that is not taken."""
    return _BRANCH in cause


def is_overflow(cause: str) -> bool:
    """Whether a cause is a derivative that is too large for its dtype."""
    return cause.startswith("the derivative overflows")


def masked(why: Why, branch: str) -> Why:
    """The same for an operand that only a branch reads which was not taken."""
    is_data = " holds " in why.cause
    return Why(f"{why.cause}, in a branch that {branch} {_BRANCH}", why.advice if is_data else _SAFE)


def _root(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del slot
    if sample.operand() != 0:
        return None
    if "std" in event.calls:
        return Why(
            "the standard deviation of equal numbers has no derivative: sqrt has an infinite one at 0",
            "use the variance, or jnp.sqrt(jnp.var(x) + epsilon).",
        )
    squared = _squared(tape, event.inputs[0])
    if any(_underflows(tape.values[i]) for i in squared):
        return Why(
            f"the squares in this norm underflow: their sum is 0 in {sample.operand().dtype}",
            "divide by the largest number first: size * norm(x / size), with "
            "size = jax.lax.stop_gradient(jnp.max(jnp.abs(x))).",
        )
    if "norm" in event.calls or squared:
        return Why(
            _NORM, "write the square of the norm if that will do, or jnp.sqrt(jnp.sum(x**2) + epsilon)."
        )
    return Why(
        f"{event.name} has an infinite derivative at 0",
        f"keep the operand away from 0, as in jnp.{event.name}(x + epsilon) or jnp.where.",
    )


def _squared(tape: Tape, number: int) -> list[int]:
    """What a value is the sum of the squares of; nothing where it is not such a sum."""
    event = tape.made_by[number]
    while event is not None and event.name in MOVES:
        event = tape.made_by[event.inputs[0]]
    if event is None or event.name not in {"reduce_sum", "dot_general", "add", "real"}:
        return []
    if event.name == "dot_general":
        return [event.inputs[0]] if event.inputs[0] == event.inputs[1] else []
    before = [tape.made_by[i] for i in event.inputs]
    squares = [e for e in before if e is not None and _is_square(e)]
    return [e.inputs[0] for e in squares] if len(squares) == len(before) else []


def _underflows(x: Any) -> bool:
    """Whether there are numbers whose square is 0."""
    x = np.asarray(x)
    with np.errstate(under="ignore"):
        return bool(np.any((x != 0) & (np.abs(x) ** 2 < float(jnp.finfo(x.dtype).tiny))))


def _is_square(event: Event) -> bool:
    if event.name == "mul":
        return event.inputs[0] == event.inputs[1]
    return event.name in {"square", "integer_pow"}


def _log(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del tape, slot
    x, edge = sample.operand(), -1.0 if event.name == "log1p" else 0.0
    if x == edge:
        return Why(
            f"{event.name} has an infinite derivative at {shown(edge)}",
            "keep the operand away from there, as in jnp.log(jnp.maximum(x, tiny)), or use "
            "jax.scipy.special.xlogy or entr for x * log(x).",
        )
    return None


def _division(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del tape, event, slot
    if sample.operand(1) != 0:
        return None
    return Why(
        "division by zero has an infinite derivative",
        "keep the divisor away from 0, as in x / jnp.where(y == 0, 1, y).",
    )


_POLE = "a negative power has no derivative at 0"


def _power(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del tape
    x, y = sample.operand(0), sample.operand(1)
    if event.name == "integer_pow":
        is_pole = x == 0 and any(not np.isfinite(r) for r in sample.results if r is not None)
        return Why(_POLE, "keep the base away from 0.") if is_pole else None
    if slot == 1 and not x > 0:
        return Why(
            f"{shown(x)} to a power: the derivative with respect to the exponent takes the logarithm "
            "of the base",
            "keep the base positive, or hold the exponent constant with jax.lax.stop_gradient.",
        )
    if x != 0 or np.isnan(y):
        return None
    if y < 0:
        return Why(_POLE, "keep the base away from 0.")
    if y == 0:
        return Why(
            "x**0.0 at 0: its derivative is 0 * 0**-1, which is NaN",
            "write the exponent as an integer, x**0, or leave this term out.",
        )
    return Why(
        f"x**{shown(y)} has an infinite derivative at 0",
        "keep the base away from 0, as in (x + epsilon)**y.",
    )


def _at(points: Callable[[float], bool], words: str, advice: str) -> _Rule:
    def rule(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
        del tape, slot
        x = sample.operand()
        if not points(x):
            return None
        return Why(f"{event.name} has an infinite derivative at {shown(x)}{words}", advice)

    return rule


def _angle(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del tape, event, slot
    if sample.operand(0) == 0 and sample.operand(1) == 0:
        return Why(
            "atan2(0, 0) has no derivative",
            "choose another point where both are 0: jnp.arctan2(y, jnp.where(x == 0, 1, x)).",
        )
    return None


def _spectrum(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del slot, sample
    what = "eigenvalues" if event.name == "eigh" else "singular values"
    vectors = "eigenvectors" if event.name == "eigh" else "singular vectors"
    values = next(
        (tape.array(i) for i in event.outputs if tape.array(i).ndim < _rank(tape, event)), None
    )
    if values is None:
        return None
    ordered = np.sort(values, axis=-1)
    gap = min((float(np.min(b - a)) for a, b in pairwise(np.moveaxis(ordered, -1, 0))), default=np.inf)
    size = float(np.max(np.abs(ordered), initial=0.0))
    if gap > 10 * float(np.finfo(ordered.dtype).eps) * size:
        if event.name == "svd" and float(np.min(np.abs(ordered))) == 0:
            return Why(
                "svd of a matrix of lower rank: a singular value that is 0 has no derivative",
                "use the singular values of a matrix of full rank, or add a small one to it.",
            )
        return None
    return Why(
        f"{event.name} with equal {what}: the {vectors} are not unique there and have no derivative",
        f"use a function of the {what} alone, or one that does not depend on the choice of {vectors}; "
        "or separate them by a small known matrix.",
    )


def _rank(tape: Tape, event: Event) -> int:
    return int(tape.array(event.inputs[0]).ndim)


def _factor(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del tape, slot, sample
    return Why(
        f"{event.name} of a singular matrix has no derivative",
        "add a small multiple of the identity to the matrix.",
    )


def _product(tape: Tape, event: Event, slot: int, sample: Sample) -> Why | None:
    del slot
    if all(tape.is_bad(i) for i in event.inputs) or not any(tape.is_bad(i) for i in event.inputs):
        return None
    del sample
    return Why(
        "0 * inf: a product with an infinity, which has no derivative with respect to the other factor",
        "put a large finite number in the place of the infinity.",
    )


_EDGES = "keep the operand inside of the domain, as in jnp.clip(x, -1 + epsilon, 1 - epsilon)."
_RULES: dict[str, _Rule] = {
    "sqrt": _root,
    "cbrt": _root,
    "rsqrt": _root,
    "log": _log,
    "log1p": _log,
    "log2": _log,
    "div": _division,
    "pow": _power,
    "integer_pow": _power,
    "asin": _at(lambda x: abs(x) == 1, ", at the edge of its domain", _EDGES),
    "acos": _at(lambda x: abs(x) == 1, ", at the edge of its domain", _EDGES),
    "atanh": _at(lambda x: abs(x) == 1, ", at the edge of its domain", _EDGES),
    "erf_inv": _at(lambda x: abs(x) == 1, ", at the edge of its domain", _EDGES),
    "acosh": _at(lambda x: x == 1, ", at the edge of its domain", "keep the operand above 1."),
    "atan2": _angle,
    "eigh": _spectrum,
    "svd": _spectrum,
    "qr": _factor,
    "lu": _factor,
    "cholesky": _factor,
    "mul": _product,
    "dot_general": _product,
}
