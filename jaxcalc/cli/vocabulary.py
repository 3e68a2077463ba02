"""The names that an expression on the command line may use, and nothing else."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}


class Function(NamedTuple):
    """A function that an expression can call.

    Attributes:
        call: the JAX function.
        fewest: how many arguments it needs.
        most: how many it takes.
        axis: whether it takes `axis=`.
    """

    call: Callable[..., Any]
    fewest: int = 1
    most: int = 1
    axis: bool = False


_ELEMENTWISE = """
    sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh exp exp2 expm1 log log2
    log10 log1p sqrt cbrt square abs sign sinc floor ceil
"""
_REDUCTIONS = "sum prod mean var std min max cumsum cumprod sort"
_ALIASES = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "atan2": "arctan2",
    "ln": "log",
}

FUNCTIONS: dict[str, Function] = {
    **{name: Function(getattr(jnp, name)) for name in _ELEMENTWISE.split()},
    **{name: Function(getattr(jnp, name), axis=True) for name in _REDUCTIONS.split()},
    "norm": Function(jnp.linalg.norm, axis=True),
    "softmax": Function(jax.nn.softmax, axis=True),
    "logsumexp": Function(jax.nn.logsumexp, axis=True),
    "sigmoid": Function(jax.nn.sigmoid),
    "softplus": Function(jax.nn.softplus),
    "relu": Function(jax.nn.relu),
    "erf": Function(jax.scipy.special.erf),
    "arctan2": Function(jnp.arctan2, 2, 2),
    "maximum": Function(jnp.maximum, 2, 2),
    "minimum": Function(jnp.minimum, 2, 2),
    "hypot": Function(jnp.hypot, 2, 2),
    "where": Function(jnp.where, 3, 3),
    "clip": Function(jnp.clip, 3, 3),
    "dot": Function(jnp.dot, 2, 2),
    "outer": Function(jnp.outer, 2, 2),
    "cross": Function(jnp.cross, 2, 2),
    "roll": Function(jnp.roll, 2, 2),
    "diff": Function(jnp.diff, axis=True),
    "transpose": Function(jnp.transpose),
    "trace": Function(jnp.trace),
    "det": Function(jnp.linalg.det),
    "inv": Function(jnp.linalg.inv),
    "solve": Function(jnp.linalg.solve, 2, 2),
}
FUNCTIONS.update({alias: FUNCTIONS[name] for alias, name in _ALIASES.items()})

# a module before a function, which needs none here: jnp.sin(x)
MODULES = frozenset({"jnp", "np", "numpy", "math", "jax"})

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "Mod": operator.mod,
    "FloorDiv": operator.floordiv,
    "Pow": operator.pow,
    "MatMult": operator.matmul,
}
UNARY: dict[str, Callable[[Any], Any]] = {"UAdd": operator.pos, "USub": operator.neg}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Eq": operator.eq,
    "NotEq": operator.ne,
}
