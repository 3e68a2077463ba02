"""Casts to a smaller floating dtype that nobody may have meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxcalc.call.arguments import dtype_of
from jaxcalc.checking.doctor.tape import Event, Tape, is_inexact
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs.source import NOWHERE


def cast_findings(tape: Tape, given: Sequence[tuple[str, Any]]) -> list[Finding]:
    """Casts on the way from the arguments to the output, one for each line; `given` are the leaves."""
    found: dict[Any, Finding] = {}
    reaching: set[int] | None = None
    for event in tape.events:
        if not _is_narrowing(tape, event) or (event.place, event.calls) in found:
            continue
        reaching = tape.reaching() if reaching is None else reaching
        if event.outputs[0] in reaching:
            found[event.place, event.calls] = _finding(tape, event)
    return [*_of_arguments(tape, given), *found.values()]


def _bits(x: Any) -> int:
    return int(jnp.finfo(jnp.result_type(x)).bits)


def _is_narrowing(tape: Tape, event: Event) -> bool:
    if event.name != "convert_element_type" or not tape.is_active[event.inputs[0]]:
        return False
    before, after = tape.values[event.inputs[0]], tape.values[event.outputs[0]]
    if not is_inexact(after) or _bits(after) >= _bits(before):
        return False
    is_weak = event.eqn is not None and getattr(event.eqn.invars[0].aval, "weak_type", False)
    if _was_widened(tape, event):
        return False
    # a sum of float16 is computed in float32 and cast back: no digit of an argument is lost there
    return is_weak or _bits(after) < min(_bits(tape.values[i]) for i in tape.leaves)


def _was_widened(tape: Tape, event: Event) -> bool:
    """Whether the operand was summed up from numbers of the smaller dtype, which is cast back to."""
    made = tape.made_by[event.inputs[0]]
    before = None if made is None or len(made.inputs) != 1 else tape.made_by[made.inputs[0]]
    if before is None or before.name != "convert_element_type":
        return False
    return bool(
        jnp.result_type(tape.values[before.inputs[0]]) == jnp.result_type(tape.values[event.outputs[0]])
    )


def _finding(tape: Tape, event: Event) -> Finding:
    before, after = tape.values[event.inputs[0]], tape.values[event.outputs[0]]
    cast = f"{jnp.result_type(before)} -> {jnp.result_type(after)}"
    assert event.eqn is not None
    place = event.place or NOWHERE
    if getattr(event.eqn.invars[0].aval, "weak_type", False):
        return Finding(
            "note",
            "precision",
            f"a weakly typed number (from a Python number) takes the dtype of what it meets: {cast}",
            "pass an array of the dtype that you want, such as jnp.float32(x), to keep its digits.",
            *place,
            "",
            event.name,
            event.step,
        )
    wider = [
        i for i in tape.outputs if is_inexact(tape.values[i]) and _bits(tape.values[i]) > _bits(after)
    ]
    lost = bool(wider) and _bits(before) == 64
    return Finding(
        "warning" if lost else "note",
        "precision",
        f"a cast to a smaller dtype: {cast}"
        + (f", though the output is {jnp.result_type(tape.values[wider[0]])}" if wider else ""),
        "leave the cast out, or make the arrays that it was made for of the wider dtype, unless it is "
        "meant so.",
        *place,
        "",
        event.name,
        event.step,
    )


def _of_arguments(tape: Tape, given: Sequence[tuple[str, Any]]) -> list[Finding]:
    """What JAX has made smaller before f began."""
    found = []
    for number, (name, leaf) in zip(tape.leaves, given, strict=True):
        before, after = dtype_of(leaf), jnp.result_type(tape.values[number])
        if hasattr(leaf, "dtype") and before != after:
            found.append(
                Finding(
                    "note",
                    "precision",
                    f"the argument {name} is {before}, and JAX makes it {after} without a word",
                    "switch on 64-bit types with jax.config.update('jax_enable_x64', True), or pass "
                    f"{after}.",
                    argument=name,
                )
            )
    return found
