"""Descent as one call: the whole loop compiled, in chunks that leave room for the outside world."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxcalc.call.arguments import require_callable
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.front_door import options
from jaxcalc.descent.batches import Batches, Source, source_of
from jaxcalc.descent.keys import hint_of_raw_keys
from jaxcalc.descent.leaves import require_arrays, require_parameters
from jaxcalc.descent.minimum import History, Minimum, Progress
from jaxcalc.descent.optimizers import as_optimizer
from jaxcalc.descent.programs import Program, program_of
from jaxcalc.display.progress import Bar

_API = "jaxcalc.descent.minimize"
_FIRST = 16  # evaluations in the first chunks, while their speed is unknown
_SECONDS = 0.25  # a chunk lasts about this long, so that the bar moves and Ctrl-C is heard


@options
def minimize(
    loss: Callable[..., Any],
    parameters: Any,
    *args: Any,
    optimizer: Any,
    steps: int,
    batches: int | Batches | Iterable[Any] | None = None,
    tolerance: float | None = None,
    progress: bool = False,
    callback: Callable[[Progress], Any] | None = None,
    callback_every: int = 1,
) -> Minimum:
    """Minimize a loss by gradient descent, in a compiled loop.

    Args:
        loss: a pure function `loss(parameters, *args)` whose output is one real number.
        parameters: where to start: a pytree of real or complex arrays or numbers. It stays usable.
        *args: the data: arrays, or pytrees of them. Pass data here, not through a closure: the
            compiled loop is kept for the next call with the same loss. Of a typed random key
            (`jax.random.key`) each step gets its own: evaluation k, counted from 0, is of the loss with
            `jax.random.fold_in(key, k)`, with batches too. Keys in an iterable's batches stay as they
            are.
        optimizer: a learning rate, a schedule (a function from the step to a rate, as optax makes
            them), or any optax transformation.
        steps: the most steps to make.
        batches: None, all data in every step. A batch size or `descent.Batches(size, seed=...)`:
            minibatches along the leading axis of args, shuffled every epoch. An iterable of tuples:
            step k calls `loss(parameters, *args, *batch)` with its k-th batch; a collection or a
            data loader starts again when it ends, an iterator does not. It is read up to 64 batches
            ahead; a batch of another shape is compiled for separately.
        tolerance: stop once the Euclidean norm of the gradient, over all leaves, is at most this.
            With minibatches it is that of the batch's gradient.
        progress: show a progress bar on standard error.
        callback: called with a `descent.Progress` after every `callback_every` steps; if it returns
            True, the descent stops right there.
        callback_every: steps between calls of the callback; the loop runs compiled between them.

    Returns:
        A `Minimum`: the parameters (same structure, shapes and dtypes), the loss and gradient norm
        at them, the number of steps, whether and why it stopped, and the history. When the loss or
        its gradient is not finite after step k, reason says so, and the parameters are those of
        step k - 1, the last at which both were finite. Complex parameters follow the conjugate of
        JAX's gradient, as in `descent.update`.

    Raises:
        TypeError: a parameter is an integer or boolean (the error names the leaf), the loss is not
            a real scalar, the optimizer or `batches` is of no known kind, or the call is inside
            `jit` or another transformation.
        ValueError: `steps`, `tolerance`, a learning rate or a batch size is out of range.

    Cost: about 3 evaluations of the loss a step, and one step's more for the final value. The loop
    is compiled once for a loss and an optimizer (any learning rate counts as the same), as long as
    these two objects live. Memory: up to three sets of parameters and optimizer state. Method: that
    of the optimizer; a learning rate is `descent.update`.

    Example:
        >>> from jaxcalc import descent
        >>> loss = lambda w, target: (w - target) ** 2
        >>> found = descent.minimize(loss, 0.0, 3.0, optimizer=0.25, steps=100, tolerance=1e-3)
        >>> found.reason, found.steps, round(float(found.parameters), 3)
        ('converged', 13, 3.0)
    """
    _require_options(steps, tolerance, callback_every)
    require_booleans(_API, progress=progress)
    if callback is not None and not callable(callback):
        raise TypeError(
            f"{_API}: callback must be a function of a descent.Progress, or None, got {callback!r}."
        )
    require_callable(_API, loss)
    require_parameters(_API, parameters)
    require_arrays(_API, "args", args)
    _require_concrete(parameters, args)
    hint_of_raw_keys(_API, args)
    chosen = as_optimizer(_API, optimizer)
    source = source_of(_API, batches, args)
    program = program_of(loss, chosen, source.access, source.length)
    start = program.start(parameters, chosen.rate)
    every = callback_every if callback is not None else None
    run = _Run(program, source, args, steps, -1.0 if tolerance is None else tolerance, every, *start)
    with Bar(steps, shown=progress) as bar:
        while run.reason is None:
            run.advance()
            loss_now, slope = run.latest()
            bar.show(run.step, loss=f"{loss_now:.4g}", gradient=f"{slope:.3g}")
            if callback is not None and run.due() and _wants_stop(callback(run.progress())):
                run.finish("callback")
    return run.minimum()


def _wants_stop(answer: Any) -> bool:
    return answer is not None and bool(answer)


def _require_options(steps: Any, tolerance: Any, callback_every: Any) -> None:
    for name, given, least in (("steps", steps, 0), ("callback_every", callback_every, 1)):
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
            raise ValueError(f"{_API}: {name} must be an integer of {least} or more, got {given!r}.")
    if tolerance is not None and not _is_tolerance(tolerance):
        raise ValueError(
            f"{_API}: tolerance is the gradient norm to stop at, a finite number of 0 or more, got "
            f"{tolerance!r}."
        )


def _is_tolerance(given: Any) -> bool:
    real = isinstance(given, int | float | np.number | np.ndarray | jax.Array) and np.ndim(given) == 0
    return real and not np.iscomplexobj(given) and 0 <= float(given) < math.inf


def _require_concrete(parameters: Any, args: tuple[Any, ...]) -> None:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((parameters, args))):
        raise TypeError(
            f"{_API}: called inside jit, vmap or another transformation, where values are not known "
            "and no loop can stop on them; there, use jaxcalc.descent.make_step in jax.lax.scan."
        )


@dataclass
class _Run:
    """A descent under way.

    An evaluation is the loss and its gradient at the current parameters; a step is an evaluation
    and an update. `steps` steps are `steps + 1` evaluations, the last one without an update.
    """

    program: Program
    source: Source
    args: tuple[Any, ...]
    steps: int
    tolerance: float
    every: int | None
    parameters: Any
    state: Any
    step: int = 0
    reason: str | None = None
    records: list[np.ndarray] = field(default_factory=list)
    previous: tuple[Any, ...] | None = None  # the chunk before, to run again when this one diverges
    end: str = "steps"  # the reason when all steps are made

    def advance(self) -> None:
        """Run the next chunk, and see why it ended."""
        count, items = self._next()
        if count == 0:
            self.finish(self.end)
            return
        # the last chunk makes the evaluation after the last step too, on its latest data
        hold = self.every is None and self.step + count == self.steps
        self._run((self.parameters, self.state, self.step, count + hold, items), hold=hold)

    def finish(self, reason: str) -> None:
        """Evaluate at the current parameters, on the latest data, and stop."""
        if self.source.access != "whole" and self.step == 0:
            self.source.items(0, 1)
        self.end = reason
        self._run((self.parameters, self.state, self.step, 1, self.source.last()), hold=True)

    def _run(self, before: tuple[Any, ...], *, hold: bool) -> None:
        compiled = bool(self.records)  # the time of a first chunk would be that of the compiler
        began = time.perf_counter()
        self.parameters, self.state, record = self._chunk(*before, hold=hold)
        if compiled:
            self.program.seconds = (time.perf_counter() - began) / len(record)
        if not np.isfinite(record[-1]).all():
            self._step_back(before, record)
            return
        self.previous = before
        self.records.append(record)
        if record[-1, 1] <= self.tolerance:
            self.reason = "converged"
        elif hold:
            self.reason = self.end
        self.step += len(record) - (self.reason is not None)  # an evaluation that stops is no step

    def _next(self) -> tuple[int, Any]:
        """How many steps the next chunk makes, and their data."""
        wanted = min(self._length(), self.steps - self.step)
        if self.every is not None:
            wanted = min(wanted, self.every - self.step % self.every)
        if wanted == 0:
            return 0, None
        items = self.source.items(self.step, wanted)
        if items.ended:
            self.end = "batches ended"
        return items.count, items.data

    def _length(self) -> int:
        seconds = self.program.seconds
        length = _FIRST if seconds is None else int(_SECONDS / max(seconds, 1e-9))
        return max(1, min(self.source.length, length))

    def _chunk(
        self, parameters: Any, state: Any, first: int, count: int, items: Any, *, hold: bool
    ) -> tuple[Any, Any, np.ndarray]:
        tolerance = np.asarray(self.tolerance, dtype=float)
        parameters, state, done, record = self.program.chunk(
            parameters, state, np.int32(first), np.int32(count), hold, tolerance, self.args, items
        )
        return parameters, state, np.asarray(record)[: int(done)]

    def _step_back(self, before: tuple[Any, ...], record: np.ndarray) -> None:
        """Stop at the last parameters that were fine: those of the evaluation before this one.

        They are no longer in memory, so the chunk that passed through them runs again, up to there.
        """
        what = "gradient" if math.isfinite(record[-1, 0]) else "loss"
        self.reason = f"diverged: {what} is not finite at step {self.step + len(record) - 1}"
        if len(record) > 1:
            parameters, state, first, _, items = before
            again = (parameters, state, first, len(record) - 1, items)
        elif self.previous is not None:
            again = self.previous
            self.step -= len(self.records.pop())
        else:
            self.parameters = before[0]
            self.records.append(record)
            return
        self.parameters, self.state, record = self._chunk(*again, hold=True)
        self.records.append(record)
        self.step += len(record) - 1

    def due(self) -> bool:
        """Whether the callback is to be called now."""
        return (
            self.every is not None
            and self.reason is None
            and self.step > 0
            and self.step % self.every == 0
        )

    def latest(self) -> tuple[float, float]:
        """Loss and gradient norm of the latest evaluation."""
        value, norm = self.records[-1][-1]
        return float(value), float(norm)

    def progress(self) -> Progress:
        """What the callback is told."""
        return Progress(self.step, self.parameters, *self.latest())

    def minimum(self) -> Minimum:
        """The result, once there is a reason to stop."""
        record = np.concatenate(self.records)
        value, norm = record[-1]
        return Minimum(
            parameters=self.parameters,
            value=float(value),
            gradient_norm=float(norm),
            steps=self.step,
            converged=self.reason == "converged",
            reason=str(self.reason),
            history=History(record[: self.step, 0], record[: self.step, 1]),
        )
