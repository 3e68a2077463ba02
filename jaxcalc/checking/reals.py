"""f as a map from real arrays to real arrays, and its derivative's products in both modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.arguments import dtype_of, is_inexact
from jaxcalc.checking.backward_rules import not_linear
from jaxcalc.checking.digits import MOST, mantissa_bits
from jaxcalc.checking.samplers import is_drawn
from jaxcalc.concrete import PERHAPS_UNTRACEABLE, UNTRACEABLE
from jaxcalc.engine.directions import REFUSALS, Direction, directions_allowed
from jaxcalc.engine.failures import Failures
from jaxcalc.engine.one_way import NoForwardModeError, with_forward_mode
from jaxcalc.engine.registry import Context
from jaxcalc.flat import FlatMap
from jaxcalc.transforms.options import trace

Leaves = list[Any]
_AT_ONCE = 2**21  # numbers: products of larger functions are made one after another


@dataclass(frozen=True)
class Place:
    """A real array among the inputs or outputs: a leaf, or one part of a complex one.

    Attributes:
        name: what to call it, such as `x['w']`.
        part: `""`, `"real part"` or `"imaginary part"`.
        shape: its shape.
        dtype: its dtype, a real one.
    """

    name: str
    part: str
    shape: tuple[int, ...]
    dtype: Any

    @property
    def size(self) -> int:
        """The number of its elements."""
        return prod(self.shape)

    def element(self, number: int) -> str:
        """What to call an element, by its number in row-major order."""
        where = ",".join(map(str, np.unravel_index(number, self.shape))) if self.shape else ""
        name = self.name + (f"[{where}]" if where else "")
        return f"{name} ({self.part})" if self.part else name


@dataclass
class RealMap:
    """A function of real arrays at one point x.

    Attributes:
        api: the public name for messages.
        call: from input arrays to output arrays.
        leaves: x.
        inputs: one for each input array.
        outputs: one for each output array.
        center: f(x).
        allowed: the modes that f has; those that JAX lacks but jaxcalc has are among them.
        is_traceable: whether f can be traced.
        bits: of the shortest mantissa that f or its derivative computes with, inputs and outputs apart.
        draws: for each input array, whether f draws random numbers by it, as `jax.random.gamma` does.
        refused: the modes among those allowed that JAX refused all the same.
    """

    api: str
    call: Callable[[Leaves], Leaves]
    leaves: Leaves
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    center: Leaves
    allowed: set[Direction]
    is_traceable: bool
    bits: int = MOST
    draws: tuple[bool, ...] = ()
    refused: set[Direction] = field(default_factory=set)

    @classmethod
    def of(cls, flat: FlatMap) -> RealMap:
        """Complex leaves become their two parts; outputs that have no derivative are left out.

        Cost: one evaluation and one trace of f.
        """
        names = [(name, x) for name, x in flat.chosen.leaves() if is_inexact(x)]
        inputs, leaves = _parts(names)
        is_complex = [jnp.iscomplexobj(x) for _, x in names]

        def outputs_of(leaves: Leaves) -> Leaves:
            given = iter(leaves)
            whole = [lax.complex(next(given), next(given)) if c else next(given) for c in is_complex]
            return [jnp.asarray(y) for y in flat(whole)[0] if is_inexact(y)]

        def call(leaves: Leaves) -> Leaves:
            return _parts([("", y) for y in outputs_of(leaves)])[1]

        values, _ = flat(flat.leaves)  # an error of f's own shows here
        output = flat.value([jnp.asarray(y) for y in values])
        paths = tree_flatten_with_path(output)[0]
        outputs, center = _parts([("output" + keystr(p), y) for p, y in paths if is_inexact(y)])
        return cls.at(flat.chosen.api, call, leaves, inputs, outputs, center)

    @classmethod
    def at(
        cls,
        api: str,
        call: Callable[[Leaves], Leaves],
        leaves: Leaves,
        inputs: Sequence[Place],
        outputs: Sequence[Place],
        center: Leaves,
    ) -> RealMap:
        """With what can be found out by tracing."""
        allowed: set[Direction] = {"forward", "reverse"}
        program = None
        failures = Failures(api)
        with suppress(*PERHAPS_UNTRACEABLE):
            program, _ = trace(lambda x: call(list(x)), leaves)
        is_traceable = program is not None
        bits, draws = MOST, [False] * len(leaves)
        if program is not None:
            allowed = failures.prepare(lambda: directions_allowed(program, program.invars), allowed)
            failures.tell()
            bits = _bits_inside(call, leaves, allowed)
            draws = [is_drawn(program, i) for i in range(len(leaves))]
            call = jax.jit(call)  # one program, rather than one for each operation
        places = tuple(inputs), tuple(outputs)
        return cls(api, call, leaves, *places, center, set(allowed), is_traceable, bits, tuple(draws))

    @property
    def epsilon(self) -> float:
        """The spacing of floats near 1 in the coarsest dtype of inputs, outputs and what is between."""
        dtypes = {place.dtype for place in (*self.inputs, *self.outputs)}
        return max(map(self.spacing, dtypes), default=0.0)

    def spacing(self, dtype: Any) -> float:
        """The spacing of floats near 1 in a dtype of inputs, or in what f makes of it."""
        return max(2.0**-self.bits, float(jnp.finfo(dtype).eps))

    def compressed(self, count: int, signs: np.ndarray) -> RealMap:
        """f with `count` sums in the place of its outputs: output i, with its sign, in i % count."""
        rows = -(-self.output_size // count)
        weights = np.zeros(rows * count)
        weights[: self.output_size] = signs

        def call(leaves: Leaves) -> Leaves:
            values = _joined(self.call(leaves))
            padded = jnp.pad(values, (0, rows * count - values.size))
            return [jnp.sum((padded * weights.astype(values.dtype)).reshape(rows, count), axis=0)]

        return self._with_outputs(call, "a sum of outputs")

    def selected(self, numbers: np.ndarray) -> RealMap:
        """f with some of its output elements alone."""
        return self._with_outputs(lambda leaves: [_joined(self.call(leaves))[numbers]], "outputs")

    def _with_outputs(self, call: Callable[[Leaves], Leaves], name: str) -> RealMap:
        center = call(self.leaves)
        places = (Place(name, "", jnp.shape(center[0]), center[0].dtype),)
        return RealMap(
            self.api,
            call,
            self.leaves,
            self.inputs,
            places,
            center,
            self.allowed,
            self.is_traceable,
            self.bits,
            self.draws,
        )

    def moved_to(self, leaves: Leaves) -> RealMap:
        """The same function at another point."""
        return RealMap(
            self.api,
            self.call,
            leaves,
            self.inputs,
            self.outputs,
            self.call(leaves),
            self.allowed,
            self.is_traceable,
            self.bits,
            self.draws,
        )

    @property
    def draws_by_element(self) -> np.ndarray:
        """`draws` for each input element, `[n]`."""
        return np.repeat(np.array(self.draws, bool), [place.size for place in self.inputs])

    @property
    def size(self) -> int:
        """The number of input elements."""
        return sum(place.size for place in self.inputs)

    @property
    def output_size(self) -> int:
        """The number of output elements."""
        return sum(place.size for place in self.outputs)

    def forward(self, directions: np.ndarray) -> np.ndarray | None:
        """J v for each of `[d, n]` directions, `[d, m]` in float64; None without a forward mode.

        Cost: one Jacobian-vector product, about 2 evaluations of f, for each direction.
        """
        call = self.call if "forward" in self.allowed else self._with_forward_mode()

        def product(tangents: Leaves) -> Leaves:
            return list(jax.jvp(call, (self.leaves,), (tangents,))[1])

        tangents = unflattened(directions, self.inputs)
        try:
            return flattened(self._each(product, tangents, len(directions)), len(directions))
        except NoForwardModeError:
            return None
        except REFUSALS as error:
            self._refuse("forward", error)
            return None

    def reverse(self, cotangents: np.ndarray) -> np.ndarray | None:
        """u J for each of `[k, m]` cotangents, `[k, n]` in float64; None without a reverse mode.

        Cost: one vector-Jacobian product, about 3 evaluations of f, for each cotangent.
        """
        if "reverse" not in self.allowed:
            return None
        weights = unflattened(cotangents, self.outputs)
        try:
            _, pull = jax.vjp(self.call, self.leaves)
            products = self._each(lambda u: list(pull(u)[0]), weights, len(cotangents))
        except REFUSALS as error:
            self._refuse("reverse", error)
            return None
        return flattened(products, len(cotangents))

    def rules_not_linear(self) -> list[str]:
        """The `jax.custom_vjp` rules in f that are not linear in the cotangent, with the reasons."""
        if not self.is_traceable:
            return []
        return not_linear(jax.make_jaxpr(self.call)(self.leaves).jaxpr)

    def _refuse(self, direction: Direction, error: Exception) -> None:
        """Note a mode that f turned out not to have; it has one of them, or the error is raised."""
        other: Direction = "reverse" if direction == "forward" else "forward"
        if isinstance(error, UNTRACEABLE) or other not in self.allowed or other in self.refused:
            raise error
        self.refused.add(direction)

    def _with_forward_mode(self) -> Callable[[Leaves], Leaves]:
        """f with a forward mode for the `jax.custom_vjp` functions in it."""
        both_ways = with_forward_mode(
            lambda leaves: (self.call(list(leaves)), None),
            Context(self.api, False),
            has_reverse="reverse" in self.allowed,
        )
        return lambda leaves: list(both_ways(leaves)[0])

    def _each(self, product: Callable[[Leaves], Leaves], seeds: Leaves, count: int) -> Leaves:
        if self.is_traceable:
            if count * (self.size + self.output_size) > _AT_ONCE:
                return list(lax.map(product, seeds))
            try:
                return list(jax.vmap(product)(seeds))
            except NotImplementedError:  # a primitive of f has no batching rule
                pass
        rows = [product([seed[i] for seed in seeds]) for i in range(count)]
        return [jnp.stack(row) for row in zip(*rows, strict=True)]


def _bits_inside(call: Callable[[Leaves], Leaves], leaves: Leaves, allowed: set[Direction]) -> int:
    """The bits of the shortest mantissa that f and its derivative compute with."""

    def backward(leaves: Leaves, cotangents: Leaves) -> Any:
        outputs, pull = jax.vjp(call, leaves)
        return outputs, pull(cotangents)

    seeds = jax.eval_shape(call, leaves) if "reverse" in allowed else leaves
    run = backward if "reverse" in allowed else lambda x, t: jax.jvp(call, (x,), (t,))
    try:
        program = jax.make_jaxpr(run)(leaves, seeds).jaxpr
    except REFUSALS:  # it has no such mode after all, which is told where it is tried
        program = jax.make_jaxpr(call)(leaves).jaxpr
    return mantissa_bits(program, [True] * len(program.invars))


def _parts(named: Sequence[tuple[str, Any]]) -> tuple[list[Place], Leaves]:
    places, leaves = [], []
    for name, leaf in named:
        x = jnp.asarray(leaf)
        parts = {"": x}
        if jnp.iscomplexobj(x):
            parts = {"real part": jnp.real(x), "imaginary part": jnp.imag(x)}
        for part, real in parts.items():
            places.append(Place(name, part, jnp.shape(real), dtype_of(real)))
            leaves.append(real)
    return places, leaves


def _joined(leaves: Leaves) -> Any:
    """All elements of arrays as one vector, in the widest of their dtypes, float32 at least."""
    wide = max((np.dtype(leaf.dtype) for leaf in leaves), key=lambda d: d.itemsize)
    wide = max(wide, np.dtype(np.float32), key=lambda d: d.itemsize)
    return jnp.concatenate([leaf.reshape(-1).astype(wide) for leaf in leaves])


def flattened(leaves: Leaves, count: int) -> np.ndarray:
    """Arrays `[count, *shape]` side by side, `[count, n]` in float64."""
    pieces = [
        np.asarray(leaf).astype(np.float64).reshape(count, prod(leaf.shape[1:])) for leaf in leaves
    ]
    return np.concatenate([np.zeros((count, 0)), *pieces], axis=1)


def unflattened(rows: np.ndarray, places: Sequence[Place]) -> Leaves:
    """`[count, n]` as one array `[count, *shape]` for each place, in its dtype."""
    cuts = np.cumsum([place.size for place in places])[:-1]
    pieces = np.split(rows, cuts, axis=1) if places else []
    return [
        jnp.asarray(piece.reshape(len(rows), *place.shape).astype(place.dtype))
        for piece, place in zip(pieces, places, strict=True)
    ]


def element_name(places: Sequence[Place], number: int) -> str:
    """What to call an element, by its number among all those of these places."""
    for place in places:
        if number < place.size:
            return place.element(number)
        number -= place.size
    raise IndexError(number)
