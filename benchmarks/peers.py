"""Those who take part where derivatives are compared: jaxcalc, JAX by itself and by hand, and peers.

A contender is a function of a `Problem` that prepares what is done once, and returns a `Ready`: the
seconds that took, and the function to time. What it returns are the derivative's values; `entries`
turns them into rows, columns and values for the comparison with others.
"""

from __future__ import annotations

import importlib
import math
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc

if __package__:
    from benchmarks.problems import Problem
else:
    from problems import Problem

# what a library raises on a function that is beyond it
FAILURES = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError,
    NotImplementedError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


DENSE_LIMIT = 2e9  # bytes of a dense derivative that is still computed


class TooLargeError(MemoryError):
    """A contender that is left out because of the memory that it would take."""

    def __init__(self, size: float, why: str = "") -> None:
        super().__init__(f"not run: needs {size / 1e9:,.0f} GB{why}")


class Ready(NamedTuple):
    """A contender that can be timed.

    Attributes:
        run: the function to time.
        setup: seconds to find structure or coloring, compilation not included; None if it has none.
        entries: given what `run` returns, rows, columns and values in row-major order; or None.
        lower: `jax.jit`'s lowered program, whose memory can be asked for, or None.
        dense: given what `run` returns, the derivative as a matrix; None where `entries` say it.
    """

    run: Callable[[], Any]
    setup: float | None = None
    entries: Callable[[Any], tuple[Any, Any, Any]] | None = None
    lower: Callable[[], Any] | None = None
    dense: Callable[[Any], Any] | None = None


Contender = Callable[[Problem], Ready]


def check_size(problem: Problem) -> None:
    """Refuse a dense derivative that would fill the memory.

    Raises:
        TooLargeError: it needs more than `DENSE_LIMIT` bytes.
    """
    size = math.prod(matrix_shape(problem)) * problem.args[0].dtype.itemsize
    if size > DENSE_LIMIT:
        raise TooLargeError(size)


def matrix_shape(problem: Problem) -> tuple[int, int]:
    """Rows and columns of the derivative."""
    inputs = problem.args[0].size
    return (inputs if problem.order == 2 else math.prod(_output_shape(problem)), inputs)


def _output_shape(problem: Problem) -> tuple[int, ...]:
    return jax.eval_shape(problem.f, *problem.args).shape


def matrix(problem: Problem, ready: Ready, result: Any) -> np.ndarray:
    """The derivative that a contender returned, as a dense matrix."""
    shape = matrix_shape(problem)
    if ready.dense is not None:
        return np.asarray(ready.dense(result)).reshape(shape)
    assert ready.entries is not None
    rows, cols, values = ready.entries(result)
    whole = np.zeros(shape, values.dtype)
    np.add.at(whole, (rows, cols), values)
    return whole


def row_major(rows: Any, cols: Any, values: Any) -> tuple[Any, Any, Any]:
    order = np.lexsort((cols, rows))
    return np.asarray(rows)[order], np.asarray(cols)[order], np.asarray(values)[order]


# ---- the baseline


def evaluation(problem: Problem) -> Ready:
    """f itself, or its gradient where a Hessian is wanted."""
    f = problem.f if problem.order == 1 else jax.grad(problem.f)
    return _compiled(f, problem.args)


def _compiled(function: Callable[..., Any], args: tuple[Any, ...], **more: Any) -> Ready:
    jitted = jax.jit(function)
    return Ready(lambda: jitted(*args), lower=lambda: jitted.lower(*args), **more)


# ---- jaxcalc


def jaxcalc_call(format: str) -> Contender:  # noqa: A002
    """jaxcalc called as it is; its set-up is what its first call does before it compiles."""

    def prepare(problem: Problem) -> Ready:
        f, setup = _found(problem)
        derivative = _derivative(problem)(f, format=format)
        if format == "dense":
            return Ready(lambda: derivative(*problem.args), setup, dense=np.asarray)
        if format != "structured":
            return Ready(lambda: derivative(*problem.args), setup, _entries_of(problem, f, format))
        return Ready(lambda: derivative(*problem.args).values, setup, _entries_of(problem, f, format))

    return prepare


