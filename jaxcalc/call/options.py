"""The options that Jacobians and Hessians share, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax.numpy as jnp

from jaxcalc.call.arguments import Chosen, require_differentiable
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.flatten import FlatMap

Format = Literal["dense", "bcoo", "structured"]
Mode = Literal["auto", "forward", "reverse"]
Direction = Literal["forward", "reverse"]
FORMATS: tuple[str, ...] = get_args(Format)


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
        self._require_legal("format", self.format, FORMATS)
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
