"""Which derivative a map has: the right term, and the map in words.

The terms are those of calculus: a function of one number has a *derivative* (a *partial derivative*
when it has other arguments, held constant), a number made from many has a *gradient*, a vector made
from a vector has a *Jacobian*, and when a tensor of rank two or more is involved, the Jacobian is a
*generalized* one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import tree_util

from jaxcalc.call.arguments import (
    Argnames,
    Argnums,
    Chosen,
    choose,
    dtype_of,
    function_name,
    is_inexact,
    require_callable,
    require_differentiable,
)
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.flatten import split_aux
from jaxcalc.call.front_door import examination

Term = Literal["derivative", "partial derivative", "gradient", "Jacobian", "generalized Jacobian"]

_CALLS: dict[str, str] = {
    "derivative": "jaxcalc.derivative",
    "partial derivative": "jaxcalc.partial_derivative",
    "gradient": "jaxcalc.gradient",
    "Jacobian": "jaxcalc.jacobian",
    "generalized Jacobian": "jaxcalc.jacobian",
}
_HOLOMORPHIC = "jaxcalc.jacobian(f, holomorphic=True)"
_OF_PARTS = "jaxcalc.jacobian of the real and the imaginary parts"
_LISTED_LEAVES = 4  # a map with more leaves is described by their number


@dataclass(frozen=True)
class Kind:
    """Which derivative a function has at arguments of given shapes; `str(kind)` is a sentence.

    Attributes:
        name: the term: "derivative", "partial derivative", "gradient", "Jacobian" or
            "generalized Jacobian".
        map: the map with dtypes and shapes, `"float32[3] -> float32[2]"`.
        spaces: the map as mathematics writes it, `"R^3 -> R^2"`.
        shapes: the shape of each block of the derivative, output shape + input shape, for each
            output leaf and, inside it, each input leaf.
        call: what computes it, `"jaxcalc.jacobian"`; with its option, where it needs one.
    """

    name: Term
    map: str
    spaces: str
    shapes: tuple[tuple[int, ...], ...]
    call: str

    def __str__(self) -> str:
        shown = ", ".join(brackets(shape) for shape in self.shapes[:_LISTED_LEAVES])
        if len(self.shapes) > _LISTED_LEAVES:
            shown += f", ... ({len(self.shapes)} blocks)"
        noun = "shape" if len(self.shapes) == 1 else "shapes"
        return f"{self.name}: {self.map} ({self.spaces}), {noun} {shown}: use {self.call}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"


@examination
def classify(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    argnames: Argnames | None = None,
    has_aux: bool = False,
    **kwargs: Any,
) -> Kind:
    """Say which kind of derivative `f` has at arguments like these, without evaluating f.

    Args:
        f: any function that JAX can trace, of any pytrees.
        *args: its arguments: arrays, numbers, or `jax.ShapeDtypeStruct`s in their place.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name or names, instead of `argnums`.
        has_aux: f returns `(output, aux)`; aux is not looked at.
        **kwargs: keyword arguments of f.

    Returns:
        A `Kind`: its `name` is the term, and `str` gives the map in words.

    Raises:
        TypeError: an argument is not an array or a number, or is an integer.
        ValueError: `argnums` or `argnames` do not fit the call.

    Cost: one abstract evaluation (a trace) of f, and no evaluation.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> kind = jaxcalc.classify(lambda x: jnp.stack([x[0] * x[1], x[2] ** 2]), jnp.ones(3))
        >>> kind.name
        'Jacobian'
        >>> print(kind)
        Jacobian: float32[3] -> float32[2] (R^3 -> R^2), shape [2,3]: use jaxcalc.jacobian
    """
    api = "jaxcalc.classify"
    require_booleans(api, has_aux=has_aux)
    chosen, output = chosen_and_output(api, f, argnums, argnames, args, kwargs, has_aux=has_aux)
    return kind_of(chosen.primal, output, bare=chosen.bare, arity=chosen.arity)


def chosen_and_output(
    api: str,
    f: Callable[..., Any],
    argnums: Argnums,
    argnames: Argnames | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    has_aux: bool = False,
) -> tuple[Chosen, Any]:
    """The chosen arguments, all of which have a derivative, and the output as shapes and dtypes."""
    require_callable(api, f)
    chosen = choose(api, f, argnums, argnames, args, kwargs)
    require_differentiable(chosen, holomorphic=False, allow_int=False, has_allow_int=False)
    leaves, treedef = jax.tree.flatten((args, kwargs))
    abstract = [isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves]

    # arguments that are held constant may be abstract too, so they are traced as well
    def call(primal: Any, traced: list[Any]) -> Any:
        remaining = iter(traced)
        filled = [next(remaining) if a else leaf for a, leaf in zip(abstract, leaves, strict=True)]
        new_args, new_kwargs = jax.tree.unflatten(treedef, filled)
        result = choose(api, f, argnums, argnames, new_args, new_kwargs).call(primal)
        return split_aux(api, result, has_aux)[0]

    traced = [leaf for leaf, a in zip(leaves, abstract, strict=True) if a]
    return chosen, jax.eval_shape(call, chosen.primal, traced)


def kind_of(primal: Any, output: Any, *, bare: bool = True, arity: int = 1) -> Kind:
    """The kind of the derivative of a map from a pytree like `primal` to one like `output`."""
    name = _term(primal, output, bare=bare, arity=arity)
    shapes = tuple(
        jnp.shape(out) + jnp.shape(leaf)
        for out in jax.tree.leaves(output)
        for leaf in jax.tree.leaves(primal)
    )
    typed = f"{_typed(primal)} -> {_typed(output)}"
    call = _call(name, jax.tree.leaves(primal), output)
    return Kind(name, typed, describe_map(primal, output), shapes, call)


def _term(primal: Any, output: Any, *, bare: bool, arity: int) -> Term:
    ranks = [jnp.ndim(leaf) for leaf in jax.tree.leaves(primal)]
    output_ranks = [jnp.ndim(leaf) for leaf in jax.tree.leaves(output)]
    if ranks == [0] and bare:
        return "partial derivative" if arity > 1 else "derivative"
    if output_ranks == [0]:
        return "gradient"
    if max(ranks + output_ranks, default=0) <= 1:
        return "Jacobian"
    return "generalized Jacobian"


def _call(name: Term, inputs: list[Any], output: Any) -> str:
    """What computes the derivative: the function of that name, unless it refuses such dtypes."""
    outputs = jax.tree.leaves(output)
    is_complex_in, is_complex_out = (_any_of(jnp.complexfloating, x) for x in (inputs, outputs))
    has_integers = not all(map(is_inexact, outputs))
    if is_complex_in and (is_complex_out or has_integers):
        is_complex = all(_any_of(jnp.complexfloating, [x]) for x in [*inputs, *outputs])
        return _HOLOMORPHIC if is_complex else _OF_PARTS
    is_real_number = is_scalar(output) and _any_of(jnp.floating, outputs)
    if is_complex_in or name == "gradient":
        return "jaxcalc.gradient" if is_real_number else "jaxcalc.jacobian"
    return "jaxcalc.jacobian" if has_integers else _CALLS[name]


def _any_of(dtype: Any, leaves: list[Any]) -> bool:
    return any(jnp.issubdtype(dtype_of(leaf), dtype) for leaf in leaves)


def output_shape(call: Callable[[Any], Any], primal: Any) -> Any:
    """The output of `call` as shapes and dtypes, by abstract evaluation."""
    return jax.eval_shape(call, primal)


def describe_map(primal: Any, output: Any) -> str:
    """The map in the words of mathematics: `R^3 -> R^2`, `R x R^(2x3) -> R`."""
    return f"{_space(primal)} -> {_space(output)}"


def is_scalar(output: Any) -> bool:
    """Whether an output is one bare number, which is what a gradient needs."""
    return bool(tree_util.all_leaves([output])) and jnp.ndim(output) == 0


def not_scalar(api: str, f: Callable[..., Any], primal: Any, output: Any) -> TypeError:
    """The error for a gradient of what is no scalar: names the map, the right term and call."""
    kind = kind_of(primal, output)
    leaves = jax.tree.leaves(output)
    advice = (
        "it returned nothing to differentiate; return a number"
        if not leaves
        else "return the number itself, not a container of it"
        if len(leaves) == 1 and is_scalar(leaves[0])
        else f"its derivative is a {kind.name}; use {kind.call}"
        if kind.name.endswith("Jacobian")
        else f"its derivative with respect to a scalar is a {kind.name}; "
        f"use {kind.call} or jaxcalc.jacobian"
    )
    return TypeError(
        f"{api}: a gradient needs a scalar output, but {function_name(f)} maps {kind.map} "
        f"({kind.spaces}): {advice}."
    )


def _space(tree: Any) -> str:
    leaves = jax.tree.leaves(tree)
    if not leaves:
        return "{0}"
    if len(leaves) > _LISTED_LEAVES:
        return f"R^{sum(_size(leaf) for leaf in leaves)} ({len(leaves)} leaves)"
    return " x ".join(_leaf_space(leaf) for leaf in leaves)


def _leaf_space(leaf: Any) -> str:
    dtype = dtype_of(leaf)
    field = "R"
    if jnp.issubdtype(dtype, jnp.complexfloating):
        field = "C"
    elif not jnp.issubdtype(dtype, jnp.floating):
        field = "Z"
    shape = jnp.shape(leaf)
    if not shape:
        return field
    return f"{field}^{shape[0]}" if len(shape) == 1 else f"{field}^({'x'.join(map(str, shape))})"


def _size(leaf: Any) -> int:
    size = 1
    for n in jnp.shape(leaf):
        size *= n
    return size


def _typed(tree: Any) -> str:
    leaves = jax.tree.leaves(tree)
    if len(leaves) > _LISTED_LEAVES:
        return f"{len(leaves)} leaves"
    typed = [typed_leaf(leaf) for leaf in leaves]
    return typed[0] if len(typed) == 1 else f"({', '.join(typed)})"


def typed_leaf(leaf: Any) -> str:
    """`float32[3]`, or `float32` for a number."""
    return f"{dtype_of(leaf)}{brackets(jnp.shape(leaf)) if jnp.ndim(leaf) else ''}"


def brackets(shape: tuple[int, ...]) -> str:
    """A shape as `[2,3]`."""
    return "[" + ",".join(map(str, shape)) + "]"
