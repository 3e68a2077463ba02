"""What a check computes of a function: products in both modes, slopes, its structured derivative.

Where f can be traced, all of it is one compiled program, which is kept for all functions that compute
the same: a second check of f traces it and compiles nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxcalc.call.arguments import Chosen
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE, UNTRACEABLE
from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.options import Direction
from jaxcalc.checking.digits import MOST, mantissa_bits
from jaxcalc.checking.samplers import is_drawn
from jaxcalc.engine.custom_vjp.forward_mode import NoForwardModeError, with_forward_mode
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.engine.jaxprs.directions import directions_allowed
from jaxcalc.engine.jaxprs.signatures import IncomparableError, signature
from jaxcalc.engine.rules.registry import Context, revision
from jaxcalc.engine.walk.linearity import calls_rules
from jaxcalc.heuristics import heuristics
from jaxcalc.methods.failures import Failures
from jaxcalc.numerical.columns import Slope
from jaxcalc.numerical.directional import Lines, slopes, slopes_of
from jaxcalc.numerical.sampling import Samples

Leaves = list[Any]
Call = Callable[[Leaves], Leaves]
Dtypes = tuple[Any, ...]
Structured = Callable[[Leaves], Any]  # the derivative at x, as a `Jacobian`

_AT_ONCE = 2**21  # numbers: products of larger functions are made one after another


class Entries(NamedTuple):
    """The entries of a structured derivative: values, and which rows and columns they are in."""

    values: Any
    rows: np.ndarray
    cols: np.ndarray
    shape: tuple[int, int]


class Everything(NamedTuple):
    """What is computed first, all at once.

    Attributes:
        forward: J v for each direction, one array `[d, *shape]` for each output; None without the mode.
        reverse: u J for each cotangent, one array `[k, *shape]` for each input; None without the mode.
        slopes: those of the values of f, for `table`.
        entries: the structured derivative, if it was asked for and has a structure.
    """

    forward: Leaves | None
    reverse: Leaves | None
    slopes: list[Lines | Slope]
    entries: Entries | None


class Rays(NamedTuple):
    """Directions as a program takes them: one array `[d, *shape]` for each input, sizes, and dtypes."""

    moving: Leaves
    sizes: Any
    dtypes: Dtypes


def table(parts: Sequence[Lines | Slope], dtypes: Dtypes) -> np.ndarray:
    """The slopes of the values of f along all directions: value, error, jump, leaps, `[4, d, m]`."""
    found = []
    for part in jax.tree.map(np.asarray, list(parts)):
        slope = slopes_of(part) if isinstance(part, Lines) else part
        found.append(np.stack([each.astype(np.float64) for each in slope]))
    places = np.concatenate([np.zeros(0, int), *(here for _, here in _by_dtype(dtypes))])
    return np.concatenate(found, axis=1)[:, np.argsort(places)]


def _by_dtype(dtypes: Dtypes) -> list[tuple[Any, np.ndarray]]:
    """Each dtype, and which directions are of it."""
    kinds = dict.fromkeys(dtypes)
    return [(kind, np.flatnonzero([dtype == kind for dtype in dtypes])) for kind in kinds]


@dataclass
class Products:
    """The products of one function, each computed when it is asked for, step by step.

    Attributes:
        api: the public name for messages.
        call: from input arrays to output arrays.
        structured: the derivative of f as a `Jacobian`, from input arrays; raises where it has none.
        allowed: the modes that f has; those that JAX lacks but jaxcalc has are among them.
        draws: for each input array, whether f draws random numbers by it, as `jax.random.gamma` does.
        bits: of the shortest mantissa that f or its derivative computes with, inputs and outputs apart.
        numbers: how many there are in x and f(x), where f can be traced; otherwise 0.
        refused: the modes among those allowed that JAX refused all the same.
        failures: what failed of the structured derivative.
    """

    api: str
    call: Call
    structured: Structured | None = None
    allowed: Set[Direction] = frozenset({"forward", "reverse"})
    draws: Sequence[bool] = ()
    bits: int = MOST
    numbers: int = 0
    refused: set[Direction] = field(default_factory=set)
    failures: Failures = field(init=False)

    def __post_init__(self) -> None:
        self.failures = Failures(self.api)

    def value(self, leaves: Leaves) -> Leaves:
        """f(x)."""
        return self.call(leaves)

    def everything(self, leaves: Leaves, rays: Rays, weights: Leaves, *, structure: bool) -> Everything:
        """What a check looks at first; `structure` asks for the structured derivative."""
        forward, reverse = self.forward(leaves, rays.moving), self.reverse(leaves, weights)
        entries = self.entries(leaves) if structure else None
        return Everything(forward, reverse, self.slopes(leaves, rays), entries)

    def measured(self, leaves: Leaves, rays: Rays) -> tuple[Leaves | None, list[Lines | Slope]]:
        """J v for each direction, and the slopes of the values of f, for `table`."""
        return self.forward(leaves, rays.moving), self.slopes(leaves, rays)

    def entries(self, leaves: Leaves) -> Entries | None:
        """The structured derivative; None where it has none, and why is among the failures."""
        structured = self.structured
        found = None if structured is None else self.failures.prepare(lambda: structured(leaves), None)
        if found is None:
            return None
        return Entries(found.values, np.asarray(found.rows), np.asarray(found.cols), found.shape)

    def forward(self, leaves: Leaves, directions: Leaves) -> Leaves | None:
        """J v for each direction."""
        call = self.call if "forward" in self.allowed else self._with_forward_mode()

        def product(tangents: Leaves) -> Leaves:
            return list(jax.jvp(call, (leaves,), (tangents,))[1])

        try:
            return self._each(product, directions)
        except NoForwardModeError:
            return None
        except REFUSALS as error:
            self._refuse("forward", error)
            return None

    def reverse(self, leaves: Leaves, weights: Leaves) -> Leaves | None:
        """u J for each cotangent."""
        if "reverse" not in self.allowed:
            return None
        try:
            _, pull = jax.vjp(self.call, leaves)
            return self._each(lambda u: list(pull(u)[0]), weights)
        except REFUSALS as error:
            self._refuse("reverse", error)
            return None

    def slopes(self, leaves: Leaves, rays: Rays) -> list[Lines | Slope]:
        """The slopes of the values of f along the directions of each dtype, for `table`."""
        names = tuple(map(str, range(len(leaves))))
        samples = Samples(FlatMap(Chosen(self.api, self.call, leaves, names, False, len(leaves))))
        parts = []
        for dtype, here in _by_dtype(rays.dtypes):
            moving = [leaf[here] for leaf in rays.moving]
            parts.append(slopes(samples, moving, rays.sizes[here], dtype, bits=self.bits))
        return parts

    def _refuse(self, direction: Direction, error: Exception) -> None:
        """Note a mode that f turned out not to have; it has one of them, or the error is raised."""
        other: Direction = "reverse" if direction == "forward" else "forward"
        if isinstance(error, UNTRACEABLE) or other not in self.allowed or other in self.refused:
            raise error
        self.refused.add(direction)

    def _with_forward_mode(self) -> Call:
        """f with a forward mode for the `jax.custom_vjp` functions in it."""
        both_ways = with_forward_mode(
            lambda leaves: (self.call(list(leaves)), None),
            Context(self.api, False),
            has_reverse="reverse" in self.allowed,
        )
        return lambda leaves: list(both_ways(leaves)[0])

    def _each(self, product: Call, seeds: Leaves) -> Leaves:
        """A product for each seed; a function that cannot be traced takes them one by one."""
        count = len(seeds[0])
        if not self.numbers:
            rows = [product([seed[i] for seed in seeds]) for i in range(count)]
            return [jnp.stack(row) for row in zip(*rows, strict=True)]
        if count * self.numbers <= _AT_ONCE:
            with suppress(NotImplementedError):  # a primitive of f has no batching rule
                return list(jax.vmap(product)(seeds))
        return list(lax.map(product, seeds))


class Compiled:
    """The same, compiled; what a check looks at first is one program, of which this is made.

    Attributes:
        products: what is compiled.
        kept_as: by what it is found again; None where it is not kept.
    """

    def __init__(self, products: Products, kept_as: Hashable) -> None:
        self.products = products
        self.kept_as = kept_as
        self._pattern: Entries | None = None
        self._everything = jax.jit(self._trace, static_argnames=("dtypes", "structure"))
        self._measured = jax.jit(self._trace_measured, static_argnames="dtypes")
        self.value = jax.jit(products.value)
        self._forward = jax.jit(products.forward)
        self._reverse = jax.jit(products.reverse)

    def everything(self, leaves: Leaves, rays: Rays, weights: Leaves, *, structure: bool) -> Everything:
        """What a check looks at first; `structure` asks for the structured derivative."""
        found = self._everything(
            leaves, rays.moving, rays.sizes, weights, dtypes=rays.dtypes, structure=structure
        )
        if self._pattern is None or not structure:
            return found
        return found._replace(entries=self._pattern._replace(values=found.entries))

    def _trace(
        self,
        leaves: Leaves,
        moving: Leaves,
        sizes: Any,
        weights: Leaves,
        *,
        dtypes: Dtypes,
        structure: bool,
    ) -> Everything:
        found = self.products.everything(
            leaves, Rays(moving, sizes, dtypes), weights, structure=structure
        )
        if found.entries is None:
            return found
        self._pattern = found.entries._replace(values=None)
        _drop_if_large(self.kept_as, found.entries.rows.nbytes + found.entries.cols.nbytes)
        return found._replace(entries=found.entries.values)

    def measured(self, leaves: Leaves, rays: Rays) -> tuple[Leaves | None, list[Lines | Slope]]:
        """J v for each direction, and the slopes of the values of f, for `table`."""
        return self._measured(leaves, rays.moving, rays.sizes, dtypes=rays.dtypes)

    def _trace_measured(self, leaves: Leaves, moving: Leaves, sizes: Any, *, dtypes: Dtypes) -> Any:
        return self.products.measured(leaves, Rays(moving, sizes, dtypes))

    def forward(self, leaves: Leaves, directions: Leaves) -> Leaves | None:
        """J v for each direction; None where f has no forward mode."""
        return self._forward(leaves, directions)

    def reverse(self, leaves: Leaves, weights: Leaves) -> Leaves | None:
        """u J for each cotangent; None where f has no reverse mode."""
        return self._reverse(leaves, weights)

    def entries(self, leaves: Leaves) -> Entries | None:
        """The structured derivative; None where it has none."""
        return self.products.entries(leaves)


_kept: OrderedDict[Hashable, Compiled] = OrderedDict()
_lock = threading.Lock()


def _keep(compiled: Compiled) -> None:
    """Keep it for the next check of such a function."""
    with _lock:
        _kept[compiled.kept_as] = compiled
        while len(_kept) > heuristics().kept_checks:
            _kept.popitem(last=False)


def _known(key: Hashable) -> Compiled | None:
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
    return found


def _drop_if_large(key: Hashable, size: int) -> None:
    if size > heuristics().kept_check_bytes:
        with _lock:
            _kept.pop(key, None)


def products_of(
    api: str,
    function: Call,
    leaves: Leaves,
    structured: Callable[[Call], Structured] | None = None,
    kind: str = "",
) -> Products | Compiled:
    """The products of a function at x, with what can be found out by tracing.

    `structured` makes the structured derivative, which is `kind` in words, of a call.

    Cost: one trace of f, and one of its derivative in both modes.

    Raises:
        what f raises while it is traced, but for what says that it needs values.
    """
    try:
        closed = jax.make_jaxpr(function)(leaves)
    except PERHAPS_UNTRACEABLE:
        return Products(api, function, None if structured is None else structured(function))
    if not leaves or not closed.out_avals:
        return Products(api, function)
    run = jaxpr_as_fun(closed)
    call: Call = lambda leaves: list(run(*leaves))  # noqa: E731

    def renewed(known: Compiled) -> Compiled:
        """A kept one, with the arrays of this call: those of an earlier one may have changed since."""
        known.products.call = call
        known.products.structured = None if structured is None else structured(call)
        return known

    # what a program computes decides what its derivatives do, but for rules of its own
    key = None if calls_rules(closed.jaxpr) else _key(closed, kind)
    known = _known(key)
    if known is not None:
        return renewed(known)
    outputs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in closed.out_avals]
    try:
        derived = _derivatives(call, leaves, outputs)
    except jax.errors.UnexpectedTracerError:  # a rule reads what f computed: it cannot be taken out
        call = function
        derived = _derivatives(call, leaves, outputs)
    if calls_rules(closed.jaxpr):
        key = _key(derived, kind)
        known = _known(key)
        if known is not None:
            return renewed(known)
    both: set[Direction] = {"forward", "reverse"}
    failures = Failures(api)
    allowed = failures.prepare(lambda: directions_allowed(closed.jaxpr, closed.jaxpr.invars), both)
    failures.tell()
    products = Products(
        api,
        call,
        None if structured is None else structured(call),
        allowed,
        tuple(is_drawn(closed.jaxpr, i) for i in range(len(leaves))),
        mantissa_bits(derived.jaxpr, [True] * len(derived.jaxpr.invars)),
        sum(prod(jnp.shape(x)) for x in (*leaves, *outputs)),
    )
    compiled = Compiled(products, key)
    if (
        key is not None
        and sum(getattr(c, "nbytes", 0) for c in closed.consts) <= heuristics().kept_check_bytes
    ):
        _keep(compiled)
    return compiled


def _derivatives(call: Call, leaves: Leaves, outputs: Leaves) -> ClosedJaxpr:
    """f, its tangent and its cotangents in one program, as far as JAX has them."""

    def run(leaves: Leaves, tangents: Leaves, cotangents: Leaves) -> list[Any]:
        found = [call(leaves)]
        for derivative in (
            lambda: jax.jvp(call, (leaves,), (tangents,))[1],
            lambda: jax.vjp(call, leaves)[1](cotangents),
        ):
            try:
                found.append(derivative())
            except jax.errors.UnexpectedTracerError:
                raise
            except REFUSALS:  # it has no such mode, which is told where it is tried
                pass
        return found

    derived = jax.make_jaxpr(run)(leaves, leaves, outputs)
    if any(isinstance(c, jax.core.Tracer) for c in derived.consts):
        raise jax.errors.UnexpectedTracerError(f"{call} has a rule that reads what it computed")
    return derived


def _key(derived: ClosedJaxpr, kind: str) -> Hashable:
    try:
        return kind, signature(derived), revision()
    except IncomparableError:
        return None
