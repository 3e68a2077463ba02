"""Functions written as expressions on the command line: `2*x**3 + 5`.

An expression is parsed, checked against a vocabulary, and evaluated node by node on JAX values.
Python's own evaluation is never used, so that a name can only mean a variable or an entry of
`jaxcalc.cli.vocabulary`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.cli.errors import UsageError
from jaxcalc.cli.syntax import LARGEST_INTEGER, parse, variables
from jaxcalc.cli.vocabulary import BINARY, COMPARISONS, CONSTANTS, FUNCTIONS, UNARY

_LARGEST_EXPONENT = 1_000  # an integer power of an array is a chain of products
_LARGEST_CONSTANT = 64  # bits of an integer power of constants; beyond it, floats


def function_of(source: str, otherwise: Sequence[str] = ()) -> Callable[..., Any]:
    """The function that an expression stands for; its arguments are the expression's variables.

    `otherwise` names the arguments of an expression without any variable.
    """
    tree = parse(source)
    names = variables(tree) or tuple(otherwise)
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    signature = inspect.Signature(parameters)

    def f(*args: Any, **kwargs: Any) -> Any:
        return as_array(evaluate(tree, signature.bind(*args, **kwargs).arguments))

    f.__signature__ = signature  # type: ignore[attr-defined]
    return f


def as_array(value: Any) -> Any:
    """A number or nested lists as an array of a floating dtype."""
    if isinstance(value, int | float):
        return jnp.asarray(float(value))
    if not isinstance(value, list):
        return value
    rows = [as_array(element) for element in value]
    if not rows:
        raise UsageError("a list [] without elements has no derivative")
    shapes = {jnp.shape(row) for row in rows}
    if len(shapes) > 1:
        listing = ", ".join(str(list(shape)) for shape in sorted(shapes))
        raise UsageError(f"the elements of a list must have one shape, and got {listing}")
    dtype = jnp.result_type(*rows)
    return jnp.stack([row.astype(dtype) for row in rows])


def evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    """The value of a checked expression: a number, an array, or a list of them."""
    result: Any
    match node:
        case ast.Constant(value=value):
            result = value
        case ast.Name(id=name):
            result = values[name] if name in values else CONSTANTS[name]
        case ast.UnaryOp(op=op, operand=operand):
            result = UNARY[type(op).__name__](_operand(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            result = _binary(type(op).__name__, _operand(left, values), _operand(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            result = COMPARISONS[type(op).__name__](_operand(left, values), _operand(right, values))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            given = [_argument(name, argument, values) for argument in arguments]
            axis = {k.arg: evaluate(k.value, values) for k in keywords if k.arg}
            result = FUNCTIONS[name].call(*given, **axis)
        case ast.Subscript(value=value, slice=place):
            result = _element(_operand(value, values), place)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            result = [evaluate(element, values) for element in elements]
        case _:
            raise AssertionError(f"the checker let {type(node).__name__} pass")
    return result


def _operand(node: ast.expr, values: Mapping[str, Any]) -> Any:
    value = evaluate(node, values)
    return as_array(value) if isinstance(value, list) else value


def _argument(name: str, node: ast.expr, values: Mapping[str, Any]) -> Any:
    value = _operand(node, values)
    # a shift and a condition keep their type; other numbers are real
    if isinstance(value, bool):
        return jnp.asarray(value)
    return value if name == "roll" and isinstance(value, int) else as_array(value)


def _binary(name: str, left: Any, right: Any) -> Any:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _constant(name, left, right)
    if name == "Pow" and isinstance(right, int) and abs(right) > _LARGEST_EXPONENT:
        raise UsageError(
            f"the exponent {right} is too large: integer exponents go up to {_LARGEST_EXPONENT}; write "
            f"{right}.0 for a real power"
        )
    return BINARY[name](left, right)


def _constant(name: str, left: float, right: float) -> float:
    """Arithmetic of two constants; integers become floats rather than grow without end."""
    if name == "MatMult":
        raise UsageError("@ multiplies vectors and matrices; write * to multiply numbers")
    if name == "Pow" and isinstance(left, int) and isinstance(right, int):
        grows = abs(right) * left.bit_length() > _LARGEST_CONSTANT
        left = float(left) if grows else left
    try:
        result = BINARY[name](left, right)
    except OverflowError:
        raise UsageError("a constant in the expression is too large for a float") from None
    except ZeroDivisionError:
        raise UsageError("a constant in the expression divides by zero") from None
    if isinstance(result, complex):
        raise UsageError(f"({left:g})**({right:g}) is not a real number")
    return float(result) if abs(result) > LARGEST_INTEGER else result


def _element(array: Any, place: ast.expr) -> Any:
    index = _index(place)
    # JAX clamps an index that is out of range; numpy says so
    np.broadcast_to(np.zeros(()), jnp.shape(array))[index]
    return array[index]


def _index(node: ast.expr) -> Any:
    match node:
        case ast.Tuple(elts=elements):
            return tuple(_index(element) for element in elements)
        case ast.Slice(lower=lower, upper=upper, step=step):
            return slice(
                *(None if part is None else evaluate(part, {}) for part in (lower, upper, step))
            )
        case ast.Constant(value=value) if value is Ellipsis or isinstance(value, int):
            return value
        case ast.UnaryOp(operand=ast.Constant(value=int())):
            return evaluate(node, {})
    raise UsageError("an index must be an integer, a slice or '...'")
