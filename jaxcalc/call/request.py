"""What a call asks for: a function, its arguments, and which derivative of it in which format."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import Argnames, Argnums, Chosen, choose, function_name
from jaxcalc.call.flatten import FlatMap, require_differentiable_output
from jaxcalc.call.options import Options
from jaxcalc.call.signature import Call, take_apart
from jaxcalc.call.symbolic import require_known_sizes
from jaxcalc.heuristics import heuristics

Query = Literal["jacobian", "hessian"]  # what is asked of f

_configuration = attrgetter(
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_default_prng_impl",
    "jax_disable_jit",
)
_jit_disabled = attrgetter("jax_disable_jit")


def settings() -> Hashable:
    """What a trace depends on beside its arguments: JAX's configuration, and the mesh around it."""
    return _configuration(jax.config), jax.sharding.get_abstract_mesh()


def is_jit_disabled() -> bool:
    """Whether `jax.disable_jit` is on, which is for looking into f while it runs."""
    return bool(_jit_disabled(jax.config))


class NotScalarError(TypeError):
    """An output that has no Hessian matrix."""


@dataclass(frozen=True)
class Request:
    """A call of f and what is asked of its derivative.

    Attributes:
        like: the layout of an earlier derivative, whose order the entries of this one get.
        entry_limit: the most entries that a value may have on the way to a sparse derivative.
        recorded: what is evaluated in the place of f: the program of its first trace. What is kept is
            kept for f.
    """

    f: Callable[..., Any]
    options: Options
    argnums: Argnums
    argnames: Argnames | None
    call: Call
    like: Hashable | None = field(default=None, kw_only=True)
    entry_limit: int = field(default_factory=lambda: heuristics().entry_limit, kw_only=True)
    recorded: Callable[..., Any] | None = field(default=None, kw_only=True, repr=False)

    @classmethod
    def of(
        cls,
        f: Callable[..., Any],
        options: Options,
        argnums: Argnums,
        argnames: Argnames | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Request:
        """The request that a call of a transformed function makes."""
        call = take_apart(args, kwargs)
        if options.memory_limit is not None:
            require_known_sizes(options.api, "memory_limit", call.traced)
        return cls(f, options, argnums, argnames, call)

    def chosen(self, traced: Sequence[Any]) -> Chosen:
        """The chosen arguments, with `traced` in the place of the call's arrays."""
        args, kwargs = self.call.rebuild(traced)
        f = self.recorded or self.f
        return choose(self.options.api, f, self.argnums, self.argnames, args, kwargs)

    def key(self, kind: str) -> Hashable | None:
        """What a prepared derivative depends on; None when that cannot be compared."""
        return self._key(kind, self.call.key)

    def family(self, kind: str) -> Hashable | None:
        """What calls have in common that differ in the values of arrays alone."""
        return self._key(kind, self.call.family)

    def _key(self, kind: str, of_call: Hashable | None) -> Hashable | None:
        if of_call is None:
            return None
        which = repr(self.argnums), repr(self.argnames)  # whatever they are, wrong ones too
        o = self.options
        flags = (o.has_aux, o.holomorphic, o.allow_int, o.mode, o.strict)
        return kind, which, flags, settings(), self.like, of_call

    def flat(self, traced: Sequence[Any]) -> FlatMap:
        """f as a map of leaves, with `traced` in the place of the call's arrays."""
        chosen = self.chosen(traced)
        self.options.require_inputs(chosen)
        return FlatMap(chosen, self.options.has_aux)

    def evaluate(self, flat: FlatMap, leaves: Sequence[Any]) -> tuple[list[Any], Any]:
        """Output leaves and aux of f, refused where they have no derivative."""
        output, aux = flat(leaves)
        require_differentiable_output(
            self.options.api, output, flat.treedef, holomorphic=self.options.holomorphic
        )
        return output, aux

    def require_scalar(self, flat: FlatMap, output: Sequence[Any]) -> None:
        """Refuse an output that has no Hessian matrix."""
        if len(output) != 1 or np.shape(output[0]) != () or flat.treedef != jax.tree.structure(0):
            raise NotScalarError(
                f"{self.options.api}: format={self.options.format!r} needs a scalar output, but "
                f"{function_name(self.f)} returns {len(output)} leaves of shapes "
                f"{[list(np.shape(y)) for y in output]}. Use format='dense', or the jacobian of a "
                "gradient of one of them."
            )
        is_complex = jnp.iscomplexobj(output[0])
        if is_complex and not (self.options.holomorphic or any(map(jnp.iscomplexobj, flat.leaves))):
            raise NotScalarError(
                f"{self.options.api}: format={self.options.format!r} needs a real output, but "
                f"{function_name(self.f)} returns {output[0].dtype}. Take the Hessians of its real and "
                "imaginary parts, or use format='dense'."
            )

    def untraceable(self, error: Exception) -> TypeError:
        """The error for a function whose structure cannot be found."""
        return TypeError(
            f"{self.options.api}: format={self.options.format!r} has to know the structure of "
            f"{function_name(self.f)} for all inputs of this shape, but it needs a concrete value "
            f"while it is traced ({str(error).splitlines()[0]}). Write a branch on values with "
            "lax.cond or jnp.where, a loop with lax.while_loop or lax.scan, or use format='dense'."
        )
