"""Bad and odd inputs of every public function: the error that they must give, or the right answer.

Errors of ours start with the public name. What f raises itself, and what Python says of a call that f
does not take, comes through as it is; where f needs a value that JAX traces, JAX's error has a note.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxcalc
from jaxcalc import (
    check,
    classify,
    derivative,
    descent,
    diagnose,
    explain,
    gradient,
    hessian,
    jacobian,
    numerical,
    partial_derivative,
    sparsity,
    value_and_gradient,
    value_and_jacobian,
    value_gradient_and_hessian,
)

X = jnp.arange(1.0, 4.0)
RAGGED = np.array([[1.0], [2.0, 3.0]], dtype=object)


class Bad(NamedTuple):
    """A call, and the error that it must give: its type, and a pattern of its text."""

    call: Callable[[], Any]
    error: type[Exception]
    text: str


class Odd(NamedTuple):
    """A call that looks wrong and is not, and what it must give."""

    call: Callable[[], Any]
    answer: Any


class Squares:
    """A callable object, with a method."""

    def __call__(self, x: Any) -> Any:
        return x * x

    def method(self, x: Any) -> Any:
        return x * x


class OwnError(Exception):
    """An error of the user's function."""


def square(x: Any) -> Any:
    return x * x


def energy(x: Any) -> Any:
    return jnp.sum(x * x)


def product(x: Any, y: Any) -> Any:
    return x * y


def nothing(x: Any) -> None:
    pass


def raises(x: Any) -> Any:
    raise OwnError("mine")


def by_keyword(*, x: Any) -> Any:
    return x * x


def branches(x: Any) -> Any:
    return x if x[0] > 0 else -x


def in_numpy(x: Any) -> Any:
    return np.sin(x)


