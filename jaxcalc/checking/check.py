"""`check`: is the derivative right?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
from jaxcalc.call.concretization import require_values
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.flatten import FlatMap, require_differentiable_output
from jaxcalc.call.front_door import examination
from jaxcalc.checking.every_argument import choose_every
from jaxcalc.checking.examination import Examination, Settings
from jaxcalc.checking.holomorphic import cauchy_riemann
from jaxcalc.checking.pointer import choice, pointer
from jaxcalc.checking.reals import RealMap
from jaxcalc.checking.report import CheckReport
from jaxcalc.checking.second import gradient_map, symmetry
from jaxcalc.kinds import kind_of

_API = "jaxcalc.check"


@examination
def check(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums | None = None,
    argnames: Argnames | None = None,
    order: int = 1,
    tolerance: float | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    entries: bool | None = None,
    raises: bool = False,
    seed: int = 0,
    **kwargs: Any,
) -> CheckReport:
    """Check the derivative of f at one point, by several ways to the same numbers.

    Forward mode is compared with reverse mode, the structured derivative with products by a vector,
    and all of them with slopes that are found from values of f alone, by extrapolation and with an
    estimate of their error. That is done in random directions, and entry by entry where there are
    few. In float16 and bfloat16, f is also evaluated in float32, if it takes that, since the values
    of f tell little in so few digits.

    Args:
        f: the function, of any pytrees. A function that JAX cannot trace will do, as long as JAX
            can differentiate it.
        *args: its arguments, with values.
        argnums: position or positions of the arguments to look at. The default is all arguments that
            hold real or complex numbers; their other leaves are held constant.
        argnames: a name or names, instead of `argnums`.
        order: 1 for the first derivative; 2 for the Hessian as well, and its symmetry.
        tolerance: the relative difference to tolerate, beside three estimated errors. The default is
            the square root of the spacing of floats near 1 in the coarsest dtype at hand: 1.5e-8 in
            float64, 3.5e-4 in float32, 0.03 in float16, 0.09 in bfloat16.
        has_aux: f returns `(output, aux)`; aux is not looked at.
        holomorphic: f claims to be holomorphic: the Cauchy-Riemann equations are checked too.
        entries: whether to look at each entry; the default is to do so for up to 32 input elements
            and 1,024 entries.
        raises: raise an error if the check fails, as in a test.
        seed: of the random directions.
        **kwargs: keyword arguments of f.

    Returns:
        A `CheckReport`: `passed`, `findings`, `comparisons`, `raise_if_failed()`, `to_dict()`. A kink
        or a jump of f at x is listed and does not fail the check; a derivative that is not finite
        does.

    Raises:
        DerivativeError: the check failed, with `raises=True`; an `AssertionError`.
        TypeError: an argument is no array, is traced, or has no derivative.
        ValueError: `argnums`, `argnames`, `order` or `tolerance` make no sense.

    Cost: for each random direction, of which there are two for each array of the arguments (a dozen
    at most for many), 40 evaluations of f in float64, 30 in float32, and about 2 for the exact slope;
    10 for reverse mode; one structured derivative, where it is not too dense; entry by entry, as much
    for each input element, and about 3 for each output element. What disagrees is measured again at
    3 points around x. `order=2` does the same with the gradient in the place of f. All that is looked
    at first is one compiled program, kept for the 32 functions checked last: a second check of f traces
    it once and compiles nothing.
    Method: see `jaxcalc.numerical.derivative`; the dot product test for the modes is that of
    Griewank and Walther, *Evaluating Derivatives*, 2008, section 3.3.

    Example:
        >>> import jax, jax.numpy as jnp, jaxcalc
        >>> jaxcalc.check(lambda x: jnp.sin(x) * x, jnp.array([1.0, 2.0])).passed
        True
        >>> @jax.custom_jvp
        ... def square(x):
        ...     return x**2
        >>> _ = square.defjvp(lambda x, t: (square(*x), 3 * x[0] * t[0]))
        >>> report = jaxcalc.check(square, jnp.array([1.0, 2.0]))
        >>> report.passed, report.findings[0].kind
        (False, 'wrong derivative')
    """
    _require_options(f, order, tolerance)
    require_booleans(_API, has_aux=has_aux, holomorphic=holomorphic, raises=raises)
    settings = _settings(entries, seed)

    def choose(args: Any, kwargs: Any) -> Chosen:
        return choose_every(_API, f, argnums, argnames, args, kwargs, holomorphic=holomorphic)

    given = choose(args, kwargs)
    has_inexact = _has_inexact(given.primal)
    require_differentiable(given, holomorphic=holomorphic, allow_int=has_inexact, has_allow_int=False)
    require_values(_API, args, kwargs)

    def examined(call: Chosen, label: str) -> tuple[FlatMap, Any, list[Examination]]:
        flat = FlatMap(call, has_aux)
        chosen = choice(given.names, f, argnums, argnames, has_aux=has_aux)
        doctors = partial(pointer, function_name(f), chosen)
        real, output = RealMap.of(flat)
        if holomorphic:
            leaves = jax.tree.leaves(output)
            require_differentiable_output(_API, leaves, flat.treedef, holomorphic=True)
        found = _examine(
            real, order, tolerance, settings, label, doctors, flat if holomorphic else None
        )
        return flat, output, found

    # what is not finite is told; steps may leave the domain of f
    with jax.debug_nans(False), jax.debug_infs(False):
        flat, output, found = examined(given, "")
        if any(jnp.finfo(dtype_of(leaf)).bits < 32 for leaf in flat.leaves):
            found += _in_float32(lambda *wide: examined(choose(*wide), "in float32, ")[2], args, kwargs)
    kind = kind_of(given.primal, output, bare=given.bare, arity=given.arity)
    findings = [finding for each in found for finding in each.findings]
    findings.sort(key=lambda finding: (not finding.fails, -finding.times))
    comparisons = [comparison for each in found for comparison in each.comparisons]
    report = CheckReport(kind.name, kind.map, tuple(comparisons), tuple(findings), given.names)
    return report.raise_if_failed() if raises else report


def _examine(
    real: RealMap,
    order: int,
    tolerance: float | None,
    settings: tuple[bool | None, np.random.Generator],
    label: str,
    doctors: Callable[[str], str],
    holomorphic: FlatMap | None,
) -> list[Examination]:
    within = real.epsilon**0.5 if tolerance is None else tolerance
    first = Examination(real, "derivative", Settings(within, *settings), label, doctors(""))
    first.run(structure=True)
    if holomorphic is not None:
        cauchy_riemann(first, holomorphic, settings[1])
    if order == 1:
        return [first]
    slope = gradient_map(real, settings[1])
    if slope is None:
        first.note("Hessian", "f has no reverse mode, and many inputs")
        return [first]
    is_scalar = [place.shape for place in real.outputs] == [()]
    doctor = doctors("jaxcalc.gradient" if is_scalar else "jaxcalc.jacobian")
    second = Examination(slope, "Hessian", Settings(within, *settings), f"{label}Hessian: ", doctor)
    second.run(structure=True)
    symmetry(second, settings[1])
    return [first, second]


def _in_float32(
    examined: Callable[[Any, Any], list[Examination]], args: Any, kwargs: Any
) -> list[Examination]:
    """The same in float32, where f takes its arguments in it: there its values tell more."""

    def wide(leaf: Any) -> Any:
        if hasattr(leaf, "dtype") and is_inexact(leaf) and jnp.finfo(leaf.dtype).bits < 32:
            return jnp.asarray(leaf, jnp.float32)
        return leaf

    try:
        return examined(jax.tree.map(wide, args), jax.tree.map(wide, kwargs))
    except (TypeError, ValueError):  # f asks for its own dtype
        return []


def _settings(entries: bool | None, seed: int) -> tuple[bool | None, np.random.Generator]:
    if not (entries is None or isinstance(entries, bool)):
        raise TypeError(f"{_API}: entries must be True, False or None, got {entries!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise TypeError(f"{_API}: seed must be an integer from 0 on, got {seed!r}.")
    return entries, np.random.default_rng(seed)


def _has_inexact(primal: Any) -> bool:
    """Whether f can be differentiated with respect to a leaf; integer leaves are held constant."""
    leaves = [leaf for leaf in jax.tree.leaves(primal) if hasattr(leaf, "dtype")]
    return any(map(is_inexact, leaves)) or any(
        isinstance(leaf, float | complex) for leaf in jax.tree.leaves(primal)
    )


def _require_options(f: Any, order: Any, tolerance: Any) -> None:
    require_callable(_API, f)
    if order not in (1, 2) or isinstance(order, bool):
        raise ValueError(
            f"{_API}: order must be 1 (the first derivative) or 2 (the Hessian too), got {order!r}."
        )
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise TypeError(f"{_API}: tolerance must be a positive number, got {tolerance!r}.")
    if not (isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"{_API}: tolerance must be positive and finite, got {tolerance!r}.")
