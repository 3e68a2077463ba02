"""The second derivative as the first derivative of a gradient, and its symmetry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.comparison import rounding
from jaxcalc.checking.directions import random_directions, scaled, signs
from jaxcalc.checking.examination import Examination
from jaxcalc.checking.narrowing import Entry
from jaxcalc.checking.products import Pairs
from jaxcalc.checking.programs import products_of
from jaxcalc.checking.reals import Leaves, RealMap, unflattened
from jaxcalc.transforms import hessian

_FEW = 64  # inputs of a gradient that is made in forward mode


def gradient_map(f: RealMap, rng: np.random.Generator) -> RealMap | None:
    """The gradient of f as a map, or of a random sum of its outputs.

    None where f has no reverse mode and its gradient would take too many products.
    """
    weights = signs(rng, 1, f.output_size) if f.output_size > 1 else np.ones((1, f.output_size))
    factors = [weight[0] for weight in unflattened(weights, f.outputs)]

    def total(leaves: Leaves) -> Any:
        terms = [jnp.sum(y * w) for y, w in zip(f.call(leaves), factors, strict=True)]
        wide = jnp.result_type(*{jnp.finfo(t.dtype).dtype for t in terms}) if terms else jnp.float32
        return sum((term.astype(wide) for term in terms), jnp.zeros((), wide))

    if "reverse" in f.allowed and (f.is_traceable or f.reverse(weights) is not None):
        gradient = jax.grad(total)
    elif f.size <= _FEW:
        gradient = jax.jacfwd(total)
    else:
        return None

    def call(leaves: Leaves) -> Leaves:
        return [g.astype(x.dtype) for g, x in zip(gradient(leaves), leaves, strict=True)]

    outputs = tuple(replace(p, name=f"gradient with respect to {p.name}") for p in f.inputs)
    whole = hessian(total, format="structured")
    products = products_of(f.api, call, f.leaves, lambda _: whole, "Hessian")
    return replace(f, outputs=outputs, products=products)


def symmetry(examination: Examination, rng: np.random.Generator) -> None:
    """Note whether v (H w) = w (H v), for random directions, or for all unit vectors of few inputs."""
    g = examination.f
    if not g.size:
        return
    few = examination.is_small
    directions = scaled(g, np.eye(g.size)) if few else random_directions(g, rng, 2)
    products = g.forward(directions.rows)
    if products is None:
        return
    table = directions.rows @ products.T
    with np.errstate(invalid="ignore"):
        scale = np.abs(directions.rows) @ np.abs(products).T
    lost = rounding(g, products).T * np.sum(np.abs(directions.rows), axis=1)[:, None]
    allowed = examination.tolerance * (scale + scale.T) + lost + lost.T
    pairs = Pairs(table, table.T, allowed)
    examination.compared("symmetry", pairs)
    if (pairs.times > 1).any():
        i, j = np.unravel_index(pairs.worst_place, table.shape)
        place = Entry(int(i), int(j)) if few else Entry(-1, -1)
        examination.verdicts.pairs("not symmetric", pairs.worst(), [place], "and its mirror image is")
