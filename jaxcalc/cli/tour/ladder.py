"""The first half of the tour: from a difference quotient to a Hessian, each value three ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from jaxcalc import numerical
from jaxcalc.cli.tour.report import Report, shown, small

_CUBIC, _SURFACE, _SWIRL, _SQUARE = "2x³ + 5", "4x⁴z³", "(xy, y²+sin z)", "A ↦ A A"
_ESTIMATED_ERRORS = 3.0  # that a numerical value may be off
_AGREEMENT = 1.5e-8  # relative, in any case: the square root of the rounding unit
_ROUNDING = 1e-12  # relative, for exact values in float64 against closed forms


@dataclass(frozen=True)
class Rung:
    """One derivative, computed exactly, numerically, and by a formula written out by hand."""

    name: str
    function: str
    exact: Any
    estimate: Any
    closed_form: Any


def cubic(x: Any) -> Any:
    """f(x) = 2 x^3 + 5."""
    return 2 * x**3 + 5


def surface(x: Any, z: Any) -> Any:
    """f(x, z) = 4 x^4 z^3."""
    return 4 * x**4 * z**3


def surface_of(v: Any) -> Any:
    """The surface as a function of one vector (x, z)."""
    return surface(v[0], v[1])


def swirl(v: Any) -> Any:
    """R^3 -> R^2: (xy, y^2 + sin z)."""
    return jnp.stack([v[0] * v[1], v[1] ** 2 + jnp.sin(v[2])])


def matrix_square(a: Any) -> Any:
    """A -> A A, a map between matrices."""
    return a @ a


def show_limit(report: Report) -> None:
    """Difference quotients of the cubic at 2, for a falling h."""
    report.heading(
        "1. The limit behind the derivative",
        "f(x) = 2x³ + 5 at x = 2, where f'(x) = 6x² = 24. As h falls, the error of the quotients "
        "falls with it (truncation), until the digits that f(x+h) and f(x) share are lost (rounding).",
    )
    steps = jnp.asarray([10.0**-k for k in range(1, 14, 2)])
    found = numerical.difference_quotients(cubic, jnp.asarray(2.0), steps)
    columns = (found.forward, found.forward_error, found.central, found.central_error)
    rows = [
        (f"{h:.0e}", f"{f:.10f}", small(f_error), f"{c:.10f}", small(c_error))
        for h, f, f_error, c, c_error in zip(steps.tolist(), *map(np.asarray, columns), strict=True)
    ]
    report.table("h", "(f(x+h)-f(x))/h", "error", "(f(x+h)-f(x-h))/2h", "error", rows=rows)
    forward, central = (np.abs(np.asarray(column)) for column in (columns[1], columns[3]))
    report.check("central quotients beat forward ones at h = 1e-3", central[1] < forward[1] / 100)
    report.check(
        "rounding makes the quotients worse again for tiny h", forward[-1] > forward.min() * 10
    )


def show_rungs(report: Report, rungs: Sequence[Rung] | None = None) -> None:
    """Each derivative three ways: exact, numerical, closed form; those of the ladder by default."""
    report.heading(
        "2. The ladder: exact, numerical and closed form",
        "Exact values come from the program of f itself, numerical ones from difference quotients "
        "extrapolated to h -> 0 (with their estimated error), closed forms were written by hand.",
    )
    rows = []
    for rung in [*_derivatives(), *_partials(), *_many_inputs()] if rungs is None else rungs:
        scale = max(1.0, float(np.max(np.abs(rung.closed_form))))
        exact = float(np.max(np.abs(rung.exact - rung.closed_form))) <= _ROUNDING * scale
        allowed = _ESTIMATED_ERRORS * np.asarray(rung.estimate.error) + _AGREEMENT * scale
        agrees = bool(np.all(np.abs(np.asarray(rung.exact - rung.estimate.value)) <= allowed))
        rows.append(
            (
                rung.name,
                rung.function,
                shown(rung.exact),
                shown(rung.estimate.value),
                small(np.max(rung.estimate.error)),
                shown(rung.closed_form),
                report.check(f"ladder: {rung.name} of {rung.function}", exact and agrees),
            )
        )
    report.table("", "of", "exact", "numerical", "± est.", "closed form", "", rows=rows)


def _derivatives() -> list[Rung]:
    """The cubic at 2, to the fourth order; quotients are taken of the exact one of lower order."""
    x = jnp.asarray(2.0)
    closed_forms = {
        "derivative": 6 * 2.0**2,
        "second one": 12 * 2.0,
        "third one": 12.0,
        "fourth one": 0.0,
    }
    rungs, lower = [], cubic
    for order, (name, closed_form) in enumerate(closed_forms.items(), start=1):
        exact = jaxcalc.derivative(cubic, order=order)
        rungs.append(Rung(name, _CUBIC, exact(x), numerical.derivative(lower)(x), closed_form))
        lower = exact
    return rungs


def _partials() -> list[Rung]:
    """The surface at (1, 2), with respect to x, to z, and mixed."""
    x, z = jnp.asarray(1.0), jnp.asarray(2.0)
    by_x = jaxcalc.partial_derivative(surface, "x")
    by_z = jaxcalc.partial_derivative(surface, "z")
    mixed = jaxcalc.partial_derivative(surface, ("x", "z"))
    quotients = numerical.derivative
    return [
        Rung("∂/∂x", _SURFACE, by_x(x, z), quotients(surface, 0)(x, z), 16 * 1.0**3 * 2.0**3),
        Rung("∂/∂z", _SURFACE, by_z(x, z), quotients(surface, 1)(x, z), 12 * 1.0**4 * 2.0**2),
        Rung("∂²/∂x∂z", _SURFACE, mixed(x, z), quotients(by_x, 1)(x, z), 48 * 1.0**3 * 2.0**2),
    ]


def _many_inputs() -> list[Rung]:
    """The surface at the vector (1, 2), the swirl at (1, 2, 0), the square at ((1, 2), (3, 4))."""
    v, w = jnp.asarray([1.0, 2.0]), jnp.asarray([1.0, 2.0, 0.0])
    a = jnp.asarray([[1.0, 2.0], [3.0, 4.0]])
    slopes = np.array([16 * 1.0**3 * 2.0**3, 12 * 1.0**4 * 2.0**2])
    rows = np.array([[2.0, 1.0, 0.0], [0.0, 2 * 2.0, np.cos(0.0)]])
    # d(A A)_ij / dA_kl = delta_ik A_lj + A_ik delta_jl
    eye, entries = np.eye(2), np.asarray(a)
    tensor = np.einsum("ik,lj->ijkl", eye, entries) + np.einsum("ik,jl->ijkl", entries, eye)
    mixed = 48 * 1.0**3 * 2.0**2
    curvature = np.array([[48 * 1.0**2 * 2.0**3, mixed], [mixed, 24 * 1.0**4 * 2.0]])
    cases = [
        ("gradient", _SURFACE, jaxcalc.gradient, numerical.gradient, surface_of, v, slopes),
        ("Jacobian", _SWIRL, jaxcalc.jacobian, numerical.jacobian, swirl, w, rows),
        (
            "generalized Jacobian",
            _SQUARE,
            jaxcalc.jacobian,
            numerical.jacobian,
            matrix_square,
            a,
            tensor,
        ),
        ("Hessian", _SURFACE, jaxcalc.hessian, numerical.hessian, surface_of, v, curvature),
    ]
    # compiled whole: op by op, each new shape would compile every operation of its own
    return [
        Rung(name, function, jax.jit(exact(f))(x), jax.jit(quotients(f))(x), closed_form)
        for name, function, exact, quotients, f, x, closed_form in cases
    ]


def show_kinds(report: Report) -> None:
    """Which derivative each of these maps has, by abstract evaluation."""
    report.heading(
        "3. Which is which",
        "jaxcalc.classify names the derivative from shapes alone; nothing is evaluated.",
    )
    number = jax.ShapeDtypeStruct((), jnp.float64)
    vector = jax.ShapeDtypeStruct((3,), jnp.float64)
    matrix = jax.ShapeDtypeStruct((2, 2), jnp.float64)
    cases = [
        (_CUBIC, "derivative", jaxcalc.classify(cubic, number)),
        (f"{_SURFACE}, in x", "partial derivative", jaxcalc.classify(surface, number, number)),
        (
            f"{_SURFACE}, by (x, z)",
            "gradient",
            jaxcalc.classify(surface, number, number, argnums=(0, 1)),
        ),
        (_SWIRL, "Jacobian", jaxcalc.classify(swirl, vector)),
        (_SQUARE, "generalized Jacobian", jaxcalc.classify(matrix_square, matrix)),
    ]
    rows = [
        (
            name,
            kind.spaces,
            kind.name,
            ", ".join(map(str, kind.shapes)),
            report.check(f"classify: {name}", kind.name == term),
        )
        for name, term, kind in cases
    ]
    report.table("function", "map", "has a", "of shape", "", rows=rows)