NOT_CALLABLE = "expected a function to differentiate"
VALUE = r"needs the value of an argument.*use jax\.numpy"  # in the note
SCALAR = "needs a scalar"
BAD: dict[str, Bad] = {
    "f is a number": Bad(lambda: jacobian(3), TypeError, NOT_CALLABLE),
    "f is None": Bad(lambda: gradient(None), TypeError, NOT_CALLABLE),
    "f is a string": Bad(lambda: hessian("x**2"), TypeError, NOT_CALLABLE),
    "f is an array": Bad(lambda: explain(X, X), TypeError, NOT_CALLABLE),
    "check a number": Bad(lambda: check(3, X), TypeError, NOT_CALLABLE),
    "diagnose a number": Bad(lambda: diagnose(3, X), TypeError, NOT_CALLABLE),
    "minimize None": Bad(
        lambda: descent.minimize(None, X, optimizer=0.1, steps=2),
        TypeError,
        NOT_CALLABLE,
    ),
    "no arguments": Bad(jacobian(square), TypeError, "asks for position 0"),
    "one argument too many": Bad(lambda: jacobian(square)(X, X), TypeError, r"^square\(\) takes 1"),
    "None for an array": Bad(lambda: jacobian(square)(None), TypeError, "unsupported operand"),
    "a string": Bad(lambda: jacobian(square)("abc"), TypeError, "x is 'abc' of type str"),
    "an integer": Bad(lambda: jacobian(square)(3), TypeError, "x is int32.*allow_int"),
    "a boolean": Bad(lambda: jacobian(square)(True), TypeError, "x is bool"),
    "an array of integers": Bad(lambda: gradient(energy)(jnp.arange(3)), TypeError, "x is int32"),
    "an integer beyond int64": Bad(lambda: jacobian(square)(10**30), TypeError, "x is int32"),
    "a ragged array": Bad(lambda: jacobian(square)(RAGGED), TypeError, "of type ndarray"),
    "an array of strings": Bad(lambda: gradient(energy)(np.array(["a"])), TypeError, "of type ndarray"),
    "an object in a pytree": Bad(
        lambda: jacobian(lambda p: p["a"])({"a": X, "b": object()}), TypeError, r"p\['b'\] is <object"
    ),
    "a string in a pytree": Bad(
        lambda: gradient(lambda p: energy(p["a"]))({"a": X, "b": "hi"}), TypeError, r"p\['b'\] is 'hi'"
    ),
    "argnums beyond the call": Bad(lambda: jacobian(square, 1)(X), TypeError, "asks for position 1"),
    "argnums below the call": Bad(lambda: jacobian(square, -2)(X), ValueError, "asks for position -2"),
    "argnums is a name": Bad(
        lambda: jacobian(square, "x")(X),
        TypeError,
        "To choose by name: argnames='x'",
    ),
    "argnums is a float": Bad(
        lambda: jacobian(square, 0.0)(X),
        TypeError,
        r"did you mean jacobian\(f\)\(x\)",
    ),
    "argnums is None": Bad(
        lambda: gradient(energy, None)(X),
        TypeError,
        "must be an integer",
    ),
    "argnums is empty": Bad(lambda: jacobian(square, ())(X), ValueError, "argnums is empty"),
    "argnums twice": Bad(lambda: jacobian(product, (0, 0))(X, X), ValueError, "may appear once"),
    "an unknown name": Bad(lambda: jacobian(square, argnames="z")(X), ValueError, "no argument named"),
    "argnames is a number": Bad(
        lambda: jacobian(square, argnames=3)(X),
        TypeError,
        "must be a name",
    ),
    "argnames is empty": Bad(lambda: jacobian(square, argnames=())(X), ValueError, "argnames is empty"),
    "argnums and argnames": Bad(
        lambda: jacobian(product, 1, argnames="x")(X, X), ValueError, "give one of them"
    ),
    "a keyword argument by position": Bad(
        lambda: jacobian(by_keyword)(X), TypeError, r"^by_keyword\(\) takes 0 positional"
    ),
    "f returns a string": Bad(
        lambda: jacobian(lambda x: "a")(X), TypeError, "returned 'a' of type str"
    ),
    "f returns booleans": Bad(lambda: jacobian(lambda x: x > 0)(X), TypeError, "output is bool"),
    "the gradient of nothing": Bad(lambda: gradient(nothing)(X), TypeError, "returned nothing"),
    "value and gradient of nothing": Bad(
        lambda: value_and_gradient(nothing)(X), TypeError, "returned nothing"
    ),
    "the gradient of a vector": Bad(lambda: gradient(square)(X), TypeError, "use jaxcalc.jacobian"),
    "the gradient of an integer": Bad(
        lambda: gradient(lambda x: jnp.sum(x).astype(int))(X), TypeError, "is int32"
    ),
    "value, gradient and Hessian of a vector": Bad(
        lambda: value_gradient_and_hessian(square)(X), TypeError, "use jaxcalc.jacobian"
    ),
    "the gradient of a pair": Bad(
        lambda: gradient(lambda x: (energy(x), 1))(X), TypeError, "R x Z.*use jaxcalc.jacobian"
    ),
    "a sparse Hessian of a vector": Bad(
        lambda: hessian(square, format="structured")(X), TypeError, "needs a scalar output"
    ),
    "a sparse Hessian of a complex output": Bad(
        lambda: hessian(lambda x: x[0] * x[1] * 1j, format="bcoo")(X), TypeError, "needs a real output"
    ),
    "no aux": Bad(lambda: jacobian(square, has_aux=True)(X), TypeError, "must return a pair"),
    "aux and more": Bad(
        lambda: jacobian(lambda x: (x, 1, 2), has_aux=True)(X), TypeError, "must return a pair"
    ),
    "f raises, dense": Bad(lambda: jacobian(raises)(X), OwnError, "^mine$"),
    "f raises, structured": Bad(lambda: jacobian(raises, format="structured")(X), OwnError, "^mine$"),
    "f raises, gradient": Bad(lambda: gradient(raises)(X), OwnError, "^mine$"),
    "f raises, explain": Bad(lambda: explain(raises, X), OwnError, "^mine$"),
    "f raises, check": Bad(lambda: check(raises, X), OwnError, "^mine$"),
    "f raises, diagnose": Bad(lambda: diagnose(raises, X), OwnError, "^mine$"),
    "f raises, numerical": Bad(lambda: numerical.jacobian(raises)(X), OwnError, "^mine$"),
    "f raises, minimize": Bad(
        lambda: descent.minimize(raises, X, optimizer=0.1, steps=1), OwnError, "^mine$"
    ),
    "a branch on values, structured": Bad(
        lambda: jacobian(branches, format="structured")(X), TypeError, "lax.cond or jnp.where"
    ),
    "a branch on values, explain": Bad(lambda: explain(branches, X), TypeError, "lax.cond or jnp.wh"),
    "a branch on values, sparsity": Bad(lambda: sparsity(branches, X), TypeError, "lax.cond or jnp.wh"),
    "numpy inside f": Bad(lambda: jacobian(in_numpy)(X), TypeError, VALUE),
    "numpy inside f, gradient": Bad(lambda: gradient(lambda x: np.sum(np.sin(x)))(X), TypeError, VALUE),
    "numpy inside f, structured": Bad(
        lambda: jacobian(in_numpy, format="structured")(X), TypeError, "concrete value"
    ),
    "float() inside f": Bad(lambda: gradient(lambda x: float(x[0]) * x[1])(X), TypeError, VALUE),
    "a ufunc of numpy": Bad(lambda: jacobian(np.sin)(X), TypeError, VALUE),
    "a function of math": Bad(lambda: gradient(math.sin)(1.0), TypeError, VALUE),
    "math, derivative": Bad(lambda: derivative(math.exp)(1.0), TypeError, VALUE),
    "an unknown format": Bad(
        lambda: jacobian(square, format="csr"),
        ValueError,
        "'bcoo', 'dense', 'structured'",
    ),
    "no format": Bad(
        lambda: hessian(energy, format=None),
        ValueError,
        "unknown format None",
    ),
    "an unknown mode": Bad(
        lambda: jacobian(square, mode="backward"),
        ValueError,
        "'auto', 'forward', 'reverse'",
    ),
    "a list as mode": Bad(
        lambda: jacobian(square, mode=["forward"]),
        ValueError,
        "unknown mode",
    ),
    "a sparse Hessian with a mode": Bad(
        lambda: hessian(energy, format="bcoo", mode="reverse")(X), ValueError, "leave mode out"
    ),
    "memory_limit=0": Bad(lambda: jacobian(square, memory_limit=0), ValueError, "positive number"),
    "memory_limit below zero": Bad(lambda: hessian(energy, memory_limit=-1), ValueError, "positive"),
    "memory_limit is a string": Bad(
        lambda: jacobian(square, memory_limit="much"),
        ValueError,
        "positive number of bytes, got 'much'",
    ),
    "memory_limit is NaN": Bad(
        lambda: jacobian(square, memory_limit=math.nan),
        ValueError,
        "positive",
    ),
    "memory_limit is a boolean": Bad(
        lambda: jacobian(square, memory_limit=True), ValueError, "positive"
    ),
    "memory_limit below one product": Bad(
        lambda: jacobian(lambda x: jnp.sin(jnp.ones((50, 3)) @ x), memory_limit=8)(X),
        ValueError,
        "less than the workspace",
    ),
    "memory_limit below a sparse format": Bad(
        lambda: jacobian(square, format="bcoo", memory_limit=1)(jnp.ones(100_000)),
        ValueError,
        "less than the workspace",
    ),
    "a result that does not fit": Bad(
        lambda: jacobian(square)(jnp.zeros(10**6)), ValueError, "needs 3.64 TiB.*format='bcoo'"
    ),
    "a Hessian that does not fit": Bad(
        lambda: hessian(energy)(jnp.zeros(10**6)), ValueError, "needs 3.64 TiB.*format='bcoo'"
    ),
    "a complex input": Bad(
        lambda: jacobian(square)(jnp.ones(2, complex)), TypeError, "needs holomorphic=True"
    ),
    "holomorphic of a real input": Bad(
        lambda: jacobian(square, holomorphic=True)(X), TypeError, "requires complex inputs"
    ),
    "a row that is not there": Bad(lambda: jacobian(square, rows=[5])(X), IndexError, "from -3 to 2"),
    "a column that is not there": Bad(
        lambda: jacobian(square, columns=[-4])(X), IndexError, "from -3 to 2"
    ),
    "half a row": Bad(lambda: jacobian(square, rows=[0.5])(X), TypeError, "must be integers"),
    "rows in two dimensions": Bad(
        lambda: value_and_jacobian(square, rows=np.zeros((1, 1), int))(X), ValueError, "one-dimensional"
    ),
    "a slice of rows": Bad(
        lambda: jacobian(square, rows=slice(2))(X),
        TypeError,
        "use numpy.arange",
    ),
    "a mask of rows": Bad(
        lambda: jacobian(square, rows=[True, False, True])(X), TypeError, "use numpy.flatnonzero"
    ),
    "traced rows": Bad(
        lambda: jax.jit(lambda i: jacobian(square, rows=i)(X))(jnp.array([0])), TypeError, "be known"
    ),
    "one row as a number": Bad(
        lambda: jacobian(square, rows=1)(X),
        ValueError,
        "one-dimensional",
    ),
    "the diagonal of some rows": Bad(
        lambda: jacobian(square, diagonal=True, rows=[0])(X), ValueError, "leave one of them out"
    ),
    "progress inside a trace": Bad(
        lambda: jax.jit(jacobian(square, progress=True))(X), ValueError, "progress=True.*outside"
    ),
    "the derivative with respect to a vector": Bad(lambda: derivative(jnp.sin)(X), TypeError, SCALAR),
    "the derivative with respect to an integer": Bad(
        lambda: derivative(jnp.sin)(1), TypeError, "x is int32"
    ),
    "a derivative of order 0": Bad(lambda: derivative(jnp.sin, order=0), ValueError, "1 or more"),
    "a derivative of order -1": Bad(lambda: derivative(jnp.sin, order=-1), ValueError, "1 or more"),
    "a derivative of order 1.5": Bad(
        lambda: derivative(jnp.sin, order=1.5),
        ValueError,
        "must be an integer",
    ),
    "the derivative with respect to a third argument": Bad(
        lambda: derivative(jnp.sin, 2)(1.0), TypeError, "asks for position 2"
    ),
    "a partial derivative with respect to an unknown name": Bad(
        lambda: partial_derivative(product, "z")(1.0, 2.0), ValueError, "its arguments: 'x', 'y'"
    ),
    "a partial derivative with respect to nothing": Bad(
        lambda: partial_derivative(product, ())(1.0, 2.0), ValueError, "wrt is empty"
    ),
    "a partial derivative with respect to None": Bad(
        lambda: partial_derivative(product, None)(1.0, 2.0),
        ValueError,
        "give one of wrt, argnums, argnames",
    ),
    "a partial derivative with respect to a vector": Bad(
        lambda: partial_derivative(product, 0)(X, 2.0), TypeError, SCALAR
    ),
    "classify without arguments": Bad(
        lambda: classify(square), TypeError, "takes the arguments of f too"
    ),
    "classify by integers": Bad(lambda: classify(square, jnp.arange(3)), TypeError, "x is int32"),
    "sparsity of order 3": Bad(lambda: sparsity(square, X, order=3), ValueError, "must be 1"),
    "sparsity by a string": Bad(lambda: sparsity(square, "a"), TypeError, "x is 'a'"),
    "sparsity of no Hessian": Bad(lambda: sparsity(square, X, order=2), TypeError, "needs a scalar"),
    "explain an unknown mode": Bad(
        lambda: explain(square, X, mode="x"),
        ValueError,
        "unknown mode",
    ),
    "explain order 0": Bad(lambda: explain(square, X, order=0), ValueError, "must be 1"),
    "explain inside a trace": Bad(
        lambda: jax.jit(lambda x: explain(square, x, analyze=True).chosen.products)(X),
        ValueError,
        "outside of jax.jit",
    ),
    "check a string": Bad(lambda: check(square, "a"), TypeError, "x is 'a'"),
    "check with a negative tolerance": Bad(
        lambda: check(square, X, tolerance=-1), ValueError, "positive"
    ),
    "check order 3": Bad(lambda: check(square, X, order=3), ValueError, "order must be 1"),
    "diagnose a string": Bad(lambda: diagnose(square, "a"), TypeError, "x is 'a'"),
    "diagnose nothing": Bad(lambda: diagnose(nothing, X), TypeError, "returned no array"),
    "a numerical gradient with respect to a string": Bad(
        lambda: numerical.gradient(energy)("a"), TypeError, "x is 'a'"
    ),
    "a numerical gradient of a vector": Bad(
        lambda: numerical.gradient(square)(X), TypeError, "use jaxcalc.numerical.jacobian"
    ),
    "a step of zero": Bad(
        lambda: numerical.difference_quotients(jnp.sin, 1.0, [0.0]), ValueError, "must be positive"
    ),
    "steps in words": Bad(
        lambda: numerical.difference_quotients(jnp.sin, 1.0, "a"),
        TypeError,
        "sequence of numbers, got 'a'",
    ),
    "an update of other parameters": Bad(
        lambda: descent.update({"a": X}, {"b": X}, 0.1),
        ValueError,
        r"no gradient for parameters\['a'\]",
    ),
    "an update of another shape": Bad(
        lambda: descent.update(X, X[:2], 0.1), ValueError, r"gradients has shape \(2,\)"
    ),
    "a learning rate in words": Bad(
        lambda: descent.update(X, X, "0.1"),
        TypeError,
        "must be a real scalar",
    ),
    "no learning rate": Bad(
        lambda: descent.update(X, X, None),
        TypeError,
        "must be a real scalar",
    ),
    "integer parameters": Bad(
        lambda: descent.update(jnp.arange(3), jnp.arange(3), 0.1), TypeError, "would be truncated"
    ),
    "a loss that is a vector": Bad(
        lambda: descent.backpropagate(product)(X, X), TypeError, "a loss is one real number"
    ),
    "an optimizer by name": Bad(
        lambda: descent.make_step(energy, "sgd"),
        TypeError,
        "learning rate, a schedule",
    ),
    "an optimizer class": Bad(
        lambda: descent.make_step(energy, optax.GradientTransformation),
        TypeError,
        "optimizer|learning rate",
    ),
    "a learning rate of NaN": Bad(
        lambda: descent.make_step(energy, math.nan), ValueError, "must be finite"
    ),
    "fewer than no steps": Bad(
        lambda: descent.minimize(energy, X, optimizer=0.1, steps=-1), ValueError, "0 or more"
    ),
    "half a step": Bad(
        lambda: descent.minimize(energy, X, optimizer=0.1, steps=1.5),
        ValueError,
        "must be an integer",
    ),
    "minimize a vector": Bad(
        lambda: descent.minimize(square, X, optimizer=0.1, steps=2), TypeError, "one real number"
    ),
    "minimize by integers": Bad(
        lambda: descent.minimize(energy, jnp.arange(3), optimizer=0.1, steps=2), TypeError, "truncated"
    ),
    "a negative tolerance": Bad(
        lambda: descent.minimize(energy, X, optimizer=0.1, steps=2, tolerance=-1),
        ValueError,
        "0 or more",
    ),
}

