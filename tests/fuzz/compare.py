"""A random program's derivatives from jaxcalc, against dense ones from JAX, and their patterns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxcalc
from jaxcalc.heuristics import heuristics, tuned
from tests.fuzz.evaluate import evaluate
from tests.fuzz.programs import Program
from tests.fuzz.staged import in_numpy

POINTS = 3
# relative to the largest entry, by the least precise dtype in the program
_TOLERANCE = {"float16": 0.2, "bfloat16": 0.5, "float32": 5e-3, "float64": 1e-7}
_LARGEST_HESSIAN = 128  # elements of x
_HUGE = 1e12  # larger entries say nothing


class MismatchError(AssertionError):
    """A derivative that is wrong, unsound, or not tight where it must be."""


@dataclass
class Report:
    """What was compared.

    Attributes:
        ways: the derivatives that were compared.
        stored: how many entries the patterns hold, and `nonzero` how many of them were not zero.
        skipped: why nothing was compared, or "".
    """

    ways: list[str] = field(default_factory=list)
    stored: int = 0
    nonzero: int = 0
    skipped: str = ""


@dataclass(frozen=True)
class Found:
    """A derivative: its matrix at a point, and its pattern."""

    at: Callable[[Any], np.ndarray]
    pattern: np.ndarray | None = None


def compare(program: Program, *, compiled: bool = False) -> Report:
    """Compare values and patterns; with `compiled`, of what a user calls too, which takes seconds.

    Raises:
        MismatchError: they differ; the message says which derivative and where.
    """
    try:
        return _compared(program, evaluate, compiled=compiled)
    except MismatchError:
        return _confirmed(program)


def _confirmed(program: Program) -> Report:
    """A disagreement looked at again: with everything compiled, and in float64 alone."""
    exact = precise(program)
    report = _compared(exact, evaluate) if exact != program else Report()
    if exact != program:
        report.skipped = "rounding"
        return report  # rounding to few digits, and what follows from it
    _compared(program, _compiled, in_numpy=nullcontext)
    raise AssertionError(f"the evaluation in numpy differs from the compiled one:{program!r}")


def _compiled(jaxpr: Any, arguments: list[Any]) -> list[Any]:
    return jax.jit(jax.extend.core.jaxpr_as_fun(jaxpr))(*arguments)


def precise(program: Program) -> Program:
    """The program with every type of low precision replaced by float64."""
    source, twin = program.source, program.twin
    for name in ("bfloat16", "float16", "float32"):
        source, twin = source.replace(name, "float64"), twin.replace(name, "float64")
    return replace(program, source=source, twin=twin, dtype="float64")


def lowest_dtype(program: Program) -> str:
    """The least precise dtype in a program."""
    text = f"{program.source} {program.dtype}"
    return next((d for d in ("bfloat16", "float16", "float32") if d in text), "float64")


def _compared(
    program: Program,
    run: Callable[..., Any],
    *,
    compiled: bool = False,
    in_numpy: Callable[[], AbstractContextManager[None]] = in_numpy,
) -> Report:
    report = Report()
    points = program.points(POINTS)
    check = _Check(program, points, report, run)
    with _all_paths(program), in_numpy():
        check.jacobians()
        if not report.skipped and check.takes_hessian:
            check.hessian()
    if compiled and not report.skipped and not program.is_left_to_jax:
        check.eager()
    return report


@contextmanager
def _all_paths(program: Program) -> Iterator[None]:
    """Ways for large derivatives are taken by small ones too, and none may be left for plain JAX."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error", jaxcalc.JaxcalcWarning)
        prices = replace(heuristics().prices, compiling=0.0)
        if (
            len(program.source) % 8 > 5
        ):  # coefficients are computed behind a branch wherever that can be
            prices = replace(prices, branch=-1e18)
        stack.enter_context(tuned(fewest_inputs=0, prices=prices))
        yield


