"""The options that Jacobians and Hessians share, checked once, and the directions that f allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from jaxcalc.arguments import Chosen, require_differentiable
from jaxcalc.drop_in import require_booleans
from jaxcalc.engine.dense import Leaves
from jaxcalc.engine.directions import Direction, directions_allowed
from jaxcalc.engine.failures import Failures
from jaxcalc.flat import FlatMap
from jaxcalc.symbolic import is_symbolic

Format = Literal["dense", "bcoo", "structured"]
Mode = Literal["auto", "forward", "reverse"]
_FAR_CHEAPER = 4  # times fewer inputs than outputs


@dataclass(frozen=True)
class Options:
    """What a call of `jacobian` or `hessian` asked for, refused at once when it makes no sense."""

    api: str
    has_aux: bool
    holomorphic: bool
    allow_int: bool
    format: Format
    mode: Mode
    memory_limit: int | None
    strict: bool
    progress: bool = False

    def __post_init__(self) -> None:
        names = ("has_aux", "holomorphic", "allow_int", "strict", "progress")
        require_booleans(self.api, **{name: getattr(self, name) for name in names})
        self._require_legal("format", self.format, get_args(Format))
        self._require_legal("mode", self.mode, get_args(Mode))
        if self.progress and self.format != "dense":
            raise ValueError(
                f"{self.api}: progress=True is for format='dense', which is made a block at a time; "
                f"format={self.format!r} is made at once. Leave progress out."
            )

    def require_inputs(self, chosen: Chosen) -> None:
        """Refuse chosen arguments that no derivative can be taken with respect to."""
        require_differentiable(chosen, holomorphic=self.holomorphic, allow_int=self.allow_int)

    def _require_legal(self, name: str, given: Any, legal: tuple[str, ...]) -> None:
        if given not in legal:
            listing = ", ".join(repr(choice) for choice in sorted(legal))
            raise ValueError(f"{self.api}: unknown {name} {given!r}; it can be {listing}.")


def require_complex_fits(flat: FlatMap, options: Options, direction: Direction) -> None:
    """Refuse complex inputs where the direction has no derivative with respect to them."""
    require_differentiable(
        flat.chosen,
        holomorphic=options.holomorphic,
        allow_int=options.allow_int,
        allow_complex=direction == "reverse",
    )


def require_reverse_fits(options: Options, dtypes: Sequence[Any]) -> None:
    """Refuse the products of reverse mode alone where an output is complex: they see its real part."""
    is_complex = any(jnp.issubdtype(dtype, jnp.complexfloating) for dtype in dtypes)
    if options.mode == "reverse" and is_complex and not options.holomorphic:
        raise TypeError(
            f"{options.api}: a complex output goes forward here, not with mode='reverse'; leave mode "
            "out, set holomorphic=True for a holomorphic function, or use the whole of format='dense'."
        )


def trace(function: Callable[[Leaves], Any], leaves: Leaves) -> tuple[Jaxpr, list[Any]]:
    """The program of a function, and its output's shapes."""
    closed, output = jax.make_jaxpr(function, return_shape=True)(list(leaves))
    return closed.jaxpr, output


def trace_directions(
    function: Callable[[Leaves], Any], leaves: Leaves, failures: Failures
) -> tuple[list[Any], set[Direction]]:
    """The output's shapes of a function, and the directions that JAX allows for it."""
    program, output = trace(function, leaves)
    both: set[Direction] = {"forward", "reverse"}
    return output, failures.prepare(lambda: directions_allowed(program, program.invars), both)


def is_far_cheaper_forward(leaves: Leaves, output: Leaves, options: Options) -> bool:
    """Whether forward mode is worth it for a function that JAX differentiates in reverse alone.

    It goes through the transposes of `jax.custom_vjp` rules, and pays where there are many outputs.
    """
    if not options.holomorphic and any(jnp.iscomplexobj(leaf) for leaf in leaves):
        return False  # only reverse mode is defined
    if is_symbolic([*leaves, *output]):
        return False
    inputs, outputs = (sum(prod(jnp.shape(x)) for x in xs) for xs in (leaves, output))
    return _FAR_CHEAPER * inputs <= outputs


def hessian_directions(
    allowed: set[Direction], of_gradient: Callable[[], set[Direction]]
) -> tuple[tuple[Direction, Direction], bool]:
    """The outer and the inner direction, and whether forward mode has to be made for `jax.custom_vjp`.

    Such functions forbid forward mode of f, and not of its gradient, which has their rules in their
    place; unless these call such functions. So `of_gradient` is asked then.
    """
    if "reverse" not in allowed:
        return ("forward", "forward"), not allowed
    left = {"forward"} if "forward" in allowed else of_gradient()
    if left == {"reverse"}:
        return ("reverse", "reverse"), False
    return ("forward", "reverse"), not left