DIAGONAL = np.diag(2 * np.asarray(X))
ODD: dict[str, Odd] = {
    "a list of numbers": Odd(lambda: jacobian(lambda x: x[0] * 2)([1.0, 2.0]), [2.0, 0.0]),
    "nothing to differentiate with respect to": Odd(lambda: jacobian(lambda x: jnp.ones(2))([]), []),
    "an empty array": Odd(lambda: jacobian(square)(jnp.ones(0)), np.zeros((0, 0))),
    "None in a pytree": Odd(
        lambda: gradient(lambda p: energy(p["a"]))({"a": X, "b": None}), {"a": 2 * X, "b": None}
    ),
    "NaN": Odd(lambda: jacobian(square)(jnp.array([jnp.nan])), [[np.nan]]),
    "infinity": Odd(lambda: jacobian(square)(jnp.array([jnp.inf])), [[np.inf]]),
    "argnums=-1": Odd(lambda: jacobian(square, -1)(X), DIAGONAL),
    "f returns nothing": Odd(lambda: jacobian(nothing)(X), None),
    "f returns an empty dict": Odd(lambda: jacobian(lambda x: {})(X), {}),
    "f returns a Python number": Odd(lambda: jacobian(lambda x: 3.0)(X), np.zeros(3)),
    "f returns an integer": Odd(lambda: jacobian(lambda x: 3)(X), np.zeros(3)),
    "f returns an array of numpy": Odd(lambda: jacobian(lambda x: np.ones(2))(X), np.zeros((2, 3))),
    "a keyword-only argument": Odd(lambda: jacobian(by_keyword, argnames="x")(x=X), DIAGONAL),
    "a partial": Odd(lambda: jacobian(functools.partial(product, 2.0))(X), 2 * np.eye(3)),
    "a callable object": Odd(lambda: jacobian(Squares())(X), DIAGONAL),
    "a method": Odd(lambda: jacobian(Squares().method)(X), DIAGONAL),
    "a builtin": Odd(lambda: jacobian(abs)(X), np.eye(3)),
    "a builtin without a signature": Odd(lambda: gradient(sum)(X), np.ones(3)),
    "a ufunc of jax.numpy": Odd(lambda: jacobian(jnp.square)(X), DIAGONAL),
    "a jitted function": Odd(lambda: jacobian(jax.jit(square))(X), DIAGONAL),
    "a branch on values": Odd(lambda: jacobian(branches)(-X), -np.eye(3)),
    "no limit at all": Odd(lambda: jacobian(square, memory_limit=math.inf)(X), DIAGONAL),
    "no rows": Odd(lambda: jacobian(square, rows=[])(X), np.zeros((0, 3))),
    "a row twice": Odd(lambda: jacobian(square, rows=[1, 1])(X), DIAGONAL[[1, 1]]),
    "the diagonal of what is not square": Odd(
        lambda: jacobian(lambda x: x[:2] ** 2, diagonal=True)(X), 2 * np.asarray(X[:2])
    ),
    "a complex input of a real function": Odd(
        lambda: gradient(lambda z: jnp.sum(z**2).real)(jnp.ones(2, complex)), 2 * np.ones(2)
    ),
    "no steps": Odd(lambda: descent.minimize(energy, X, optimizer=0.1, steps=0).parameters, X),
    "an array of numpy in float64": Odd(lambda: jacobian(square)(np.asarray(X, np.float64)), DIAGONAL),
    "version": Odd(lambda: jaxcalc.__version__.count("."), 2),
}