class _Check:
    def __init__(
        self, program: Program, points: list[Any], report: Report, run: Callable[..., Any]
    ) -> None:
        self.program, self.points, self.report, self.run = program, points, report, run
        self.f = program.function
        self._turn = len(program.source) % 120  # what would take long is done by turns
        self.flats = [ravel_pytree(jax.tree.map(jnp.asarray, x))[0] for x in points]
        has_all = program.has_all_ways or self._turn % 2 == 0
        has_hessian = has_all and program.has_hessian and not program.is_left_to_jax
        self.takes_hessian = has_hessian and self.flats[0].size <= _LARGEST_HESSIAN
        self.tolerance = _TOLERANCE[lowest_dtype(program)]
        self._leaves = self._traced(program.reference)

    def _traced(self, f: Callable[..., Any]) -> Callable[..., list[Any]]:
        """The leaves of f of one line of numbers, traced once: what JAX differentiates."""
        unravel = ravel_pytree(jax.tree.map(jnp.asarray, self.points[0]))[1]
        closed = jax.make_jaxpr(lambda flat: jax.tree.leaves(f(unravel(flat))))(self.flats[0])
        return jax.extend.core.jaxpr_as_fun(closed)

    def jacobians(self) -> None:
        references = self._references(jax.jacfwd(_joined_line(self._leaves)))
        if references is None:
            return
        union = np.any([r != 0 for r in references], axis=0)
        in_reverse = references
        if self.program.modes_differ and self.program.has_reverse:
            reverse = self._references(jax.jacrev(_joined_line(self._traced(self.f))))
            in_reverse = references if reverse is None else reverse
        both = [("forward", references)]
        both += [("reverse", in_reverse)] if self.program.has_reverse else []
        for number, (mode, wanted) in enumerate(both):
            transformed = jaxcalc.jacobian(self.f, format="structured", mode=mode)
            is_direct = (self._turn + number) % 2 == 0
            found = self._direct(transformed) if is_direct else self._structured(transformed)
            self._assert_same(f"jacobian, {mode}", found, wanted)
            of_mode = union if wanted is references else np.any([r != 0 for r in wanted], axis=0)
            self._assert_pattern(f"jacobian, {mode}", found.pattern, of_mode)
        if self.program.is_left_to_jax:
            return
        for turn in range(5) if self.program.has_all_ways else [self._turn % 6]:
            self._other_format(turn, references)

    def hessian(self) -> None:
        scalar = _summed(self._leaves)
        has_both = self.program.has_forward and self.program.has_reverse
        is_mixed = has_both and not self.program.modes_differ
        references = self._references(jax.jacfwd((jax.grad if is_mixed else jax.jacfwd)(scalar)))
        if references is None:
            return
        found = self._structured(jaxcalc.hessian(_scalar(self.f), format="structured"))
        self._assert_same("hessian", found, references)
        self._assert_sound("hessian", found.pattern, np.any([r != 0 for r in references], axis=0))
        if self.program.has_all_ways:
            self._assert_same(
                "hessian, dense",
                self._dense(jaxcalc.hessian(_scalar(self.f)), is_hessian=True),
                references,
            )

    def _references(self, derivative: Callable[..., Any]) -> list[np.ndarray] | None:
        """The dense derivative at each point; None where it is not finite, or huge."""
        jaxpr = jax.make_jaxpr(derivative)(self.flats[0])
        found = [np.asarray(self.run(jaxpr, [x])[0], np.float64) for x in self.flats]
        if not all(np.isfinite(r).all() and np.abs(r).max(initial=0) < _HUGE for r in found):
            self.report.skipped = self.report.skipped or "not finite or huge"
            return None
        return found

    def _direct(self, transformed: Callable[..., Any]) -> Found:
        """By calls of the transformed function: the second takes what was kept of the first."""
        first = transformed(self.points[0])

        def at(x: Any) -> np.ndarray:
            J = first if x is self.points[0] else transformed(x)
            return _placed(J, J.values)

        return Found(at, self._pattern(first))

    def _structured(self, transformed: Callable[..., Any]) -> Found:
        """In a trace, as under `jit`."""
        jaxpr, J = self._in_a_trace(transformed, self.points[0])

        def at(x: Any) -> np.ndarray:
            return _placed(J, self.run(jaxpr, jax.tree.leaves(x))[0])

        return Found(at, self._pattern(J))

    def _in_a_trace(self, transformed: Callable[..., Any], x: Any) -> tuple[Any, Any]:
        """The values as a jaxpr, and a Jacobian that knows their places."""
        seen: list[Any] = []

        def run(x: Any) -> Any:
            seen.append(transformed(x))
            return seen[-1].values

        return jax.make_jaxpr(run)(x), seen[-1]

    def _pattern(self, J: Any) -> np.ndarray:
        pattern = np.zeros(J.shape, int)
        np.add.at(pattern, (J.rows, J.cols), 1)
        if pattern.max(initial=0) > 1:
            raise MismatchError(f"an entry occurs twice:{self.program!r}")
        return pattern.astype(bool)

    def _dense(self, transformed: Callable[..., Any], *, is_hessian: bool = False) -> Found:
        """Dense blocks, in a trace, joined to a matrix."""
        jaxpr = jax.make_jaxpr(transformed)(self.points[0])
        outputs = jax.eval_shape(lambda x: x if is_hessian else self.f(x), self.points[0])
        sizes = [int(np.prod(y.shape)) for y in jax.tree.leaves(outputs)]
        return Found(lambda x: self._joined(self.run(jaxpr, jax.tree.leaves(x)), sizes))

    def _other_format(self, turn: int, references: list[np.ndarray]) -> None:
        """Dense under jit, bcoo, `todense`, `sparsity`, a batch or a derivative."""
        if turn > 3:
            (self._batch if turn == 4 else self._derivative)(references)
            return
        if turn == 3:
            pattern = jaxcalc.sparsity(self.f, self.points[0]).todense()
            self._assert_sound("sparsity", pattern, np.any([r != 0 for r in references], axis=0))
            self.report.ways.append("sparsity")
            return
        name, function = (
            ("jacobian, dense under jit", jaxcalc.jacobian(self.f)),
            ("todense()", _densified(jaxcalc.jacobian(self.f, format="structured", mode="forward"))),
            ("bcoo", _densified(jaxcalc.jacobian(self.f, format="bcoo"))),
        )[turn]
        self._assert_same(name, self._dense(function), references)

    def _batch(self, references: list[np.ndarray]) -> None:
        """All points at once, under vmap."""
        transformed = jaxcalc.jacobian(self.f, format="structured")
        stacked = jax.tree.map(lambda *xs: np.stack(xs), *self.points)
        jaxpr, J = self._in_a_trace(jax.vmap(transformed), stacked)
        self.report.ways.append("jacobian under vmap")
        (values,) = self.run(jaxpr, jax.tree.leaves(stacked))
        for line, wanted in zip(values, references, strict=True):
            self._assert_close("jacobian under vmap", _placed(J, line), wanted)

    def _derivative(self, references: list[np.ndarray]) -> None:
        """The structured Jacobian differentiated once more, along a line."""
        directions = [jax.tree.map(np.cos, x) for x in self.points]
        reference = jax.jacfwd(_joined_line(self._leaves))
        jaxpr = jax.make_jaxpr(lambda x, d: jax.jvp(reference, (x,), (d,))[1])(*self.flats[:1] * 2)
        wanted = [
            np.asarray(self.run(jaxpr, [x, ravel_pytree(d)[0]])[0], np.float64)
            for x, d in zip(self.flats, directions, strict=True)
        ]
        if not all(np.isfinite(w).all() and np.abs(w).max(initial=0) < _HUGE for w in wanted):
            return
        name = "derivative of the jacobian"
        transformed = jaxcalc.jacobian(self.f, format="structured")
        seen: list[Any] = []

        def pushed(x: Any, d: Any) -> Any:
            def values(x: Any) -> Any:
                seen.append(transformed(x))
                return seen[-1].values

            return jax.jvp(values, (x,), (d,))[1]

        jaxpr = jax.make_jaxpr(pushed)(self.points[0], directions[0])
        self.report.ways.append(name)
        for x, d, expected in zip(self.points, directions, wanted, strict=True):
            outputs = self.run(jaxpr, [*jax.tree.leaves(x), *jax.tree.leaves(d)])
            self._assert_close(name, _placed(seen[-1], outputs[0]), expected)

    def eager(self) -> None:
        """As a user calls it, compiled; the second call takes what was kept of the first."""
        transformed = jaxcalc.jacobian(self.f, format="structured")
        references = self._references(jax.jacfwd(_joined_line(self._leaves)))
        if references is None:
            return
        self.report.ways.append("jacobian, compiled")
        for x, wanted in zip(self.points[:2], references, strict=False):
            self._assert_close("jacobian, compiled", np.asarray(transformed(x).matrix()), wanted)

    def _joined(self, leaves: list[Any], sizes: Sequence[int]) -> np.ndarray:
        """The matrix out of its blocks, by the size of each output, and input by input."""
        inputs = jax.tree.leaves(self.points[0])
        blocks = iter(leaves)
        rows = []
        for size in sizes:
            row = [np.asarray(next(blocks), np.float64).reshape(size, np.size(x)) for x in inputs]
            rows.append(np.concatenate(row, axis=1))
        return np.concatenate(rows)

    def _assert_same(self, name: str, found: Found, references: list[np.ndarray]) -> None:
        self.report.ways.append(name)
        for x, wanted in zip(self.points, references, strict=True):
            self._assert_close(name, found.at(x), wanted)

    def _assert_close(self, name: str, matrix: np.ndarray, wanted: np.ndarray) -> None:
        if matrix.shape != wanted.shape:
            raise MismatchError(f"{name} has shape {matrix.shape}, not {wanted.shape}:{self.program!r}")
        scale = max(1.0, np.abs(wanted).max(initial=0))
        error = np.abs(matrix - wanted) / scale
        if not (error <= self.tolerance).all():
            place = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), error.shape)
            raise MismatchError(
                f"{name} is {matrix[place]} at {tuple(map(int, place))}, JAX has {wanted[place]}:"
                f"{self.program!r}\nfound\n{matrix}\nwanted\n{wanted}"
            )

    def _assert_pattern(self, name: str, pattern: np.ndarray, union: np.ndarray) -> None:
        self._assert_sound(name, pattern, union)
        self.report.stored += int(pattern.sum())
        self.report.nonzero += int((pattern & union).sum())
        if self.program.is_tight and (pattern & ~union).any():
            place = tuple(map(int, np.argwhere(pattern & ~union)[0]))
            raise MismatchError(f"{name} stores {place}, which is always zero:{self.program!r}")

    def _assert_sound(self, name: str, pattern: np.ndarray, union: np.ndarray) -> None:
        if (union & ~pattern).any():
            place = tuple(map(int, np.argwhere(union & ~pattern)[0]))
            raise MismatchError(f"{name} misses {place}, which is not always zero:{self.program!r}")


