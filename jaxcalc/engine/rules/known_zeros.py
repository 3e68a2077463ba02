"""Products with a matrix that is known and mostly zero: only its nonzeros are read.

A finite difference written as a dense band matrix, a diagonal or a permutation is such a matrix. As
a sum over all of its columns it would make as many lanes as it has columns, nearly all of them empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxcalc.engine.rules.dimension_numbers import Contraction
from jaxcalc.engine.rules.elementwise import scaled
from jaxcalc.engine.rules.indexing import taken
from jaxcalc.engine.rules.operands import static_value
from jaxcalc.engine.tangents.contract import sum_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape
from jaxcalc.engine.tangents.manipulation import transpose


def few_nonzeros(o: Any, how: Contraction) -> np.ndarray | None:
    """Where the nonzeros of a known array are, along its contracted axes taken together.

    Returns:
        `[m, *batch, *free]`, -1 for none, m the most that any sum has; None where the array is not
        known, or m is more than half of all terms.

    Example: for [[a, 0, 0], [b, c, 0]] contracted along its second axis, [[0, 0], [-1, 1]].
    """
    known = static_value(o)
    if known is None or known.all():
        return None
    mask = (known != 0).transpose([*how.contracted[1], *how.batch[1], *how.free[1]])
    rest = mask.shape[len(how.contracted[1]) :]
    mask = mask.reshape((-1, *rest))
    most = int(mask.sum(axis=0).max(initial=0))
    if 2 * most > mask.shape[0]:
        return None
    places = np.argsort(~mask, axis=0, kind="stable")[:most]
    return np.where(np.take_along_axis(mask, places, axis=0), places, -1)


def product_of_nonzeros(t: Lanes, o: Any, how: Contraction, places: np.ndarray, result: Lanes) -> Lanes:
    """The sum over the nonzeros of o only, each of which picks one element of t."""
    nb, nt = len(how.batch[0]), len(how.free[0])
    kept = [t.shape[a] for a in (*how.batch[0], *how.free[0])]
    wide = places.reshape((*places.shape[: 1 + nb], *[1] * nt, *places.shape[1 + nb :]))
    shape = (len(places), *kept, *places.shape[1 + nb :])
    copies = taken(t, _sources(t, how, wide, shape))
    order = [*how.contracted[1], *how.batch[1], *how.free[1]]
    weights = np.asarray(o).transpose(order).reshape((-1, *places.shape[1:]))
    weights = np.take_along_axis(weights, np.maximum(places, 0), axis=0).reshape(wide.shape)
    weights = np.broadcast_to(np.where(wide >= 0, weights, np.ones((), weights.dtype)), shape)
    copies = copies.map_data(lambda data: data.astype(result.dtype), result.dtype)
    total = sum_along(scaled(copies, weights), [0])
    axes = list(range(len(total.shape)))
    order = how.result_axes(axes[:nb], axes[nb : nb + nt], axes[nb + nt :])
    groups = [Group(transpose(g.data, order), transpose(g.index, order)) for g in total.groups]
    return result.with_groups(groups)


def _sources(t: Lanes, how: Contraction, wide: np.ndarray, shape: Shape) -> np.ndarray:
    """For each nonzero of each sum, the flat element of t that it picks; -1 for none."""
    # in one line: see `taken`
    sizes = [t.shape[a] for a in how.contracted[0]]
    lines = np.unravel_index(np.maximum(wide, 0).reshape(-1), sizes)
    axes = dict(zip(how.contracted[0], (line.reshape(wide.shape) for line in lines), strict=True))
    for i, a in enumerate((*how.batch[0], *how.free[0])):
        axes[a] = np.arange(t.shape[a]).reshape([-1 if b == 1 + i else 1 for b in range(len(shape))])
    sources = np.zeros(shape, np.int64)
    for a, n in enumerate(t.shape):
        sources = sources * n + axes[a]
    return np.where(wide >= 0, sources, -1)
