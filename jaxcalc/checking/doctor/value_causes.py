"""Why an equation makes NaN or an infinity of finite numbers, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor.overflow import value_overflows
from jaxcalc.checking.doctor.sample import Sample, shown
from jaxcalc.checking.doctor.tape import Event, Tape, is_inexact
from jaxcalc.engine.jaxprs import equations


class Why(NamedTuple):
    """A cause and what to do about it."""

    cause: str
    advice: str


_OVERFLOWS = {"exp", "exp2", "expm1", "sinh", "cosh"}
_GROWS = frozenset(
    {"mul", "add", "add_any", "sub", "square", "integer_pow", "pow", "div", "reduce_sum", "reduce_prod",
     "dot_general", "cumsum", "cumprod", "conv_general_dilated", "reduce_window_sum"}
)  # fmt: skip
_FACTORS = frozenset({"cholesky", "eigh", "svd", "qr", "lu", "eig", "triangular_solve"})


def why_value(tape: Tape, event: Event, sample: Sample) -> Why:
    """The cause of a result that is not finite, at one element where it is not."""
    for cause in (_by_name, _of_infinities, _overflow):
        found = cause(tape, event, sample)
        if found is not None:
            return found
    return Why(
        f"{event.name} makes {_kind(sample)} of finite numbers",
        "look at what goes into this line, and keep its operands inside of the operation's domain.",
    )


def _kind(sample: Sample) -> str:
    known = [r for r in sample.results if r is not None]
    if any(np.isnan(r) for r in known if np.issubdtype(type(r), np.inexact)):
        return "NaN"
    return "an infinity" if known else "NaN or an infinity"


def _by_name(tape: Tape, event: Event, sample: Sample) -> Why | None:
    if event.name in _FACTORS or event.name == "custom_linear_solve":
        return _matrices(event)
    rule = _RULES.get(event.name)
    return None if rule is None else rule(tape, event, sample)


def _log(tape: Tape, event: Event, sample: Sample) -> Why | None:
    x, edge = sample.operand(), -1.0 if event.name == "log1p" else 0.0
    safe = "keep it away from there, as in jnp.log(jnp.maximum(x, tiny))"
    if x == edge == 0:
        return (
            _determinant(event)
            or _of_small(tape, event)
            or Why("log(0) is -inf", f"{safe}, or use jax.scipy.special.xlogy for x * log(y).")
        )
    if x == edge:
        return Why(f"{event.name}({shown(edge)}) is -inf", f"{safe}.")
    if _is_subnormal(x) and edge == 0:
        return Why(
            f"{event.name}({shown(x)}) is -inf: numbers below the smallest normal {x.dtype} count as 0",
            f"{safe}.",
        )
    if not np.iscomplexobj(x) and x < edge:
        return Why(
            f"{event.name} of {shown(x)}, below {shown(edge)}, is NaN",
            "make the operand positive, as softplus or exp does, or take the logarithm of its square.",
        )
    return None


def _is_subnormal(x: Any) -> bool:
    return bool(0 < np.abs(x) < float(jnp.finfo(np.asarray(x).dtype).tiny))


def _determinant(event: Event) -> Why | None:
    if "slogdet" not in event.calls:
        return None
    return Why(
        "the logarithm of the determinant of a singular matrix is -inf",
        "add a small multiple of the identity to the matrix.",
    )


def _unwritten(event: Event) -> Why | None:
    if not event.name.startswith("scatter"):
        return None
    return Why(
        f"{event.name} keeps the infinity or NaN that the array began with wherever nothing is written",
        "look at the indices (a segment may be empty), or put a number there with jnp.where("
        "jnp.isfinite(y), y, 0).",
    )


def why_constant(reader: Event | None, is_nan: bool) -> Why:
    """The cause where a constant that is not finite comes through, which `reader` reads first."""
    # of a pivot that is 0, slogdet takes -inf
    found = None if reader is None else _determinant(reader) or _unwritten(reader)
    return found or Why(
        f"a constant that is {'NaN' if is_nan else 'an infinity'} reaches the output",
        "put a finite number in its place, or keep it from the output.",
    )


_VANISHING = {
    "exp": "keep to logarithms, as jax.nn.log_softmax, logsumexp and the logpdf functions do.",
    "logistic": "use jax.nn.log_sigmoid, which does not underflow.",
    "erfc": "use jax.scipy.special.log_ndtr, which does not underflow.",
    "reduce_prod": "add up logarithms in the place of the product.",
    "cumprod": "add up logarithms in the place of the products.",
    "mul": "add up logarithms in the place of the product.",
}


def _of_small(tape: Tape, event: Event) -> Why | None:
    """The cause of a zero that was made of numbers which are not zero: too small for the dtype."""
    number = event.inputs[0]
    made = tape.made_by[number]
    while made is not None and not (tape.array(number) != 0).all():
        zero = next((i for i in made.inputs if _has_zero(tape, i)), None)
        if zero is None or made.name in {"exp", "logistic"}:
            break
        number, made = zero, tape.made_by[zero]
    if made is not None and made.name == "exp" and _is_of_infinity(tape, made):
        return Why(
            "log(0) is -inf: the 0 is a sum of exp(-inf), as in a logsumexp of nothing but -inf",
            "put a large finite number, such as -1e9, in the place of -inf, or handle a row that is "
            "masked throughout apart.",
        )
    if made is not None and made.name == "sub" and _has_zero(tape, number):
        return _of_rounding(tape, made)
    if made is not None and made.name == "div" and tape.is_bad(made.inputs[1]):
        return _of_overflow(tape, event, made)
    if made is None or made.name not in _VANISHING:
        return None
    where = f" ({made.place})" if made.place not in {None, event.place} else ""
    return Why(f"log(0) is -inf: the 0 is an underflow of {made.name}{where}", _VANISHING[made.name])


def _is_of_infinity(tape: Tape, event: Event) -> bool:
    """Whether an exp is zero of -inf alone."""
    x, y = tape.array(event.inputs[0]), tape.array(event.outputs[0])
    return bool(np.isneginf(x[y == 0]).all())


def _of_rounding(tape: Tape, event: Event) -> Why | None:
    """The cause of a zero that is the difference of 1 and a probability which was rounded to 1."""
    made = tape.made_by[event.inputs[1]]
    if made is None or made.name not in {"logistic", "exp", "tanh", "erf"}:
        return None
    advice = {
        "logistic": "use jax.nn.log_sigmoid(-x) for log(1 - sigmoid(x)).",
        "exp": "use jnp.log1p(-jnp.exp(x)), or jnp.log(-jnp.expm1(x)), for log(1 - exp(x)).",
    }
    words = {"logistic": "sigmoid"}.get(made.name, made.name)
    return Why(
        f"log(0) is -inf: the 0 is what rounding leaves of a difference from {words}(x)",
        advice.get(made.name, "compute the small difference directly, as jax.scipy.special.erfc does."),
    )


def _of_overflow(tape: Tape, event: Event, division: Event) -> Why | None:
    """The cause of a zero that is a finite number divided by an overflow, as in a softmax."""
    number: int | None = division.inputs[1]
    made = None
    while number is not None and (maker := tape.made_by[number]) is not None:
        made, number = maker, next((i for i in maker.inputs if tape.is_bad(i)), None)
    if made is None or made.name not in _OVERFLOWS:
        return None
    where = f" ({made.place})" if made.place not in {None, event.place} else ""
    return Why(
        f"log(0) is -inf: the 0 is a division by an overflow of {made.name}{where}",
        _exp_advice(tape, made),
    )


def _has_zero(tape: Tape, number: int) -> bool:
    value = tape.values[number]
    return is_inexact(value) and bool((np.asarray(value) == 0).any())


def _root(tape: Tape, event: Event, sample: Sample) -> Why | None:
    del tape
    x = sample.operand()
    if np.iscomplexobj(x):
        return None
    if x < 0:
        return Why(
            f"{event.name} of {shown(x)}, a negative number, is NaN",
            "keep the operand from falling below 0, as in jnp.sqrt(jnp.maximum(x, 0)).",
        )
    if x == 0 and event.name == "rsqrt":
        return Why("rsqrt(0) is inf", "add a small number inside of the root: rsqrt(x + epsilon).")
    return None


def _division(tape: Tape, event: Event, sample: Sample) -> Why | None:
    del tape, event
    x, y = sample.operand(0), sample.operand(1)
    if y != 0:
        return None
    return Why(
        "division by zero: 0 / 0 is NaN" if x == 0 else "division by zero gives an infinity",
        "keep the divisor away from 0, as in x / jnp.where(y == 0, 1, y), or add a small number to it.",
    )


def _power(tape: Tape, event: Event, sample: Sample) -> Why | None:
    del tape
    x = sample.operand(0)
    y = sample.operand(1) if event.name == "pow" else -1
    if np.iscomplexobj(x):
        return None
    if x == 0 and y < 0:
        return Why("0 to a negative power is inf", "keep the base away from 0.")
    if x < 0 and event.name == "pow" and y != np.floor(y):
        return Why(
            f"a negative number, {shown(x)}, to the power {shown(y)} is NaN",
            "keep the base positive, or write jnp.sign(x) * jnp.abs(x)**y if that is meant.",
        )
    return None


def _domain(low: float, high: float) -> Callable[[Tape, Event, Sample], Why | None]:
    def rule(tape: Tape, event: Event, sample: Sample) -> Why | None:
        del tape
        x = sample.operand()
        if np.iscomplexobj(x) or low < x < high:
            return None
        made = "an infinity" if x in {low, high} else "NaN"
        return Why(
            f"{event.name} of {shown(x)}, at the edge of its domain or outside of it, is {made}",
            f"keep the operand between {shown(low)} and {shown(high)}, with jnp.clip.",
        )

    return rule


def _gamma(tape: Tape, event: Event, sample: Sample) -> Why | None:
    del tape
    x = sample.operand()
    if x <= 0 and x == np.floor(x):
        return Why(f"{event.name} has a pole at {shown(x)}", "keep the operand positive.")
    return None


def _gather(tape: Tape, event: Event, sample: Sample) -> Why | None:
    del sample
    if tape.is_bad(event.inputs[0]):
        return None
    return Why(
        "an index is out of bounds, where indexing gives NaN",
        "look at the indices, or choose what stands there with x.at[i].get(mode='fill', fill_value=0).",
    )


def _callback(tape: Tape, event: Event, sample: Sample) -> Why | None:
    del tape
    return Why(
        f"the function of Python that {event.name} calls returns {_kind(sample)}",
        "look at that function: JAX does not see into it.",
    )


def _cast(tape: Tape, event: Event, sample: Sample) -> Why | None:
    assert event.eqn is not None
    dtype = np.dtype(equations.new_dtype(event.eqn))
    made = tape.made_by[event.inputs[0]]
    if made is not None and made.name in _GROWS and made.place == event.place:
        # jnp.sum of float16 adds up in float32, and casts the sum
        return Why(
            f"overflow in {made.name}: {shown(sample.operand())} exceeds the largest {dtype}",
            f"scale the values down, or compute this with a dtype of a wider range than {dtype}.",
        )
    return Why(
        f"{shown(sample.operand())} is too large for {dtype}: the cast gives an infinity",
        f"scale the values down before the cast, or keep a dtype of a wider range than {dtype} here.",
    )


def _matrices(event: Event) -> Why:
    if event.name == "cholesky":
        return Why(
            "cholesky of a matrix that is not positive definite is NaN",
            "add a small multiple of the identity (jitter), or make the matrix as B @ B.T + epsilon I.",
        )
    if event.name in {"custom_linear_solve", "triangular_solve", "lu"}:
        return Why(
            "a linear system with a singular matrix has no solution",
            "add a small multiple of the identity to the matrix, or use jnp.linalg.lstsq.",
        )
    return Why(f"{event.name} does not converge on this matrix", "look at the matrix that goes in.")


def _of_infinities(tape: Tape, event: Event, sample: Sample) -> Why | None:
    """NaN of operands that hold infinities: these were put there on purpose, or come as arguments."""
    if not any(tape.is_bad(i) for i in event.inputs):
        return None
    words = {"sub": "inf - inf", "add": "inf - inf", "mul": "0 * inf", "div": "inf / inf"}
    what = words.get(event.name, f"{event.name} of an infinity")
    if event.name == "dot_general":
        what = "0 * inf in a matrix product"
    del sample
    return Why(
        f"{what} is NaN",
        "put a large finite number in the place of the infinity, or handle a row that is masked "
        "throughout apart.",
    )


def _overflow(tape: Tape, event: Event, sample: Sample) -> Why | None:
    if event.name not in _OVERFLOWS | _GROWS and not value_overflows(tape, event):
        return None
    dtype = np.asarray(tape.values[event.outputs[0]]).dtype
    if event.name in _OVERFLOWS:
        cause = f"overflow in {event.name}: {event.name}({shown(sample.operand())}) exceeds {dtype}"
        return Why(cause, _exp_advice(tape, event))
    return Why(
        f"overflow in {event.name}: the result exceeds the largest {dtype}",
        "scale the values down, work with logarithms, or use a dtype of a wider range.",
    )


def _exp_advice(tape: Tape, event: Event) -> str:
    following = _names_after(tape, event)
    if event.name == "exp" and {"reduce_sum", "div", "log"} <= following:
        return (
            "this is the logarithm of a softmax without a shift: use jax.nn.log_softmax, which "
            "subtracts the maximum first."
        )
    if event.name == "exp" and "reduce_sum" in following and "div" in following:
        return (
            "this is a softmax without a shift: use jax.nn.softmax, which subtracts the maximum first."
        )
    if event.name == "exp" and "reduce_sum" in following and "log" in following:
        return "use jax.scipy.special.logsumexp, which subtracts the maximum first."
    if event.name == "exp" and "log" in following:
        return "use jax.nn.softplus or jnp.logaddexp, which do not overflow, for log(1 + exp(x))."
    return "keep the operand small, as in jnp.exp(jnp.minimum(x, limit)), or work with logarithms."


def _names_after(tape: Tape, event: Event, most: int = 60) -> set[str]:
    """The primitives of the next events that what an event made goes into; div, if as the divisor."""
    start = tape.events.index(event)
    reached, names = set(event.outputs), set[str]()
    for later in tape.events[start + 1 : start + 1 + most]:
        if not reached.isdisjoint(later.inputs):
            if later.name != "div" or later.inputs[1] in reached:  # a mean divides by a number
                names.add(later.name)
            reached.update(later.outputs)
    return names


_Rule = Callable[[Tape, Event, Sample], Why | None]
_RULES: dict[str, _Rule] = {
    "log": _log,
    "log1p": _log,
    "log2": _log,
    "sqrt": _root,
    "rsqrt": _root,
    "div": _division,
    "pow": _power,
    "integer_pow": _power,
    "asin": _domain(-1.0, 1.0),
    "acos": _domain(-1.0, 1.0),
    "atanh": _domain(-1.0, 1.0),
    "erf_inv": _domain(-1.0, 1.0),
    "acosh": _domain(1.0, np.inf),
    "lgamma": _gamma,
    "digamma": _gamma,
    "convert_element_type": _cast,
    "gather": _gather,
    "pure_callback": _callback,
    "io_callback": _callback,
}
"""By primitive: a cause where the numbers fit, None where it must be something else."""
