"""What rounding did: the same equations in double precision, and casts to smaller dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor.pullback import Pullback
from jaxcalc.checking.doctor.runner import Where, of_call, run_inside
from jaxcalc.checking.doctor.tape import GATHER_STEPS, JOIN, SPLIT, Event, Tape, is_inexact, not_finite
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs.float64_shadow import bind_widened, wide
from jaxcalc.engine.jaxprs.source import NOWHERE

_GROWTH = 8.0  # an equation that multiplies the relative error by more than this has made it
_ALLOWANCE = 64.0  # times the error that rounding of the arguments alone may cause


def precision_findings(tape: Tape, pullback: Pullback) -> list[Finding]:
    """A finding for each line that loses most digits of the output."""
    narrow = [i for i in tape.outputs if tape.made_by[i] and _is_narrow(tape.values[i])]
    results = [*(tape.values[i] for i in tape.outputs), *map(pullback.of_value.get, tape.leaves)]
    if not narrow or any(map(not_finite, results)):
        return []  # there are worse things to mend first
    with jax.enable_x64(True):
        shadows = _shadows(tape, {i: wide(tape.values[i]) for i in tape.leaves})
        lost = [i for i in narrow if _is_lost(tape, pullback, shadows, i)]
    losers = [_loser(tape, shadows, i) for i in lost]
    return [_finding(tape, shadows, event) for event in losers if event is not None]


def _is_narrow(x: Any) -> bool:
    dtype = jnp.result_type(x)
    return is_inexact(x) and float(jnp.finfo(dtype).eps) > 1e-10


def _shadows(tape: Tape, known: dict[int, Any]) -> dict[int, Any]:
    """The values of the same equations in double precision; branches and steps stay the same."""
    shadows = dict(known)

    def read(number: int) -> Any:
        return shadows[number] if number in shadows else wide(tape.values[number])

    for event in tape.events:
        results = _shadow(tape, event, [read(i) for i in event.inputs])
        for k, number in enumerate(event.outputs):
            value = tape.values[number]
            is_known = results is not None and is_inexact(value)
            shadows[number] = results[k] if is_known and results is not None else wide(value)
    return shadows


def _shadow(tape: Tape, event: Event, operands: Sequence[Any]) -> Sequence[Any] | None:
    if not operands or not any(is_inexact(tape.values[i]) for i in event.outputs):
        return None  # integers, truth values and keys are what they are
    if event.name == JOIN:
        return operands[: len(event.outputs)]
    if event.name == SPLIT:
        parts = list(np.asarray(operands[0]))
        return parts[::-1] if event.axis_reversed else parts
    if event.name == GATHER_STEPS:
        return [
            np.stack([np.asarray(x) for x in (operands[::-1] if event.axis_reversed else operands)])
        ]
    assert event.eqn is not None
    program = of_call(event)
    if program is None:
        return bind_widened(event.eqn, operands)
    inside = run_inside(program, [tape.values[i] for i in event.inputs], Where())
    shadows = _shadows(inside, dict(zip(inside.leaves, operands, strict=True)))
    return [shadows[i] if i in shadows else wide(inside.values[i]) for i in inside.outputs]


def _is_lost(tape: Tape, pullback: Pullback, shadows: dict[int, Any], number: int) -> bool:
    """Whether a value is off by more than its dtype and the rounding of the arguments explain."""
    value, exact = np.asarray(tape.values[number]), np.asarray(shadows[number])
    if not np.isfinite(exact).all() or not value.size:
        return False
    # of arguments in half precision no more than half precision is expected
    reading = [i for i in tape.leaves if pullback.of_value.get(i) is not None]
    eps = max(float(jnp.finfo(jnp.result_type(x)).eps) for x in (value, *map(tape.array, reading)))
    error = np.abs(value.astype(exact.dtype) - exact)
    inherent = eps * sum(
        float(np.sum(_magnitude(g) * _magnitude(tape.values[i])))
        for i in tape.leaves
        if (g := pullback.of_value.get(i)) is not None
    )
    return bool(np.any(error > np.maximum(np.sqrt(eps) * np.abs(exact), _ALLOWANCE * inherent)))


def _magnitude(x: Any) -> np.ndarray:
    return np.abs(np.asarray(wide(x)))


def _loser(tape: Tape, shadows: dict[int, Any], number: int) -> Event | None:
    """The equation at which the relative error grows, on the way back from a value."""
    while True:
        event = tape.made_by[number]
        if event is None:
            return None
        error = _relative(tape, shadows, number)
        candidates = [(_relative(tape, shadows, i), i) for i in event.inputs if i in shadows]
        before, following = max(candidates, default=(0.0, -1))
        if event.eqn is not None and before < error / _GROWTH:
            return event
        if following < 0:
            return None
        number = following


def _relative(tape: Tape, shadows: dict[int, Any], number: int) -> float:
    """The error of a value in proportion to its largest element."""
    value = tape.values[number]
    if not is_inexact(value) or not np.size(value):
        return 0.0
    exact = np.asarray(shadows[number])
    with np.errstate(invalid="ignore", over="ignore"):
        error = float(np.max(np.abs(np.asarray(value).astype(exact.dtype) - exact)))
    size = float(np.max(np.abs(exact)))
    return error / size if size else (np.inf if error else 0.0)


def _finding(tape: Tape, shadows: dict[int, Any], event: Event) -> Finding:
    number = event.outputs[0]
    dtype = np.asarray(tape.values[number]).dtype
    lost = _relative(tape, shadows, number)
    digits = max(0, int(-np.log10(lost))) if lost else 0
    what = {0: "no digit is", 1: "one digit is"}.get(digits, f"{digits} digits are")
    return Finding(
        "warning",
        "precision",
        f"loss of significance in {event.name}: {what} left of the {dtype} (compared with float64)",
        _advice(tape, event),
        *(event.place or NOWHERE),
        "",
        event.name,
        event.step,
    )


_OF_SUB = {
    "exp": "use jnp.expm1(x) for exp(x) - 1.",
    "logistic": "use jax.nn.sigmoid(-x) for 1 - sigmoid(x), and log_sigmoid(-x) for its logarithm.",
    "cos": "use 2 * jnp.sin(x / 2)**2 for 1 - cos(x).",
    "sqrt": "multiply by the conjugate: sqrt(a) - sqrt(b) is (a - b) / (sqrt(a) + sqrt(b)).",
}


def _advice(tape: Tape, event: Event) -> str:
    makers = {made.name for i in event.inputs if (made := tape.made_by[i]) is not None}
    if event.name == "log":
        return "use jnp.log1p(x) for log(1 + x)."
    if event.name == "sub" and not makers.isdisjoint(_OF_SUB):
        return next(advice for name, advice in _OF_SUB.items() if name in makers)
    if event.name in {"sub", "add", "add_any", "reduce_sum"}:
        return (
            "nearly equal numbers cancel: rearrange it to compute the small difference directly "
            "(as jnp.var does for a variance), or use float64."
        )
    return "rearrange the expression, or use float64 (jax_enable_x64) for it."