def jaxcalc_in_jit(format: str) -> Contender:  # noqa: A002
    """jaxcalc inside the user's own `jax.jit`, which returns the values.

    A BCOO's indices stay inside the program: they are the same at every call, and returning them
    would time a copy of constants.
    """

    def prepare(problem: Problem) -> Ready:
        f, setup = _found(problem)
        derivative = _derivative(problem)(f, format=format)

        def values(*args: Any) -> Any:
            found = derivative(*args)
            return found if format == "dense" else found.data if format == "bcoo" else found.values

        if format == "dense":
            return _compiled(values, problem.args, setup=setup, dense=np.asarray)
        return _compiled(values, problem.args, setup=setup, entries=_entries_of(problem, f, format))

    return prepare


def _derivative(problem: Problem) -> Any:
    return jaxcalc.jacobian if problem.order == 1 else jaxcalc.hessian


def _found(problem: Problem) -> tuple[Callable[..., Any], float]:
    """f as a function that jaxcalc has not seen, and the seconds that its structure took to find.

    The median of a few, because a first set-up is a short time on a busy machine.
    """
    times: list[float] = []
    while True:
        f = _fresh(problem.f)
        began = time.perf_counter()
        jaxcalc.sparsity(f, *problem.args, order=problem.order)
        times.append(time.perf_counter() - began)
        if len(times) == 3 or sum(times) > 2:
            return f, float(np.median(times))


def _fresh(f: Callable[..., Any]) -> Callable[..., Any]:
    def same(*args: Any) -> Any:
        return f(*args)

    return same


def _entries_of(problem: Problem, f: Callable[..., Any], format: str) -> Callable[[Any], Any]:  # noqa: A002
    """Where the values of a result belong; those of a BCOO are made anew, as entries of a matrix."""

    def entries(result: Any) -> tuple[Any, Any, Any]:
        found = _derivative(problem)(f, format="structured")(*problem.args)
        values = result if format == "structured" else found.values
        return row_major(found.rows, found.cols, values)

    return entries


# ---- JAX


def jax_whole(name: str) -> Contender:
    """`jax.jacfwd`, `jax.jacrev` or `jax.hessian` of the whole function, compiled."""

    def prepare(problem: Problem) -> Ready:
        check_size(problem)
        return _compiled(getattr(jax, name)(problem.f), problem.args, dense=np.asarray)

    return prepare


def transformed(transformation: Callable[..., Any], *, compiled: bool = True) -> Contender:
    """Any transformation with a dense result, under `jax.jit` or called as it is."""

    def prepare(problem: Problem) -> Ready:
        derivative = transformation(_fresh(problem.f))
        if compiled:
            return _compiled(derivative, problem.args, dense=np.asarray)
        return Ready(lambda: derivative(*problem.args), dense=np.asarray)

    return prepare


def by_hand(name: str, batched: int = 1) -> Contender:
    """What a user who knows that samples do not mix writes: the derivative of one, under vmap.

    The first `batched` arguments have an axis for the samples.
    """

    def prepare(problem: Problem) -> Ready:
        def one(*args: Any) -> Any:
            return problem.f(*(x[None] for x in args[:batched]), *args[batched:])[0]

        axes = (*[0] * batched, *[None] * (len(problem.args) - batched))
        derivative = jax.vmap(getattr(jax, name)(one), in_axes=axes)
        return _compiled(derivative, problem.args, dense=block_diagonal(problem))

    return prepare