def _scalar(f: Callable[..., Any]) -> Callable[..., Any]:
    return _summed(lambda x: jax.tree.leaves(f(x)))


def _summed(leaves_of: Callable[..., list[Any]]) -> Callable[..., Any]:
    def scalar(x: Any) -> Any:
        leaves = [jnp.asarray(y, jnp.float64) for y in leaves_of(x)]
        return sum((jnp.sum(y * jnp.cos(y)) for y in leaves), jnp.zeros(()))

    return scalar


def _joined_line(leaves_of: Callable[..., list[Any]]) -> Callable[..., Any]:
    def line(flat: Any) -> Any:
        leaves = [jnp.ravel(leaf) for leaf in leaves_of(flat)]
        return jnp.concatenate([leaf.astype(jnp.result_type(*leaves)) for leaf in leaves])

    return line


def _placed(J: Any, values: Any) -> np.ndarray:
    """The values of a sparse Jacobian in a matrix."""
    dense = np.zeros(J.shape)
    dense[J.rows, J.cols] = values
    return dense


def _densified(transformed: Callable[..., Any]) -> Callable[..., Any]:
    has_todense = lambda b: hasattr(b, "todense")  # noqa: E731
    return lambda x: jax.tree.map(lambda b: b.todense(), transformed(x), is_leaf=has_todense)
