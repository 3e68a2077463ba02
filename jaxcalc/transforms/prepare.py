"""Derivatives that are compiled ahead of time, for arguments of given shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.tree_util import keystr, tree_flatten, tree_flatten_with_path

from jaxcalc.call.arguments import dtype_of, function_name
from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.front_door import examination
from jaxcalc.call.signature import Call, known_key, take_apart
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.call.transformation import Transformation, transformation_of
from jaxcalc.engine.jaxprs.staged import Staged
from jaxcalc.engine.jaxprs.varying import shape_of, type_of
from jaxcalc.methods.once import is_tracer, once
from jaxcalc.planning.explanation import Explanation
from jaxcalc.transforms.explain import explain

_API = "jaxcalc.prepare"
# what `explain` is asked for each function, beside the options that both have
_EXPLAINED: dict[str, dict[str, Any]] = {
    "jacobian": {"order": 1, "format": "dense"},
    "value_and_jacobian": {"order": 1, "format": "dense"},
    "hessian": {"order": 2, "format": "dense"},
    "value_gradient_and_hessian": {"order": 2, "format": "dense"},
    "gradient": {"order": 1, "format": "dense", "mode": "reverse"},
    "value_and_gradient": {"order": 1, "format": "dense", "mode": "reverse"},
}
_OF_A_PART = frozenset({"rows", "columns", "diagonal"})  # explain takes whole derivatives alone


class PreparedDerivative:
    """A derivative, compiled for arguments of given shapes: call it with such arguments.

    It looks at nothing but these: whatever else f reads is as it was when this was made.
    """

    def __init__(self, transformation: Transformation, call: Call) -> None:
        """Use `jaxcalc.prepare`."""
        self._transformation = transformation
        self._f = once(transformation.f, _API)
        rests = list[Aside]()

        def run(traced: list[Any]) -> list[Any]:
            args, kwargs = call.rebuild(traced)
            result = transformation.applied_to(self._f)(*args, **kwargs)
            leaves, rest = set_aside(result, is_tracer)  # a number that f returns stays one
            rests.append(rest)
            return leaves

        self._staged = Staged(run, call.traced)
        self._rest = rests[-1]
        known = [leaf for leaf, on in zip(call.leaves, call.is_traced, strict=True) if not on]
        unknown = next((leaf for leaf in known if known_key(leaf) is None), None)
        if unknown is not None:
            raise TypeError(
                f"{_API}: the value of {unknown!r}, of type {type(unknown).__name__}, cannot be "
                "compared with that of a later call. Give it a hash, or let the function hold it."
            )
        if any(map(is_tracer, [*call.traced, *self._staged.constants])):
            raise TypeError(
                f"{_API}: an outer transformation traces what {function_name(transformation.f)} reads, "
                "so that nothing can be compiled ahead of it. Prepare the derivative outside of it, or "
                "call the derivative as it is."
            )
        self._compiled = self._staged.compiled_for(call.traced)
        shapes = [shape_of(type_of(x)) for x in call.traced]
        self._call = replace(call, traced=shapes)  # the arrays are not held
        # by their values: an array of numpy may change in its place
        self._made = [
            leaf if on else known_key(leaf)
            for leaf, on in zip(self._call.leaves, call.is_traced, strict=True)
        ]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The derivative at other arguments of the same shapes and dtypes."""
        traced = self._fitting(args, kwargs)
        if any(map(is_tracer, traced)):
            return self._rest.restored(self._staged.inline(traced))
        return self._rest.restored(self._compiled(*self._staged.constants, *traced))

    @cached_property
    def explanation(self) -> Explanation | None:
        """What `jaxcalc.explain` says of it, for the function as it was.

        None for `derivative` and `partial_derivative`, which go forward and have nothing to choose, and
        for a part of a Jacobian.
        """
        name, options = self._transformation.api.rpartition(".")[2], self._transformation.options
        known = _EXPLAINED.get(name)
        if known is None or any(options.get(part) for part in _OF_A_PART):
            return None
        asked = {key: value for key, value in options.items() if key not in _OF_A_PART}
        asked.pop("progress", None)
        args, kwargs = self._call.rebuild(self._call.traced)
        found: Explanation = explain(self._f, *args, **(known | asked), **kwargs)
        return found

    def cost_analysis(self) -> Any:
        """What the compiler says of its operations, as `jax.stages.Compiled.cost_analysis` does."""
        return self._compiled.cost_analysis()

    def memory_analysis(self) -> Any:
        """What the compiler says of its memory, as `jax.stages.Compiled.memory_analysis` does."""
        return self._compiled.memory_analysis()

    def __repr__(self) -> str:
        shapes = ", ".join(_described(x) for x in self._call.leaves)
        api, name = self._transformation.api, function_name(self._transformation.f)
        return f"{_API}({api}({name}), {shapes})"

    def _fitting(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The arrays of a call; an error where it is not like the one that this was made for."""
        leaves, treedef = tree_flatten((args, kwargs))
        if treedef != self._call.treedef:
            raise TypeError(
                f"{_API}: this was made for arguments of the structure {self._call.treedef}, but got "
                f"{treedef}; prepare the derivative for these."
            )
        is_traced = self._call.is_traced
        for number, (leaf, made, on) in enumerate(zip(leaves, self._made, is_traced, strict=True)):
            if not (_is_alike(leaf, made) if on else _has_key(leaf, made)):
                place = _place(tree_flatten_with_path((args, kwargs))[0][number][0])
                raise _unfitting(place, leaf, self._call.leaves[number], is_traced=on)
        if len(leaves) == len(self._call.traced):
            return leaves
        return [leaf for leaf, on in zip(leaves, is_traced, strict=True) if on]


def _unfitting(place: str, leaf: Any, made: Any, *, is_traced: bool) -> Exception:
    """The error for an argument that is not like the one that the derivative was made for."""
    given = f"{_API}: {place} is {_described(leaf)}"
    if is_traced:
        return TypeError(
            f"{given}, but this was made for {_described(made)}; prepare the derivative for these "
            "shapes, or compile it with jax.jit, which does so by itself."
        )
    return ValueError(
        f"{given}, but the structure was found for {_described(made)} with its values: integers and "
        "what is no array are part of it. Prepare the derivative for these, or give a "
        "jax.ShapeDtypeStruct in the place of an array, so that it may have any values."
    )


def _is_alike(leaf: Any, made: Any) -> bool:
    """Whether an argument has the same shape and dtype."""
    if isinstance(leaf, jax.Array):
        return bool(leaf.shape == made.shape and leaf.dtype == made.dtype)
    is_number = isinstance(leaf, float | complex | np.ndarray | np.generic)
    return is_number and np.shape(leaf) == made.shape and _dtype(leaf) == made.dtype


def _dtype(leaf: Any) -> Any:
    return jax.dtypes.canonicalize_dtype(dtype_of(leaf))


def _has_key(leaf: Any, key: Any) -> bool:
    """Whether something that is known has the same value; not where that cannot be told."""
    return key is not None and not is_tracer(leaf) and known_key(leaf) == key


def _place(path: Sequence[Any]) -> str:
    """An argument in words: its position or its name, and the path within it."""
    _, which, *rest = path
    name = getattr(which, "key", None)
    first = repr(name) if name is not None else f"argument {which.idx}"
    return f"{first}{keystr(tuple(rest))}"


def _described(leaf: Any) -> str:
    if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
        return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    return repr(leaf)


@examination
def prepare(transformed: Callable[..., Any], *args: Any, **kwargs: Any) -> PreparedDerivative:
    """A derivative that is traced, planned and compiled once, for arguments of these shapes.

    A direct call of a transformed function looks whether f is still what it was. This one looks no
    more: **whatever f reads beside its arguments, such as globals, attributes and weights, stays as it
    is now**. Prepare the derivative again when that changes.

    Args:
        transformed: what `jacobian`, `hessian`, `gradient`, `derivative` or another transformation of
            this library returned.
        *args: the arguments of f, or `jax.ShapeDtypeStruct`s in the place of arrays. Integers, integer
            arrays and what is no array are part of the structure, as in a direct call: a later call
            has the same ones. A `ShapeDtypeStruct` of integers stands for any values.
        **kwargs: keyword arguments of f.

    Returns:
        A callable of arguments like these. Its attribute `explanation` is what `explain` says, its
        methods `cost_analysis()` and `memory_analysis()` give what the compiler says. Under `jit`,
        `vmap`, `grad` and `scan` its program becomes part of theirs.

    Raises:
        TypeError: it is no transformed function, f needs concrete values, or, at a later call, an
            argument has another shape, dtype or structure.
        ValueError: at a later call, an argument that is part of the structure has another value.

    Cost: one run of f, the trace of its derivative, and XLA's compilation. A call costs what a compiled
    function of JAX costs, and a look at the shapes.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> f = lambda x: jnp.sin(x[1:]) * x[:-1]
        >>> slopes = jaxcalc.prepare(jaxcalc.jacobian(f, format="structured"), jnp.ones(1000))
        >>> slopes(jnp.zeros(1000)).nnz, slopes.explanation.chosen.name
        (1998, 'structured, forward')
    """
    found = transformation_of(transformed)
    if found is None or found.api.startswith("jaxcalc.numerical."):
        raise TypeError(
            f"{_API}: expected a function that jaxcalc has transformed, such as jaxcalc.jacobian(f), "
            f"but got {transformed!r}. Transform f first: jaxcalc.prepare(jaxcalc.jacobian(f), x)."
        )
    try:
        return PreparedDerivative(found, take_apart(args, kwargs))
    except UNTRACEABLE as error:
        raise TypeError(
            f"{_API}: {function_name(found.f)} needs a concrete value while it is traced "
            f"({str(error).splitlines()[0]}). Write a branch on values with lax.cond or jnp.where, a "
            "loop with lax.while_loop or lax.scan; or call the derivative as it is."
        ) from error
