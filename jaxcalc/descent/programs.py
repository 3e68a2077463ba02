"""The compiled loop of `minimize`, and a cache of it that keeps neither loss nor optimizer alive."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.descent.backpropagate import value_and_ascent
from jaxcalc.descent.batches import Access
from jaxcalc.descent.keys import keys_of_step
from jaxcalc.descent.optimizers import Optimizer, changed, initial_state
from jaxcalc.descent.step import strong
from jaxcalc.heuristics import heuristics

_API = "jaxcalc.descent.minimize"

Getter = Callable[[], Any]  # gives what a weak reference refers to


@dataclass
class Program:
    """The two compiled functions of a run.

    Attributes:
        start: `start(parameters, rate) -> (parameters, optimizer_state)`.
        chunk: some steps of the loop, see `_chunk`.
        seconds: how long an evaluation took in the latest run; None before there was one.
    """

    start: Callable[..., Any]
    chunk: Callable[..., Any]
    seconds: float | None = None


_programs: OrderedDict[Any, tuple[Program, tuple[Getter, ...]]] = OrderedDict()


def program_of(loss: Callable[..., Any], optimizer: Optimizer, access: Access, length: int) -> Program:
    """The program for this loss and optimizer, compiled in an earlier call if there was one.

    A program lives as long as the loss and the optimizer that it was made for, so hold on to them
    to use it again. A learning rate is data: all of them share one program.
    """
    functions = (loss, *optimizer.functions)
    key = (*map(_identity, functions), optimizer.rate is None, access, length)
    if key in _programs:
        program, getters = _programs[key]
        if all(get() == f for get, f in zip(getters, functions, strict=True)):
            _programs.move_to_end(key)
            return program

    def forget(_: Any) -> None:
        _programs.pop(key, None)

    try:
        getters = tuple(_weak(f, forget) for f in functions)
    except TypeError:  # an object that allows no weak reference: compiled for this call alone
        return _build(tuple(_strong(f) for f in functions), optimizer.make, access, length)
    program = _build(getters, optimizer.make, access, length)
    _programs[key] = (program, getters)
    while len(_programs) > heuristics().kept_descents:
        _programs.popitem(last=False)
    return program


def _identity(f: Callable[..., Any]) -> Any:
    # a bound method is made anew each time it is looked up; its parts stay
    return (id(f.__self__), id(f.__func__)) if isinstance(f, MethodType) else id(f)


def _weak(f: Callable[..., Any], forget: Callable[[Any], None]) -> Getter:
    if isinstance(f, MethodType):
        return weakref.WeakMethod(f, forget)
    return weakref.ref(f, forget)


def _strong(f: Callable[..., Any]) -> Getter:
    return lambda: f


def _build(
    getters: tuple[Getter, ...], make: Callable[..., Any], access: Access, length: int
) -> Program:
    """The jitted functions; what they refer to is looked up when they are traced."""

    def start(parameters: Any, rate: Any) -> tuple[Any, Any]:
        optimizer = make(*(get() for get in getters[1:]))
        parameters = jax.tree.map(lambda p: strong(jnp.asarray(p)), parameters)
        return parameters, jax.tree.map(
            lambda s: strong(jnp.asarray(s)), initial_state(optimizer, parameters, rate)
        )

    def chunk(*operands: Any) -> Any:
        loss, *rest = (get() for get in getters)
        return _chunk(loss, make(*rest), access, length, *operands)

    return Program(jax.jit(start), jax.jit(chunk))


def _chunk(
    loss: Callable[..., Any],
    optimizer: Any,
    access: Access,
    length: int,
    parameters: Any,
    state: Any,
    first: Any,
    limit: Any,
    hold: Any,
    tolerance: Any,
    args: tuple[Any, ...],
    items: Any,
) -> tuple[Any, Any, Any, Any]:
    """Evaluate and update, `limit` times or until there is a reason to stop.

    The evaluation that stops the loop, because the gradient norm is at most `tolerance` or
    something is not finite, changes no parameters: they are those that were evaluated. So does the
    last evaluation of all when `hold` is set. `first` is the number of the first evaluation.

    Returns:
        Parameters, the optimizer's state, the number of evaluations, and an array `[length + 1, 2]`
        with the loss and the gradient norm of each.
    """

    def body(carry: Any) -> Any:
        parameters, state, count, _, record = carry
        own = keys_of_step(args, first + count)
        data = _data(access, own, items, count)
        value, _, ascent = value_and_ascent(_API, loss, parameters, data)
        norm = gradient_norm(ascent).astype(record.dtype)
        going = jnp.isfinite(value) & jnp.isfinite(norm) & (norm > tolerance)
        stop = ~going | (hold & (count == limit - 1))
        moved, state = changed(optimizer, ascent, state, parameters, value, _line(loss, access, own))
        # a choice inside the update's own loop over elements: it costs no pass over the parameters
        parameters = jax.tree.map(lambda old, new: lax.select(stop, old, new), parameters, moved)
        line = jnp.stack([value.astype(record.dtype), norm])
        record = lax.dynamic_update_slice_in_dim(record, line[None], count, 0)
        return parameters, state, count + 1, going, record

    def unfinished(carry: Any) -> Any:
        _, _, count, going, _ = carry
        return (count < limit) & going

    carry = (parameters, state, jnp.zeros_like(limit), jnp.array(True), jnp.zeros((length + 1, 2)))
    parameters, state, count, _, record = lax.while_loop(unfinished, body, carry)
    return parameters, state, count, record


def _data(access: Access, args: tuple[Any, ...], items: Any, count: Any) -> tuple[Any, ...]:
    """The loss's arguments for one step."""
    if access == "whole":
        return args
    item = jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, count, keepdims=False), items)
    if access == "stream":
        return (*args, *item)
    return jax.tree.map(lambda a: a.at[item].get(mode="promise_in_bounds") if jnp.ndim(a) else a, args)


