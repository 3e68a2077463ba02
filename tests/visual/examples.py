"""A picture of each kind, as small as it shows what it is about."""

from functools import cache

import jax.numpy as jnp
import numpy as np

import jaxcalc
from jaxcalc import descent, visual
from jaxcalc.planning.explanation import Explanation
from jaxcalc.planning.findings import Line, Method, Part
from jaxcalc.results.pattern import SparsityPattern


def cubic(x):
    return 2 * x**3 + 5


def surface(x, z):
    return 4 * x**4 * z**3


def half_plane(x, z):
    """Not finite where x is negative."""
    return jnp.sqrt(x) * z


def bowl(p):
    return (p["a"] - 3) ** 2 + 4 * (p["b"] + 1) ** 2


@cache
def path(rate, steps=12):
    found = [{"a": 0.0, "b": 0.0}]
    for _ in range(steps):
        found.append(descent.update(found[-1], jaxcalc.gradient(bowl)(found[-1]), rate))
    return found


@cache
def minimum(rate, steps=30):
    return descent.minimize(bowl, {"a": 0.0, "b": 0.0}, optimizer=rate, steps=steps)


def banded(n, lower, upper, m=None):
    i, j = np.indices((m or n, n))
    return of_mask((j - i >= -lower) & (j - i <= upper))


def of_mask(mask):
    return SparsityPattern.from_entries(*np.nonzero(mask), np.shape(mask))


def blocks(count, height, width):
    return of_mask(np.kron(np.eye(count), np.ones((height, width))))


def arrow(n, width=1):
    full = np.arange(n) >= n - width
    return of_mask(np.eye(n, dtype=bool) | full[:, None] | full)


def layer(w, x):
    return {"hidden": jnp.tanh(w @ x), "norm": jnp.sum(x)}


def explanation(count=3, **changes):
    """Made by hand: what the planner says may change, and the picture of it should not."""
    known = {
        "term": "Jacobian",
        "map": "float32[100] -> float32[98]",
        "format": "structured",
        "pattern": banded(100, 0, 2, m=98),
        "methods": [
            Method("structured, forward", 3, 900.0, 16_000, is_chosen=True),
            Method("dense, forward", 100, 1.6e6, 1_200_000, note="for format='dense'"),
            Method("dense, reverse", None, None, None, note="no reverse mode", is_possible=False),
        ],
        "lines": [
            Line(f"model.py:{i + 2}", ("slice", "mul"), i + 1, 100 * (i + 1), 1.0 + i)
            for i in range(count)
        ],
        "lines_of": "structured, forward",
    }
    return Explanation(**{**known, **changes})


WAYS_BY_PARTS = [Method("dense, product of parts", 4, 5e3, 3_000, is_chosen=True)]
PARTS = (Part("model.py:4", 64, 2, "reverse"), Part("model.py:9", 2, 64, "forward"))

# by the name of the function: what is drawn
CALLS = {
    "secants": lambda **ax: visual.secants(cubic, 2.0, **ax),
    "difference_error": lambda **ax: visual.difference_error(cubic, 2.0, **ax),
    "partial_slices": lambda **ax: visual.partial_slices(surface, (1.0, 2.0), width=0.5, **ax),
    "gradient_field": lambda **ax: visual.gradient_field(half_plane, (-1, 2), (-1, 1), arrows=7, **ax),
    "descent_path": lambda **ax: visual.descent_path(
        bowl, {r: path(r) for r in (0.02, 0.1, 0.26)}, **ax
    ),
    "loss_history": lambda **ax: visual.loss_history(
        {"slow": minimum(0.02), "wild": minimum(0.3)}, **ax
    ),
    "spy": lambda **ax: visual.spy(banded(12, 2, 1), **ax),
    "plan_graph": lambda **ax: visual.plan_graph(explanation(), **ax),
    "shapes": lambda **ax: visual.shapes(layer, jnp.ones((2, 3)), jnp.ones(3), **ax),
}
