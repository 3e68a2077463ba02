"""Where NaN, infinities and zero gradients come from: f and its derivative, equation by equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxcalc.call.arguments import (
    Argnames,
    Argnums,
    Chosen,
    dtype_of,
    function_name,
    is_inexact,
    require_callable,
    require_differentiable,
)
from jaxcalc.call.concretization import UNTRACEABLE, require_values
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.front_door import examination
from jaxcalc.checking.doctor.casts import cast_findings
from jaxcalc.checking.doctor.derivatives import derivative_findings
from jaxcalc.checking.doctor.forward import Forward
from jaxcalc.checking.doctor.kinks import kink_findings
from jaxcalc.checking.doctor.out_of_bounds import bounds_findings
from jaxcalc.checking.doctor.paths import zero_findings
from jaxcalc.checking.doctor.precision import precision_findings
from jaxcalc.checking.doctor.pullback import pull_back
from jaxcalc.checking.doctor.runner import Runner
from jaxcalc.checking.doctor.scales import scale_findings
from jaxcalc.checking.doctor.spectra import spectrum_findings
from jaxcalc.checking.doctor.tape import Tape
from jaxcalc.checking.doctor.values import value_findings
from jaxcalc.checking.every_argument import choose_every
from jaxcalc.checking.findings import Diagnosis, Finding, in_order
from jaxcalc.engine.jaxprs.source import NOWHERE, raised_at

_API = "jaxcalc.diagnose"


@examination
def diagnose(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums | None = None,
    argnames: Argnames | None = None,
    has_aux: bool = False,
    **kwargs: Any,
) -> Diagnosis:
    """Find where NaN, infinities and zero gradients come from, by the line of the user's code.

    f is traced and evaluated equation by equation, into `jit`, `scan` and `while_loop` (step by step),
    `cond` (the branch that is taken), `vmap`, `remat` and `custom_jvp`; then its derivative goes back
    through the same equations, and forward where reverse mode leaves open what that gives. A NaN that
    reaches neither the output nor the derivative is no finding.

    Errors are what makes the value, or only the derivative, NaN or infinite: the first equation that
    does so, and whether it does so in forward or in reverse mode alone. Warnings are gradients that are
    exactly zero, with the operation at which the path from the argument ends; gradients that explode or
    vanish along a long chain; and results that rounding has spoilt. Notes tell of kinks at this very
    point, with the slopes on both sides and the one that JAX takes, and of casts to a smaller dtype;
    they are no faults.

    Args:
        f: a function that JAX can trace, of any pytrees, with outputs of any shape.
        *args: where to look at it: arrays, numbers or pytrees of them.
        argnums: positions of the arguments to look at. The default is all arguments that hold real or
            complex numbers; their other leaves are held constant.
        argnames: their names, in the place of `argnums`.
        has_aux: f returns `(output, aux)`; aux is not looked at.
        **kwargs: arguments passed by keyword.

    Returns:
        A `Diagnosis`: `healthy` is True where there is neither an error nor a warning, and each of its
        `findings` has a severity, a cause, a file, a line and a piece of advice. It prints as text,
        renders in notebooks, and `to_dict()` gives plain values.

    Raises:
        TypeError: f cannot be traced, since it branches on values in Python; an argument is no array,
            or has no known value, as inside of `jit`; f returns no array.
        ValueError: argnums or argnames do not fit the call.

    Cost: f and its gradient are evaluated once, its tangents where they may not be finite, and f once
    more in double precision, equation by equation: some 0.2 ms for each, and 20 ms for the first of its
    kind and shape. All values are kept. Loops of more than 20,000 equations, all steps together, are
    run as one equation. Method: the record of an evaluation that is read backward is that of Griewank
    and Walther, *Evaluating Derivatives*, 2008, chapter 3.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> root = lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))
        >>> found = jaxcalc.diagnose(root, jnp.zeros(2))
        >>> found.healthy, found.findings[0].operation
        (False, 'sqrt')
        >>> found.findings[0].cause[:35]
        'sqrt has an infinite derivative at '
    """
    require_callable(_API, f)
    require_booleans(_API, has_aux=has_aux)
    call = choose_every(_API, f, argnums, argnames, args, kwargs)
    require_values(_API, args, kwargs)
    require_differentiable(call, holomorphic=False, allow_int=True)
    flat = FlatMap(call, has_aux)
    with jax.debug_nans(False), jax.debug_infs(False), np.errstate(all="ignore"):
        try:
            closed = _traced(flat)
        except UNTRACEABLE as error:
            # an array of numpy cannot be indexed by a tracer, but the same of JAX can
            args, kwargs = jax.tree.map(_of_jax, (args, kwargs))
            flat = FlatMap(choose_every(_API, f, argnums, argnames, args, kwargs), has_aux)
            closed = _traced_again(flat, function_name(f), error)
        tape = _evaluated(flat, closed, function_name(f))
        findings = _findings(tape, flat, closed)
    return Diagnosis(function_name(f), in_order(findings), len(tape.events), call.names)


def _findings(tape: Tape, flat: FlatMap, closed: ClosedJaxpr) -> list[Finding]:
    given = [(name, leaf) for name, leaf in flat.chosen.leaves() if is_inexact(leaf)]
    names = [name for name, _ in given]
    seeds = _seeds(tape)
    pullback = pull_back(tape, seeds)
    forward = Forward(tape, pullback)
    return [
        *_integers(flat.chosen),
        *value_findings(tape, names),
        *derivative_findings(tape, pullback, forward, names),
        *spectrum_findings(tape, pullback),
        *bounds_findings(tape, pullback),
        *zero_findings(tape, pullback, names),
        *scale_findings(tape, pullback, names),
        *precision_findings(tape, pullback),
        *cast_findings(tape, given),
        *kink_findings(tape, pullback, forward, seeds, closed),
        *_loops_cut_short(tape),
    ]


def _loops_cut_short(tape: Tape) -> list[Finding]:
    return [
        Finding(
            "note",
            "limit",
            f"this {event.name} has too many steps to be run equation by equation: it was run as one, "
            "and nothing inside of it was looked at",
            "diagnose it with fewer steps, or diagnose its body alone.",
            *(event.place or NOWHERE),
            "",
            event.name,
            event.step,
        )
        for event in tape.cut_short
    ]


def _of_jax(x: Any) -> Any:
    return jnp.asarray(x) if isinstance(x, np.ndarray) else x


def _traced(flat: FlatMap) -> ClosedJaxpr:
    return jax.make_jaxpr(lambda *xs: flat(xs)[0])(*flat.leaves)


def _traced_again(flat: FlatMap, name: str, first: Exception) -> ClosedJaxpr:
    try:
        return _traced(flat)
    except UNTRACEABLE:
        place = raised_at(first)
        line = f" ({place})" if place else ""
        raise TypeError(
            f"{_API}: {name} cannot be traced{line}, so that its equations are not known: "
            f"it {_untraceable(first)}."
        ) from first


def _untraceable(error: Exception) -> str:
    """What f does that cannot be traced, and what to do instead."""
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return "branches on values in Python; use jax.lax.cond, or jnp.where, in the place of `if`"
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return "gives an array to numpy; use the function of jax.numpy in its place"
    if isinstance(error, jax.errors.NonConcreteBooleanIndexError):
        return "selects elements by truth values, of which the number is not known; use jnp.where"
    return (
        "needs a number of an array, as int(), float() and range() do; compute with the array instead"
    )


def _evaluated(flat: FlatMap, closed: ClosedJaxpr, name: str) -> Tape:
    leaves = [jnp.asarray(x) for x in flat.leaves]
    if not closed.jaxpr.outvars:
        raise TypeError(
            f"{_API}: {name} returned no array, so that nothing can be differentiated; return one."
        )
    return Runner().start(closed, leaves)


def _seeds(tape: Tape) -> dict[int, Any]:
    """A cotangent for each output: ones for a number, and weights without symmetries for others.

    The gradient of a sum may vanish where no part does, as for the sum of a softmax.
    """
    seeds: dict[int, Any] = {}
    for k, number in enumerate(tape.outputs):
        value = tape.values[number]
        if not tape.is_active[number]:
            continue
        size = np.size(value)
        weights = np.ones(1) if size == 1 else 1 + np.modf((np.arange(size) + k) * 0.6180339887)[0]
        seed = jnp.asarray(weights.reshape(np.shape(value)), jnp.result_type(value))
        seeds[number] = seeds[number] + seed if number in seeds else seed
    return seeds


def _integers(chosen: Chosen) -> list[Finding]:
    return [
        Finding(
            "warning",
            "zero gradient",
            f"{name} is {dtype_of(leaf)}: there is no derivative with respect to an integer, a boolean "
            "or a key",
            "convert it to a floating dtype, or do not differentiate with respect to it.",
            argument=name,
        )
        for name, leaf in chosen.leaves()
        if not is_inexact(leaf)
    ]