def _line(loss: Callable[..., Any], access: Access, args: tuple[Any, ...]) -> Callable[[Any], Any]:
    """The loss as a function of the parameters, for optimizers that search along a line."""

    def value_fn(parameters: Any) -> Any:
        if access != "whole":
            raise TypeError(
                f"{_API}: this optimizer searches along a line on the loss itself, which needs all "
                "data in every step; leave out batches."
            )
        return loss(parameters, *args)

    return value_fn


def gradient_norm(gradients: Any) -> Any:
    """The Euclidean norm over all leaves, in float32 or wider; finite where it can be written."""
    leaves = [leaf for leaf in jax.tree.leaves(gradients) if leaf.size]
    norm = _norm(leaves)
    if not leaves:
        return norm
    # squares overflow long before the norm does, in float32 from 1.8e19 on
    return lax.cond(jnp.isfinite(norm), lambda: norm, lambda: _norm_of_large(leaves, norm.dtype))


def _norm(leaves: list[Any]) -> Any:
    squares = [_sum_of_squares(leaf) for leaf in leaves]
    wide = jnp.float64 if any(s.dtype == jnp.float64 for s in squares) else jnp.float32
    return jnp.sqrt(sum((s.astype(wide) for s in squares), jnp.zeros((), wide)))


def _norm_of_large(leaves: list[Any], dtype: Any) -> Any:
    """The norm where squares of elements overflow: of elements divided by a power of two."""
    scale = 2.0 ** -(jnp.finfo(dtype).maxexp // 2)  # so that no square overflows
    # the barrier keeps XLA from squaring elements and scale apart, where both leave the range
    small = lax.optimization_barrier([jnp.abs(leaf).astype(dtype) * scale for leaf in leaves])
    return _norm(small) / scale


def _sum_of_squares(leaf: Any) -> Any:
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        return _sum_of_squares(leaf.real) + _sum_of_squares(leaf.imag)
    square = jnp.square(leaf.astype(jnp.float64 if leaf.dtype == jnp.float64 else jnp.float32))
    if leaf.ndim > 1:
        # summing columns first is vectorized on CPU, where one long sum runs element by element at
        # three times the cost; the barrier keeps XLA from joining the two sums again
        square = lax.optimization_barrier(jnp.sum(square, axis=tuple(range(leaf.ndim - 1))))
    return jnp.sum(square)
