"""Direct calls, outside of a trace, against dense JAX: what objects, integers and branches have in common.

A call outside of `jit` may be answered from what an earlier one left. So each case makes its calls one
after the other, changes something in between, and each answer is that of JAX at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from tests.fuzz.compare import MismatchError, Report
from tests.fuzz.evaluate import evaluate
from tests.fuzz.scope import NAMES
from tests.fuzz.staged import in_numpy

TOLERANCE = 1e-8

Way = Callable[..., Any]  # of f: a function of f's arguments that gives a matrix


@dataclass(frozen=True)
class Calls:
    """A function, and what happens to it.

    Attributes:
        source: makes `f`, the points `x`, and `rounds`: for each call what changes first, a function of
            no arguments, and the arguments after x.
        ways: the names of the derivatives to take, in this order in every round.
        operations: what it is made of.
        is_made_once: whether each transformed function lives through all rounds.
        reference: the name of the function that JAX differentiates, "f" or one equal to it.
    """

    source: str
    ways: tuple[str, ...]
    operations: tuple[str, ...]
    is_made_once: bool = True
    reference: str = "f"

    def __repr__(self) -> str:
        return f"\n{self.source}# {', '.join(self.ways)}, each made {'once' * self.is_made_once or 'anew'}\n"


def compare_calls(calls: Calls, *, compiled: bool = False) -> Report:
    """Every way in every round; a disagreement is looked at again with everything compiled.

    Raises:
        MismatchError: an answer is not that of JAX.
    """
    if compiled:
        return _compared(calls)
    try:
        with in_numpy():
            return _compared(calls)
    except MismatchError:
        return _compared(calls)


def _compared(calls: Calls) -> Report:
    report = Report()
    space = dict(NAMES)
    exec(compile(calls.source, "<calls>", "exec"), space)
    f, reference = space["f"], space[calls.reference]
    kept = {way: WAYS[way](f) for way in calls.ways} if calls.is_made_once else {}
    for number, (change, rest) in enumerate(space["rounds"]):
        change()
        x = space["x"] + 0.1 * number
        wanted: dict[int, Any] = {}
        for way in calls.ways:
            order = _order(way)
            if order not in wanted:
                wanted[order] = _reference(reference, order, x, rest)
            if not np.isfinite(wanted[order]).all():
                report.skipped = "not finite or huge"
                return report
            matrix = np.asarray((kept.get(way) or WAYS[way](f))(jnp.asarray(x), *rest))
            _assert_same(f"call {number + 1} of {way}", matrix, wanted[order], calls, way)
            report.ways.append(way)
    return report


def _reference(f: Callable[..., Any], order: int, x: np.ndarray, rest: Sequence[Any]) -> np.ndarray:
    """The derivative from JAX, of a function made for this call alone: nothing that is kept answers."""

    def now(x: Any) -> Any:
        return f(x, *rest)

    scalar = _summed(now)
    derivative = [jax.jacfwd(now), jax.jacfwd(scalar), jax.jacfwd(jax.jacfwd(scalar))][order]
    (found,) = evaluate(jax.make_jaxpr(derivative)(x), [x])
    return np.asarray(found, np.float64).reshape((-1, x.size) if order != 1 else (1, x.size))


def _assert_same(name: str, found: np.ndarray, wanted: np.ndarray, calls: Calls, way: str) -> None:
    if way == "sparsity":
        wrong = (wanted != 0) & ~found
        text = "misses"
    else:
        scale = max(1.0, np.abs(wanted).max(initial=0))
        if found.shape != wanted.shape:
            raise MismatchError(f"{name} has shape {found.shape}, not {wanted.shape}:{calls!r}")
        wrong = ~(np.abs(found - wanted) <= TOLERANCE * scale)
        text = "is wrong at"
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        raise MismatchError(
            f"{name} {text} {place}, where JAX has {wanted[place]}:{calls!r}\nfound\n{found}\nwanted\n{wanted}"
        )


def _summed(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *rest: jnp.sum(jnp.sin(f(x, *rest)))


def _matrix(transform: Callable[..., Any], *, of_sum: bool = False, **options: Any) -> Way:
    """A derivative as a matrix: rows for the output, columns for x."""

    def way(f: Callable[..., Any]) -> Callable[..., np.ndarray]:
        transformed = transform(_summed(f) if of_sum else f, **options)

        def run(x: Any, *rest: Any) -> np.ndarray:
            found = transformed(x, *rest)
            found = found[-1] if isinstance(found, tuple) else found
            found = found.todense() if hasattr(found, "todense") else found
            is_row = transform in {jaxcalc.gradient, jaxcalc.value_and_gradient}
            return np.asarray(found).reshape((1 if is_row else -1, np.size(x)))

        return run

    return way


def _sparsity(f: Callable[..., Any]) -> Callable[..., np.ndarray]:
    return lambda x, *rest: np.asarray(jaxcalc.sparsity(f, x, *rest).todense(), bool)


WAYS: dict[str, Way] = {
    "structured": _matrix(jaxcalc.jacobian, format="structured"),
    "dense": _matrix(jaxcalc.jacobian),
    "sparsity": _sparsity,
    "gradient": _matrix(jaxcalc.gradient, of_sum=True),
    "hessian": _matrix(jaxcalc.hessian, of_sum=True),
    "bcoo": _matrix(jaxcalc.jacobian, format="bcoo"),
    "structured hessian": _matrix(jaxcalc.hessian, of_sum=True, format="structured"),
    "value and jacobian": _matrix(jaxcalc.value_and_jacobian, format="structured"),
    "value and gradient": _matrix(jaxcalc.value_and_gradient, of_sum=True),
    "forward": _matrix(jaxcalc.jacobian, mode="forward"),
    "reverse": _matrix(jaxcalc.jacobian, mode="reverse"),
    "dense hessian under jit": lambda f: (
        lambda x, *rest: np.asarray(jax.jit(lambda x: jaxcalc.hessian(_summed(f))(x, *rest))(x))
    ),
}


def _order(way: str) -> int:
    """0 for the Jacobian, 1 for the gradient of a sum, 2 for its Hessian."""
    return 2 if "hessian" in way else 1 if "gradient" in way else 0