def block_diagonal(problem: Problem) -> Callable[[Any], np.ndarray]:
    """How the derivatives of samples that don't mix become one matrix."""

    def dense(blocks: Any) -> np.ndarray:
        batch = problem.args[0].shape[0]
        small = np.asarray(blocks).reshape(batch, -1, problem.args[0].size // batch)
        whole = np.zeros((batch, small.shape[1], batch, small.shape[2]), small.dtype)
        for k in range(batch):
            whole[k, :, k] = small[k]
        return whole

    return dense


def gradients_by_hand(problem: Problem) -> Ready:
    """The gradient of each sample's number, where the last argument holds the samples."""

    def one(x: Any, *rest: Any) -> Any:
        return problem.f(x, *rest[:-1], rest[-1][None])[0]

    axes = (*[None] * (len(problem.args) - 1), 0)
    return _compiled(jax.vmap(jax.grad(one), in_axes=axes), problem.args)


def plane_by_hand(problem: Problem) -> Ready:
    """The five diagonals of `problems.heat_plane`, written out, and joined as jaxcalc's values are."""

    def diagonals(u: Any) -> Any:
        p = jnp.pad(u, 1)
        laplacian = p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * u
        off = 0.1 * (1 + u**2)
        pieces = (1 + 0.2 * u * laplacian - 4 * off, off[:-1], off[1:], off[:, :-1], off[:, 1:])
        return jnp.concatenate([piece.reshape(-1) for piece in pieces])

    def entries(values: Any) -> tuple[Any, Any, Any]:
        at = np.arange(problem.args[0].size).reshape(problem.args[0].shape)
        rows = (at, at[:-1], at[1:], at[:, :-1], at[:, 1:])
        cols = (at, at[1:], at[:-1], at[:, 1:], at[:, :-1])
        return row_major(
            *(np.concatenate([p.reshape(-1) for p in each]) for each in (rows, cols)), values
        )

    return _compiled(diagonals, problem.args, entries=entries)


# ---- peers


def flat(problem: Problem) -> Problem:
    """f of a vector, to a vector: sparsejac takes nothing else, and asdex fails on larger tensors."""
    if problem.args[0].ndim == 1 and (problem.order == 2 or len(_output_shape(problem)) == 1):
        return problem
    shape = problem.args[0].shape

    def f(x: Any, *rest: Any) -> Any:
        y = problem.f(x.reshape(shape), *rest)
        return y if problem.order == 2 else y.reshape(-1)

    return Problem(f, (problem.args[0].reshape(-1), *problem.args[1:]), problem.order)


def asdex(problem: Problem) -> Ready:
    """asdex: detection and coloring are its set-up; the run, under jit, gives a BCOO's data."""
    problem = flat(problem)
    library = importlib.import_module("asdex")
    color = library.jacobian_coloring if problem.order == 1 else library.hessian_coloring
    build = library.jacobian_from_coloring if problem.order == 1 else library.hessian_from_coloring
    f = _fresh(problem.f)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", library.DenseColoringWarning)
        coloring = color(f, *problem.args)
    setup = time.perf_counter() - began
    size = 4.0 * coloring.num_colors * max(matrix_shape(problem))
    if size > DENSE_LIMIT:
        raise TooLargeError(size, f", for {coloring.num_colors:,} colors")
    derivative = build(f, coloring, output_format="bcoo")
    pattern = coloring.sparsity

    def entries(values: Any) -> tuple[Any, Any, Any]:
        return row_major(pattern.rows, pattern.cols, values)

    return _compiled(lambda *args: derivative(*args).data, problem.args, setup=setup, entries=entries)


def sparsejac(problem: Problem) -> Ready:
    """sparsejac: it colors a pattern that it is given (here jaxcalc's, not counted)."""
    problem = flat(problem)
    library = importlib.import_module("sparsejac")
    from jax.experimental.sparse import BCOO

    pattern = jaxcalc.sparsity(problem.f, *problem.args)
    indices = jnp.stack([jnp.asarray(pattern.rows), jnp.asarray(pattern.cols)], axis=1)
    declared = BCOO((jnp.ones(pattern.nnz, bool), indices), shape=pattern.shape)
    began = time.perf_counter()
    derivative = library.jacfwd(problem.f, declared)
    setup = time.perf_counter() - began

    def entries(values: Any) -> tuple[Any, Any, Any]:
        return row_major(pattern.rows, pattern.cols, values)

    return _compiled(lambda *args: derivative(*args).data, problem.args, setup=setup, entries=entries)


def folx(problem: Problem) -> Ready:
    """folx: the sparse Jacobian that its forward Laplacian carries; XLA drops the Laplacian."""
    library = importlib.import_module("folx")
    forward = library.forward_laplacian(problem.f, sparsity_threshold=32)

    def dense(data: Any) -> Any:
        return forward(*problem.args).jacobian._replace(data=data).dense_array.T

    return _compiled(lambda x: forward(x).jacobian.data, problem.args, dense=dense)
