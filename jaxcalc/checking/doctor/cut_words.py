"""How to call the operation at which a path of derivatives ends, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxcalc.checking.doctor.tape import MOVES, Event, Tape
from jaxcalc.checking.findings import Severity
from jaxcalc.engine.jaxprs import bodies, equations
from jaxcalc.engine.jaxprs.source import Place


@dataclass(frozen=True)
class Cut:
    """Where a path ends.

    Attributes:
        what: the operation in words.
        advice: what to do about it.
        place: the user's line.
        is_structural: whether the path ends for every value of the arguments.
        severity: a note where the point is a stationary one, as at a minimum.
        operation: the primitive.
        step: the steps of the loops that it is in.
        is_shift: whether it is the `stop_gradient` of a maximum, such as softmax subtracts.
    """

    what: str
    advice: str
    place: Place | None
    is_structural: bool
    severity: Severity
    operation: str
    step: str
    is_shift: bool = False

    @property
    def is_flat_choice(self) -> bool:
        """Whether it is a `where`, or a function made of some, that takes a flat branch throughout."""
        return self.operation == "select_n" and not self.is_structural

    @property
    def is_comparison(self) -> bool:
        """Whether a truth value is what is made."""
        return self.operation in _COMPARISONS and self.what.startswith("a comparison")

    @property
    def text(self) -> str:
        """The operation and its line, as `argmax, model.py:41`."""
        return f"{self.what}, {self.place}" if self.place else self.what


_SMOOTH = "has no derivative: keep the argument constant, or use a smooth function in its place"
_STRAIGHT = "let the gradient pass it by, as x + jax.lax.stop_gradient(f(x) - x) does"
_STRUCTURAL: dict[str, tuple[str, str]] = {
    "stop_gradient": ("stop_gradient", "take jax.lax.stop_gradient away if the gradient is wanted."),
    "argmax": ("argmax", f"argmax {_SMOOTH}, such as softmax."),
    "argmin": ("argmin", f"argmin {_SMOOTH}, such as softmax of the negative."),
    "round": ("rounding (round)", f"rounding is piecewise constant: leave it out, or {_STRAIGHT}."),
    "floor": ("rounding (floor)", f"rounding is piecewise constant: leave it out, or {_STRAIGHT}."),
    "ceil": ("rounding (ceil)", f"rounding is piecewise constant: leave it out, or {_STRAIGHT}."),
    "sign": ("sign", "sign is piecewise constant: use jnp.tanh(x / width) in its place."),
    "sort": ("the order of a sort (argsort)", "an order has no derivative: use sorted values instead."),
    "top_k": ("the places of top_k", "places have no derivative: use the values of top_k instead."),
    "bitcast_convert_type": ("the bits of a number", "compute with the number instead of its bits."),
    "is_finite": ("a comparison (isfinite)", "a truth value has no derivative."),
}
_ROUNDING = frozenset({"floor_divide", "trunc", "fix"})
_STEPS = _ROUNDING | {"heaviside", "searchsorted", "digitize", "nonzero", "count_nonzero", "isclose"}
_COMPARISONS = frozenset({"gt", "lt", "ge", "le", "eq", "ne", "lt_to", "le_to", "eq_to"})
_FLAT = frozenset({"max", "min", "clamp"})
_SATURATING = frozenset({"tanh", "logistic", "erf", "exp", "exp2", "atan", "expm1", "erfc", "log1p"})
_OVERWRITING = frozenset({"scatter", "dynamic_update_slice"})


def ends_at(tape: Tape, event: Event, moving: Sequence[int], *, structural: bool) -> Cut:
    """The end of a path at an event, whose operands `moving` depend on the argument."""
    structural = structural or bool(_piecewise_constant(event))
    if structural:
        what, advice = _structural(event)
        severity: Severity = "warning"
    else:
        what, advice, severity = _local(tape, event, moving)
    shift = event.name == "stop_gradient" and _is_of_maximum(tape, event)
    return Cut(what, advice, event.place, structural, severity, event.name, event.step, shift)


def _is_of_maximum(tape: Tape, event: Event) -> bool:
    """Whether an event reads the largest of some numbers, perhaps with the infinite replaced."""
    made = tape.made_by[event.inputs[0]]
    while made is not None and made.name in MOVES | {"max", "select_n"}:
        made = next((before for i in made.inputs[::-1] if (before := tape.made_by[i])), None)
    return made is not None and made.name == "reduce_max"


def _structural(event: Event) -> tuple[str, str]:
    whole = _piecewise_constant(event)
    if whole:
        return _of_steps(whole)
    if event.name in _STRUCTURAL:
        return _STRUCTURAL[event.name]
    if event.name in _COMPARISONS:
        return (
            f"a comparison ({event.name})",
            "a truth value has no derivative: use a soft one, jax.nn.sigmoid((x - threshold) / width).",
        )
    if event.name == "convert_element_type":
        assert event.eqn is not None
        dtype = np.dtype(equations.new_dtype(event.eqn))
        what = "boolean" if dtype == np.bool_ else "integer"
        return (
            f"a cast to {what} ({dtype})",
            f"{what} values have no derivative: leave the cast out, or {_STRAIGHT}.",
        )
    return event.name, f"what {event.name} makes has no derivative here: find another way to write it."


def _piecewise_constant(event: Event) -> str:
    """The outermost function of JAX around an event that is piecewise constant as a whole; or none."""
    return next((name for name in event.calls if name in _STEPS), "")


def _of_steps(name: str) -> tuple[str, str]:
    if name in _ROUNDING:
        return (
            f"rounding ({name})",
            f"{name} is piecewise constant: leave it out, or {_STRAIGHT}.",
        )
    return name, f"{name} is piecewise constant: use a smooth function in its place."


def _local(tape: Tape, event: Event, moving: Sequence[int]) -> tuple[str, str, Severity]:
    operands = [tape.array(event.inputs[slot]) for slot in moving]
    if event.name in _FLAT or _is_rectifier(event) or not _KNOWN.isdisjoint(event.calls):
        name = called(event)
        return (
            f"saturated {name}",
            f"{name} is flat where all of its operands are: start elsewhere, or use one with a slope "
            "everywhere, such as jax.nn.softplus or leaky_relu.",
            "warning",
        )
    if event.name == "select_n":
        return (
            "a dead where",
            "where takes the other branch in all elements: look at its condition, or start elsewhere.",
            "warning",
        )
    if event.name in _SATURATING or "custom" in event.name:
        return (*_of_flat(event), "warning")
    if event.name in _OVERWRITING or event.name.startswith("scatter"):
        return (*_of_writing(event, moving), "warning")
    if event.name in {"reduce_max", "reduce_min"}:
        return _of_maximum(tape, event)
    return _product_or_stationary(event, moving, operands)


def _of_flat(event: Event) -> tuple[str, str]:
    name = called(event)
    if "custom" in event.name and name not in _KNOWN:
        kind = event.name.removesuffix("_call")
        return (
            f"the {kind} rule of {'a function' if '<' in name else name}, which gives zero",
            "look at the rule, or scale the operand down if the function is saturated there.",
        )
    return (
        f"saturated {name}",
        f"{name} is flat to the last digit at such values: scale its operand down.",
    )


def _of_writing(event: Event, moving: Sequence[int]) -> tuple[str, str]:
    if event.name.startswith("scatter") and list(moving) == [2]:
        return (
            "values that are set outside of the array, or over",
            "look at the indices: JAX drops what is set out of bounds.",
        )
    return (
        "values that are overwritten",
        "everything that was made of it is replaced here: look at the places that are set.",
    )


def _product_or_stationary(
    event: Event, moving: Sequence[int], operands: Sequence[np.ndarray]
) -> tuple[str, str, Severity]:
    if event.name in {"reduce_prod", "cumprod"}:
        return (
            f"a product with several zeros ({event.name})",
            "each factor meets another one that is zero: look at the numbers that are multiplied.",
            "warning",
        )
    others = [i for slot, i in enumerate(event.inputs) if slot not in moving]
    if event.name in {"mul", "dot_general", "div", "conv_general_dilated"} and others:
        return (
            f"a product with zeros ({event.name})",
            "the other factor is zero where this one is not: initialize it with other numbers, or look "
            "at the mask.",
            "warning",
        )
    if all(not x.any() for x in operands) or event.name in {"cos", "sin", "square", "mul", "cosh"}:
        return (
            f"a stationary point of {event.name}",
            "the derivative is zero at this very point, as at a minimum: start elsewhere to move away.",
            "note",
        )
    if event.name in {"add", "sub", "add_any", "reduce_sum"}:
        return (
            f"parts that cancel ({event.name})",
            "the output is the same for all values of the argument: look at what is subtracted.",
            "note",
        )
    if event.name in {"slice", "gather", "dynamic_slice"}:
        return (
            "parts that are not selected",
            "only the selected elements have a derivative.",
            "warning",
        )
    return (
        f"{event.name}, which is flat here",
        "its derivative is zero, or too small for the dtype, at this point: start elsewhere.",
        "warning",
    )


def _of_maximum(tape: Tape, event: Event) -> tuple[str, str, Severity]:
    numbers, best = tape.array(event.inputs[0]), tape.array(event.outputs[0])
    if best.ndim == 0 and (numbers == best).sum() > 1:
        return (
            f"parts that cancel at a tie ({event.name})",
            "this is a kink, where JAX takes the mean of the slopes: start elsewhere to move away.",
            "note",
        )
    return f"{event.name}, where others win", "only the winning element has a derivative.", "warning"


def _is_rectifier(event: Event) -> bool:
    return event.eqn is not None and event.name == "custom_jvp_call" and "relu" in called(event)


def called(event: Event) -> str:
    """The name that the user knows: of the innermost function around it, or of the primitive."""
    own = bodies.name(event.eqn) if event.eqn is not None and event.name.startswith("custom") else ""
    known = [name for name in (*event.calls, own) if name and "<" not in name]
    library = [name for name in known if name in _KNOWN]
    if library:
        return library[-1]
    return own or {"logistic": "sigmoid"}.get(event.name, event.name)


_KNOWN = frozenset(
    {"relu", "relu6", "clip", "hard_tanh", "hard_sigmoid", "leaky_relu", "maximum", "minimum", "silu",
     "sigmoid", "gelu", "selu", "elu", "celu"}
)  # fmt: skip
