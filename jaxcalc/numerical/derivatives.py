"""Numerical derivative, gradient, Jacobian and Hessian, each with an estimate of its error."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import isfinite
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import (
    Argnames,
    Argnums,
    Chosen,
    as_float_instead,
    choose,
    dtype_of,
    function_name,
    is_array,
    one_argument,
    require_callable,
    require_differentiable,
)
from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.front_door import transformation
from jaxcalc.kinds import is_scalar, kind_of
from jaxcalc.numerical.estimate import Estimate, by_leaf, halves, pack, row
from jaxcalc.numerical.quotients import first_order, second_order
from jaxcalc.numerical.sampling import Samples


@transformation()
def derivative(
    f: Callable[..., Any],
    argnum: int | None = None,
    *,
    has_aux: bool = False,
    step: float | None = None,
    argnums: int | None = None,
    argnames: str | None = None,
) -> Callable[..., Any]:
    """The derivative of `f` with respect to a scalar argument, from values of f alone.

    Args:
        f: a function whose argument `argnum` is a real scalar. Its output may be a number, an array
            of any shape, or a pytree. It need not be differentiable by JAX, nor traceable: Python
            control flow and numpy work, outside `jit`.
        argnum: position of the argument to differentiate with respect to; the others are held
            constant. The first one without it.
        has_aux: whether f returns `(output, aux)`.
        step: the largest step to try. The default is 0.37 max(1, |x|), and for |x| below 1e-3 one
            half of the steps starts at 0.37 |x|; give a smaller one when f varies on a much smaller
            scale, or is costly to leave x by that much.
        argnums: the same as `argnum`, under the name that it has everywhere else.
        argnames: its name, in the place of its position.

    Returns:
        A function of the same arguments as f that returns an `Estimate(value, error)`; both have
        the structure, shapes and dtypes of f's output (`error` is real). With `has_aux`, the pair
        `(estimate, aux)`.

    Raises:
        TypeError: the argument is not a scalar, or is an integer, a boolean or complex.
        ValueError: `argnum` is out of range, a name is unknown, two choices of the argument disagree,
            or `step` is not positive.

    Where f has a kink, `error` covers the slopes on both sides. Where it jumps, is not finite, or
    oscillates faster than the smallest step, `error` is infinite or as large as the values demand.
    What no value of f shows cannot be estimated: a kink nearer to x than the smallest step (about
    2e-8 in float64, 1e-4 in float32, for x near 1), or a wave of f with just the rhythm of the steps.

    Cost: 41 evaluations of f in float64, 31 in float32, 15 in float16, 11 in bfloat16, in one
    vectorized call. Method: Richardson extrapolation of central difference quotients (Ridders, 1982)
    over steps that fall by about 2.4 each; the tableau entry of least error is taken, the error being
    that of truncation and of rounding together.

    Example:
        >>> import jaxcalc
        >>> estimate = jaxcalc.numerical.derivative(lambda x: 2 * x**3 + 5)(2.0)
        >>> bool(abs(estimate.value - 24.0) <= estimate.error)  # 6 x^2
        True
        >>> bool(estimate.error < 1e-2)
        True
    """
    api = "jaxcalc.numerical.derivative"
    _require_options(api, f, step)

    choice = one_argument(api, f, argnum, argnums, argnames, "jaxcalc.numerical.jacobian")

    @wraps(f)
    def derivative_f(*args: Any, **kwargs: Any) -> Any:
        chosen = choice(args, kwargs)
        _require_scalar_input(chosen, f)
        result, samples = _jacobian(chosen, has_aux, step)
        return (result, samples.aux) if has_aux else result

    return derivative_f


@transformation()
def gradient(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    argnames: Argnames | None = None,
    has_aux: bool = False,
    step: float | None = None,
) -> Callable[..., Any]:
    """The gradient of a function with scalar output, from values of f alone.

    Args:
        f: a function of arrays or pytrees whose output is one real number. It need not be
            differentiable by JAX, nor traceable.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name, or a sequence of names, instead of `argnums`.
        has_aux: whether f returns `(output, aux)`.
        step: the largest step to try for each element; the default is 0.37 max(1, |x|).

    Returns:
        A function of the same arguments as f that returns an `Estimate(value, error)`; both have
        the structure, shapes and dtypes of `jaxcalc.gradient`. With `has_aux`, `(estimate, aux)`.

    Raises:
        TypeError: the output is not a real scalar, or an input is an integer, a boolean or complex.
        ValueError: `argnums` or `argnames` do not fit the call, or `step` is not positive.

    Cost: for each input element 40 evaluations of f in float64, 30 in float32, 14 in float16, 10 in
    bfloat16, and one more; as many at a time as fit into 64 MiB of inputs and outputs. Method and
    meaning of `error`: see `derivative`.

    Example:
        >>> import jaxcalc
        >>> f = lambda x, z: 4 * x**4 * z**3
        >>> value, error = jaxcalc.numerical.gradient(f, argnames=("x", "z"))(1.0, 2.0)
        >>> bool(abs(value[0] - 128.0) <= error[0]), bool(abs(value[1] - 48.0) <= error[1])
        (True, True)
    """
    api = "jaxcalc.numerical.gradient"
    _require_options(api, f, step)

    @wraps(f)
    def gradient_f(*args: Any, **kwargs: Any) -> Any:
        chosen = choose(api, f, argnums, argnames, args, kwargs)
        flat = _flat_map(chosen, has_aux)
        with jax.debug_nans(False):
            samples = Samples(flat)
            _require_scalar_output(f, chosen, samples)
            columns = by_leaf(samples, *first_order(samples, step), axis=0)
            blocks = [
                pack(value, error, samples.parts[0], leaf.dtype)
                for (value, error), leaf in zip(columns, samples.leaves, strict=True)
            ]
        result = Estimate(*(flat.inputs(half) for half in halves(blocks)))
        return (result, samples.aux) if has_aux else result

    return gradient_f


@transformation()
def jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    argnames: Argnames | None = None,
    has_aux: bool = False,
    step: float | None = None,
) -> Callable[..., Any]:
    """The (generalized) Jacobian of `f`, from values of f alone.

    Args:
        f: a function of arrays, tensors or pytrees of them, whose output is any of these. It need
            not be differentiable by JAX, nor traceable.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name, or a sequence of names, instead of `argnums`.
        has_aux: whether f returns `(output, aux)`.
        step: the largest step to try for each element; the default is 0.37 max(1, |x|).

    Returns:
        A function of the same arguments as f that returns an `Estimate(value, error)`; both have
        the structure of `jaxcalc.jacobian`: the input's inside the output's, with leaves of output
        shape + input shape, in the dtype of the output (`error` is real). With `has_aux`,
        `(estimate, aux)`.

    Raises:
        TypeError: an input is an integer, a boolean or complex, or an output an integer.
        ValueError: `argnums` or `argnames` do not fit the call, or `step` is not positive.

    Cost: as `gradient`, whatever the size of the output. Method and meaning of `error`: see
    `derivative`.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> f = lambda x: jnp.stack([x[0] * x[1], x[1] ** 2])
        >>> value, error = jaxcalc.numerical.jacobian(f)(jnp.array([2.0, 3.0]))
        >>> bool(jnp.all(jnp.abs(value - jnp.array([[3.0, 2.0], [0.0, 6.0]])) <= error))
        True
    """
    api = "jaxcalc.numerical.jacobian"
    _require_options(api, f, step)

    @wraps(f)
    def jacobian_f(*args: Any, **kwargs: Any) -> Any:
        result, samples = _jacobian(choose(api, f, argnums, argnames, args, kwargs), has_aux, step)
        return (result, samples.aux) if has_aux else result

    return jacobian_f


@transformation()
def hessian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    argnames: Argnames | None = None,
    has_aux: bool = False,
    step: float | None = None,
) -> Callable[..., Any]:
    """The Hessian of `f`, from values of f alone.

    Args:
        f: a function of arrays or pytrees whose output is one number; other outputs work too and
            give the second derivative of each of their elements.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name, or a sequence of names, instead of `argnums`.
        has_aux: whether f returns `(output, aux)`.
        step: the largest step to try for each element; the default is 0.37 max(1, |x|).

    Returns:
        A function of the same arguments as f that returns an `Estimate(value, error)`; both have
        the structure and shapes of `jaxcalc.hessian`, in the dtype of the output (`error` is real).
        With `has_aux`, `(estimate, aux)`.

    Raises:
        TypeError: an input is an integer, a boolean or complex, or an output an integer.
        ValueError: `argnums` or `argnames` do not fit the call, or `step` is not positive.

    A jump of the slope makes `error` large, for the second derivative is infinite there. A jump of
    the second derivative at x itself, as of x |x| at 0, is not seen: the quotients are symmetric.

    Cost: for n input elements 2 k n^2 + 1 evaluations of f, k = 15 in float64, 11 in float32, 6 in
    float16, 5 in bfloat16; as many at a time as fit into 64 MiB. Method: Richardson extrapolation of
    second central difference quotients, four points for each mixed derivative.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> value, error = jaxcalc.numerical.hessian(lambda x: x[0] ** 2 * x[1])(jnp.array([1.0, 2.0]))
        >>> bool(jnp.all(jnp.abs(value - jnp.array([[4.0, 2.0], [2.0, 0.0]])) <= error))
        True
    """
    api = "jaxcalc.numerical.hessian"
    _require_options(api, f, step)

    @wraps(f)
    def hessian_f(*args: Any, **kwargs: Any) -> Any:
        flat = _flat_map(choose(api, f, argnums, argnames, args, kwargs), has_aux)
        with jax.debug_nans(False):
            samples = Samples(flat)
            tables = by_leaf(samples, *second_order(samples, step), axis=0)
            blocks = [
                [
                    row(samples, value, error, part, axis=jnp.ndim(leaf))
                    for (value, error), leaf in zip(tables, samples.leaves, strict=True)
                ]
                for part in samples.parts
            ]
        shapes = [part.shape for part in samples.parts]
        result = Estimate(*(flat.hessian(half, shapes) for half in halves(blocks)))
        return (result, samples.aux) if has_aux else result

    return hessian_f


def _jacobian(chosen: Chosen, has_aux: bool, step: float | None) -> tuple[Estimate, Samples]:
    flat = _flat_map(chosen, has_aux)
    with jax.debug_nans(False):
        samples = Samples(flat)
        value, error = first_order(samples, step)
        blocks = [row(samples, value, error, part, axis=0) for part in samples.parts]
    shapes = [part.shape for part in samples.parts]
    return Estimate(*(flat.jacobian(half, shapes) for half in halves(blocks))), samples


def _require_options(api: str, f: Any, step: float | None) -> None:
    require_callable(api, f)
    if step is None:
        return
    if isinstance(step, bool) or not isinstance(step, int | float):
        raise TypeError(f"{api}: step must be a positive number, got {step!r}.")
    if not (isfinite(step) and step > 0):
        raise ValueError(f"{api}: step must be positive and finite, got {step!r}.")


def _flat_map(chosen: Chosen, has_aux: bool) -> FlatMap:
    """f on the chosen leaves, all of which must be real: a step has to move each of them."""
    for name, leaf in chosen.leaves():
        if not is_array(leaf):
            raise TypeError(
                f"{chosen.api}: {name} is {leaf!r} of type {type(leaf).__name__}; expected an array, "
                "a number or a pytree of them."
            )
        dtype = dtype_of(leaf)
        if not jnp.issubdtype(dtype, jnp.floating):
            advice = (
                "give its real and imaginary parts as two inputs"
                if jnp.issubdtype(dtype, jnp.complexfloating)
                else f"{as_float_instead(leaf)}, or choose other arguments"
            )
            raise TypeError(
                f"{chosen.api}: {name} is {dtype}{list(jnp.shape(leaf))}, but a numerical derivative "
                f"moves its inputs by real steps; {advice}."
            )
    return FlatMap(chosen, has_aux)


def _require_scalar_input(chosen: Chosen, f: Callable[..., Any]) -> None:
    require_differentiable(chosen, holomorphic=False, allow_int=True)  # all leaves are arrays
    leaves = chosen.leaves()
    if not leaves:
        raise TypeError(
            f"{chosen.api}: {chosen.names[0]} is {chosen.primal!r}, which holds no number to "
            "differentiate with respect to."
        )
    if len(leaves) == 1 and leaves[0][1] is chosen.primal and jnp.shape(chosen.primal) == ():
        return
    listed = ", ".join(f"{name}: {dtype_of(leaf)}{list(jnp.shape(leaf))}" for name, leaf in leaves[:4])
    raise TypeError(
        f"{chosen.api}: needs a scalar to differentiate {function_name(f)} with respect to, but got "
        f"{listed}; use jaxcalc.numerical.gradient for a scalar output, and jaxcalc.numerical.jacobian "
        "for any other."
    )


def _require_scalar_output(f: Callable[..., Any], chosen: Chosen, samples: Samples) -> None:
    output = samples.flat.value([jax.ShapeDtypeStruct(p.shape, p.dtype) for p in samples.parts])
    if not is_scalar(output):
        kind = kind_of(chosen.primal, output)
        raise TypeError(
            f"{chosen.api}: a gradient needs a scalar output, but {function_name(f)} maps {kind.map} "
            f"({kind.spaces}); use jaxcalc.numerical.jacobian."
        )
    dtype = samples.parts[0].dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"{chosen.api}: the output of {function_name(f)} is {dtype}, which has no gradient; use "
            "jaxcalc.numerical.jacobian, or return the real and the imaginary part apart."
        )
