"""Whether a function is holomorphic: the Cauchy-Riemann equations, J (i v) = i J v."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jaxcalc.call.flatten import FlatMap
from jaxcalc.checking.directions import signs
from jaxcalc.checking.examination import Examination
from jaxcalc.checking.narrowing import Entry
from jaxcalc.checking.products import Pairs
from jaxcalc.checking.reals import Place

_RANDOM = 2
_FEW = 32


def cauchy_riemann(examination: Examination, flat: FlatMap, rng: np.random.Generator) -> None:
    """Note whether the derivative along i v is i times that along v, for random v or each element.

    Cost: 4 Jacobian-vector products; two for each input element, where there are up to 32.
    """
    f = examination.f
    size = sum(jnp.size(leaf) for leaf in flat.leaves)
    rows = np.eye(size) if size <= _FEW else signs(rng, _RANDOM, size)
    forward = f.forward(np.concatenate([_as(rows, f.inputs, 0), _as(rows, f.inputs, 1)]))
    if forward is None or not forward.size:
        return
    one, by_i = np.split(forward, 2)
    # i (p + i q) = -q + i p
    times_i = _parts(one, f.outputs)
    pairs = Pairs(by_i, times_i, examination.tolerance * (np.abs(by_i) + np.max(np.abs(one))))
    examination.compared("Cauchy-Riemann equations", pairs)
    if (pairs.times > 1).any():
        d, i = np.unravel_index(pairs.worst_place, pairs.one.shape)
        j = int(np.flatnonzero(_as(rows, f.inputs, 1)[d])[0]) if size <= _FEW else -1
        words = "along i times a real step, and i times the derivative along the real step is"
        examination.verdicts.pairs("not holomorphic", pairs.worst(), [Entry(int(i), j)], words)


def _as(rows: np.ndarray, places: tuple[Place, ...], part: int) -> np.ndarray:
    """Real numbers as the real or as the imaginary parts of complex ones, which lie side by side."""
    pieces = []
    start = 0
    for real in places[::2]:
        piece = rows[:, start : start + real.size]
        zeros = np.zeros_like(piece)
        pieces += [zeros, piece] if part else [piece, zeros]
        start += real.size
    return np.concatenate(pieces, axis=1)


def _parts(rows: np.ndarray, places: tuple[Place, ...]) -> np.ndarray:
    """Complex numbers by their parts, times i."""
    pieces = []
    start = 0
    for real in places[::2]:
        p = rows[:, start : start + real.size]
        q = rows[:, start + real.size : start + 2 * real.size]
        pieces += [-q, p]
        start += 2 * real.size
    return np.concatenate(pieces, axis=1)
