"""f as a map from real arrays to real arrays, and its derivative's products in both modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.call.arguments import is_inexact
from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.options import Direction
from jaxcalc.checking.backward_rules import not_linear
from jaxcalc.checking.programs import Compiled, Entries, Products, Rays, products_of, table
from jaxcalc.methods.failures import Failures
from jaxcalc.transforms import jacobian

Leaves = list[Any]
_FEWEST = 4  # directions that a program takes


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


class First(NamedTuple):
    """What is looked at first, as `RealMap.forward`, `reverse`, `measured` and `entries` give it."""

    forward: np.ndarray | None
    reverse: np.ndarray | None
    slopes: np.ndarray
    entries: Entries | None


@dataclass(frozen=True)
class RealMap:
    """A function of real arrays at one point x.

    Attributes:
        api: the public name for messages.
        leaves: x.
        inputs: one for each input array.
        outputs: one for each output array.
        products: what its derivatives are made of.
    """

    api: str
    leaves: Leaves
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    products: Products | Compiled

    @classmethod
    def of(cls, flat: FlatMap) -> tuple[RealMap, Any]:
        """Complex leaves become their two parts; outputs that have no derivative are left out.

        Beside it comes the output of f, as shapes.

        Cost: one trace of f, or one evaluation where it cannot be traced.
        """
        names = [(name, x) for name, x in flat.chosen.leaves() if is_inexact(x)]
        inputs, leaves = _parts(names)
        is_complex = [jnp.iscomplexobj(x) for _, x in names]
        seen: list[Any] = []

        def call(leaves: Leaves) -> Leaves:
            given = iter(leaves)
            whole = [lax.complex(next(given), next(given)) if c else next(given) for c in is_complex]
            values = [jnp.asarray(y) for y in flat(whole)[0]]
            seen[:] = [jax.ShapeDtypeStruct(y.shape, y.dtype) for y in values]
            return _parts([("", y) for y in values if is_inexact(y)])[1]

        products = products_of(flat.chosen.api, call, leaves, _jacobian, "Jacobian")
        if isinstance(products, Compiled):  # which takes no numbers of Python
            leaves = [jnp.asarray(x, x.dtype) for x in leaves]
        else:
            call(leaves)  # an error of f's own shows here
        output = flat.value(seen)
        paths = tree_flatten_with_path(output)[0]
        outputs = [
            place for path, y in paths if is_inexact(y) for place in _places("output" + keystr(path), y)
        ]
        return cls(flat.chosen.api, leaves, tuple(inputs), tuple(outputs), products), output

    @property
    def call(self) -> Callable[[Leaves], Leaves]:
        """From input arrays to output arrays."""
        return self._plain.call

    @property
    def allowed(self) -> Set[Direction]:
        """The modes that f has; those that JAX lacks but jaxcalc has are among them."""
        return self._plain.allowed

    @property
    def is_traceable(self) -> bool:
        """Whether f can be traced."""
        return isinstance(self.products, Compiled)

    @property
    def bits(self) -> int:
        """Of the shortest mantissa that f or its derivative computes with, inputs and outputs apart."""
        return self._plain.bits

    @property
    def _plain(self) -> Products:
        return self.products.products if isinstance(self.products, Compiled) else self.products

    def value(self) -> np.ndarray:
        """f(x), in float64."""
        return flattened([jnp.expand_dims(y, 0) for y in self.products.value(self.leaves)], 1)[0]

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

        return self._with_outputs(call, "a sum of outputs", count)

    def selected(self, numbers: np.ndarray) -> RealMap:
        """f with some of its output elements alone."""
        return self._with_outputs(
            lambda leaves: [_joined(self.call(leaves))[numbers]], "outputs", len(numbers)
        )

    def _with_outputs(self, call: Callable[[Leaves], Leaves], name: str, count: int) -> RealMap:
        wide = _wide([place.dtype for place in self.outputs])
        products = products_of(self.api, call, self.leaves)
        return replace(self, outputs=(Place(name, "", (count,), wide),), products=products)

    def moved_to(self, leaves: Leaves) -> RealMap:
        """The same function at another point."""
        return replace(self, leaves=leaves)

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

    @property
    def draws(self) -> Sequence[bool]:
        """For each input array, whether f draws random numbers by it, as `jax.random.gamma` does."""
        return self._plain.draws or [False] * len(self.inputs)

    def first(self, directions: Any, cotangents: np.ndarray, *, structure: bool) -> First:
        """What is looked at first, by one program; `structure` asks for the structured derivative.

        `directions` are as for `measured`.

        Cost: that of `forward`, `reverse`, `measured`, and of the structured derivative.
        """
        weights = _seeds(cotangents, self.outputs)
        rays = Rays(_seeds(directions.rows, self.inputs), directions.sizes, directions.dtypes)
        found = self.products.everything(self.leaves, rays, weights, structure=structure)
        slopes = table(found.slopes, directions.dtypes)
        forward, reverse = (
            None if part is None else flattened(part, count)
            for part, count in ((found.forward, len(directions)), (found.reverse, len(cotangents)))
        )
        return First(forward, reverse, slopes, found.entries)

    def forward(self, directions: np.ndarray) -> np.ndarray | None:
        """J v for each of `[d, n]` directions, `[d, m]` in float64; None without a forward mode.

        Cost: one Jacobian-vector product, about 2 evaluations of f, for each direction.
        """
        rows = _whole_program(directions)
        found = self.products.forward(self.leaves, _seeds(rows, self.inputs))
        return None if found is None else flattened(found, len(rows))[: len(directions)]

    def reverse(self, cotangents: np.ndarray) -> np.ndarray | None:
        """u J for each of `[k, m]` cotangents, `[k, n]` in float64; None without a reverse mode.

        Cost: one vector-Jacobian product, about 3 evaluations of f, for each cotangent.
        """
        rows = _whole_program(cotangents)
        found = self.products.reverse(self.leaves, _seeds(rows, self.outputs))
        return None if found is None else flattened(found, len(rows))[: len(cotangents)]

    def measured(self, directions: Any) -> tuple[np.ndarray | None, np.ndarray]:
        """J v as by `forward`, and the slopes of f's values: value, error, jump, leaps, `[4, d, m]`.

        `directions` are `checking.directions.Directions`.

        Cost: for each direction what `numerical.gradient` takes for an input element, and one product.
        """
        rows, count = _whole_program(directions.rows), len(directions)
        sizes = _whole_program(directions.sizes)
        dtypes = directions.dtypes + directions.dtypes[-1:] * (len(sizes) - count)
        rays = Rays(_seeds(rows, self.inputs), sizes, dtypes)
        forward, slopes = self.products.measured(self.leaves, rays)
        found = table(slopes, dtypes)[:, :count]
        return None if forward is None else flattened(forward, len(rows))[:count], found

    def entries(self) -> Entries | None:
        """The structured derivative; None where it has none, for the reason in `failures`."""
        return self.products.entries(self.leaves)

    @property
    def failures(self) -> Failures:
        """What failed of the structured derivative."""
        return self._plain.failures

    def rules_not_linear(self) -> list[str]:
        """The `jax.custom_vjp` rules in f that are not linear in the cotangent, with the reasons."""
        if not self.is_traceable:
            return []
        return not_linear(jax.make_jaxpr(self.call)(self.leaves).jaxpr)


def _jacobian(call: Callable[[Leaves], Leaves]) -> Callable[[Leaves], Any]:
    return jacobian(call, format="structured")


def _whole_program(rows: np.ndarray) -> np.ndarray:
    """As many rows as a program is made for: the last one comes again after the others."""
    count = len(rows)
    size = max(_FEWEST, 1 << (count - 1).bit_length()) if count else 0
    return rows[np.minimum(np.arange(size), count - 1)]


def _parts(named: Sequence[tuple[str, Any]]) -> tuple[list[Place], Leaves]:
    places, leaves = [], []
    for name, leaf in named:
        x = jnp.asarray(leaf)
        places += _places(name, x)
        leaves += [jnp.real(x), jnp.imag(x)] if jnp.iscomplexobj(x) else [x]
    return places, leaves


def _places(name: str, x: Any) -> list[Place]:
    is_complex = jnp.issubdtype(x.dtype, jnp.complexfloating)
    parts = ("real part", "imaginary part") if is_complex else ("",)
    return [Place(name, part, tuple(x.shape), jnp.finfo(x.dtype).dtype) for part in parts]


def _joined(leaves: Leaves) -> Any:
    """All elements of arrays as one vector, in the widest of their dtypes, float32 at least."""
    wide = _wide([leaf.dtype for leaf in leaves])
    return jnp.concatenate([leaf.reshape(-1).astype(wide) for leaf in leaves])


def _wide(dtypes: Sequence[Any]) -> np.dtype:
    return max([np.dtype(np.float32), *map(np.dtype, dtypes)], key=lambda d: d.itemsize)


def flattened(leaves: Leaves, count: int) -> np.ndarray:
    """Arrays `[count, *shape]` side by side, `[count, n]` in float64."""
    pieces = [
        np.asarray(leaf).astype(np.float64).reshape(count, prod(leaf.shape[1:])) for leaf in leaves
    ]
    return np.concatenate([np.zeros((count, 0)), *pieces], axis=1)


def unflattened(rows: np.ndarray, places: Sequence[Place]) -> Leaves:
    """`[count, n]` as one array `[count, *shape]` for each place, in its dtype."""
    return [jnp.asarray(seed) for seed in _seeds(rows, places)]


def _seeds(rows: np.ndarray, places: Sequence[Place]) -> list[np.ndarray]:
    cuts = np.cumsum([place.size for place in places])[:-1]
    pieces = np.split(rows, cuts, axis=1) if places else []
    return [
        piece.reshape(len(rows), *place.shape).astype(place.dtype)
        for piece, place in zip(pieces, places, strict=True)
    ]


def element_name(places: Sequence[Place], number: int) -> str:
    """What to call an element, by its number among all those of these places."""
    for place in places:
        if number < place.size:
            return place.element(number)
        number -= place.size
    raise IndexError(number)
