"""Equations that JAX has no derivative of, and what to do instead."""

from __future__ import annotations

from jaxcalc.checking.doctor.pullback import Pullback
from jaxcalc.checking.doctor.refs import WRITES
from jaxcalc.checking.doctor.tape import Event, Tape
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs.source import NOWHERE

_MOST = 8
_PYTHON = "it calls a function of Python, which JAX does not see into"
_RULE = (
    "give the function around it a jax.custom_jvp with its derivative, or keep it out of what is "
    "differentiated."
)

_CAUSES = {
    "pure_callback": _PYTHON,
    "io_callback": f"{_PYTHON}, whether its result is used or not",
    "custom_vmap_call": "JAX differentiates a custom_vmap function forward alone",
    "scatter-mul": "it multiplies at places that may be the same",
    "custom_jvp_call": "what its rule does to the tangents has no transpose",
}
_ADVICE = {
    "custom_vmap_call": (
        "differentiate forward (jax.jvp, jaxcalc.jacobian with mode='forward'), or put a jax.custom_vjp"
        " around the custom_vmap function."
    ),
    "scatter-mul": (
        "say that no place comes twice, as in x.at[i].multiply(y, unique_indices=True), or add up "
        "logarithms, as in jnp.exp(jax.ops.segment_sum(jnp.log(x), segments))."
    ),
    "custom_jvp_call": (
        "a loop of unknown length, an iterative solver or a callback in the rule has no transpose: "
        "differentiate forward (jaxcalc.jacobian, jax.jacfwd), or give the function a jax.custom_vjp."
    ),
    "custom_vjp_call": "look at its backward rule, which raises this.",
    **dict.fromkeys(
        WRITES,
        "use x.at[i].set(number) in the place of a mutable array, or differentiate forward.",
    ),
}
_FORWARD = {"custom_jvp_call", "custom_vmap_call", *WRITES}  # these have a forward mode


def refusal_findings(tape: Tape, pullback: Pullback) -> list[Finding]:
    """An error for each event without a derivative; JAX's own words where nothing else is known."""
    return [
        Finding(
            "error",
            "derivative",
            f"JAX has no {_derivative(event)} of {event.name}: {_CAUSES.get(event.name, said)}",
            _ADVICE.get(event.name, _RULE),
            *(event.place or NOWHERE),
            "",
            event.name,
            event.step,
        )
        for event, said in list(pullback.refused.items())[:_MOST]
        if event not in tape.cut_short
    ]


def _derivative(event: Event) -> str:
    return "reverse mode" if event.name in _FORWARD else "derivative"
