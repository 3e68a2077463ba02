"""Each transformation against the JAX one that it replaces, over functions, pytrees, dtypes, options.

What is compared: values, structure, shapes, dtypes, weak types, the kind of array, and for what JAX
refuses, that an `except` clause written for JAX's exception catches ours.
"""

from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")

PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "grad": (jax.grad, jaxcalc.gradient),
    "value_and_grad": (jax.value_and_grad, jaxcalc.value_and_gradient),
    "jacfwd": (jax.jacfwd, partial(jaxcalc.jacobian, mode="forward")),
    "jacrev": (jax.jacrev, partial(jaxcalc.jacobian, mode="reverse")),
    "hessian": (jax.hessian, jaxcalc.hessian),
}
TAKE_ALLOW_INT = ("grad", "value_and_grad")  # jax.jacrev gives integer cotangents: see below

Point = namedtuple("Point", "a b")


def total(tree):
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(tree))


# each takes the chosen argument x and a float32 scalar y
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum of squares": lambda x, y: sum(jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(x)),
    "product": lambda x, y: total(x) * y,
    "absolute": lambda x, y: sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(x)),
    "elementwise": lambda x, y: jax.tree.map(jnp.sin, x),
    "pytree": lambda x, y: {"s": total(x), "v": (jax.tree.map(lambda leaf: leaf * leaf, x), y)},
    "none inside": lambda x, y: (None, total(x)),
    "number": lambda x, y: 3.0,
    "constant": lambda x, y: jnp.ones(2),
    "identity": lambda x, y: x,
    "kink": lambda x, y: jax.tree.map(lambda leaf: jnp.maximum(leaf, 0), x),
    "python branch": lambda x, y: total(x) * 2.0 if y > 0 else x,
    "integer": lambda x, y: jnp.int32(3),
    "nothing": lambda x, y: None,
    "text": lambda x, y: "hello",
}
AUX_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "pair": lambda x, y: (total(x) * y, {"n": y, "x": x, "k": 3}),
    "array": lambda x, y: total(x) * y,
    "triple": lambda x, y: (1.0, 2.0, 3.0),
}

# every shape in float32; every dtype in some shape, so that each compiled program is worth its time
ARRAYS = {
    "float16": [(1,)],
    "bfloat16": [(), (2, 3), (0,)],
    "float32": [(), (0,), (1,), (2, 3)],
    "float64": [(), (3,)],
    "complex64": [(), (0,), (3,)],
    "int32": [(), (3,), (0,)],
    "bool": [()],
}


def inputs():
    made = {
        f"{dtype}{list(shape)}": jnp.arange(1, 1 + np.prod(shape, dtype=int))
        .reshape(shape)
        .astype(dtype)
        for dtype, shapes in ARRAYS.items()
        for shape in shapes
    }
    return made | {
        "float": 2.0,
        "int": 2,
        "complex": 1 + 2j,
        "bool": True,
        "numpy scalar": np.float32(2.0),
        "numpy array": np.arange(3.0),
        "weak": jnp.asarray(2.0),
        "list": [1.0, 2.0],
        "text": "s",
        "namedtuple": Point(jnp.ones(2), [jnp.ones((1, 2)), 2.0]),
        "mixed": {"a": jnp.arange(2.0), "i": jnp.arange(3)},
        "two precisions": (jnp.ones(2, "float32"), jnp.ones(3, "bfloat16")),
        "real and complex": (jnp.ones(2, "float32"), jnp.ones(3, "complex64")),
    }


# a second derivative takes long to compile, and these hold each rule about dtypes and structures once
FOR_HESSIANS = (
    "float32[2, 3]", "float32[0]", "bfloat16[]", "float64[3]", "complex64[3]", "int32[3]", "bool[]",
    "float", "int", "numpy array", "text", "namedtuple", "mixed", "real and complex",
)  # fmt: skip


def outcome(transform: Callable[..., Any], *args: Any, jit: bool = False) -> Any:
    """What a transformation gives, or the exception's type."""
    try:
        result = (jax.jit(transform) if jit else transform)(*args)
    except (TypeError, ValueError, AssertionError, AttributeError) as error:
        return error
    leaves, structure = jax.tree.flatten(result)
    described = [(leaf_kind(x), np.shape(x), getattr(x, "dtype", None)) for x in leaves]
    return str(structure), described, leaves


def leaf_kind(leaf: Any) -> str:
    # an array of numpy that f returns as it is comes back in a wrapper of JAX's own, or as an array
    is_array = isinstance(leaf, jax.Array) or type(leaf).__name__ == "TypedNdArray"
    return f"Array, weak={leaf.weak_type}" if is_array else type(leaf).__name__


def as_arrays(found: Any) -> Any:
    """An outcome with weak arrays for floats: JAX's jvp and vjp differ in how they give them back."""
    if isinstance(found, Exception):
        return found
    structure, _, leaves = found
    leaves = [jnp.asarray(leaf) if isinstance(leaf, float) else leaf for leaf in leaves]
    return structure, outcome(lambda: leaves)[1], leaves


def difference(expected: Any, found: Any) -> str | None:
    """Why two outcomes differ for a user of the JAX transformation; None when they don't."""
    if isinstance(expected, Exception):
        if isinstance(found, type(expected)):
            return None
        return f"JAX raises {expected!r}, found {found!r}"
    if isinstance(found, Exception):
        return f"JAX returns {expected[:2]}, found {found!r}"
    if expected[:2] != found[:2]:
        return f"expected {expected[:2]}, found {found[:2]}"
    for a, b in zip(expected[2], found[2], strict=True):
        if not np.array_equal(np.asarray(a), np.asarray(b)):
            return f"expected {a}, found {b}"
    return None


@pytest.mark.parametrize("function", thinned(FUNCTIONS))
@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome(name, function):
    theirs, ours = PAIRS[name]
    if function == "nothing" and name in {"jacrev", "hessian"}:
        pytest.skip("JAX fails to concatenate no arrays; ours returns nothing, as jax.jacfwd does")
    f, y, failures = FUNCTIONS[function], jnp.float32(3.0), []
    options: list[dict[str, Any]] = [{}, {"holomorphic": True}]
    if name in TAKE_ALLOW_INT:
        options.append({"allow_int": True})
    for label, x in inputs().items():
        if name == "hessian" and label not in FOR_HESSIANS:
            continue
        for option in options:
            expected = outcome(theirs(f, **option), x, y)
            found = outcome(ours(f, **option), x, y)
            why = difference(expected, found)
            if why is not None:
                failures.append(f"{label} {option}: {why}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("function", AUX_FUNCTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome_with_aux(name, function):
    theirs, ours = PAIRS[name]
    f, y = AUX_FUNCTIONS[function], jnp.float32(3.0)
    for label in ("float32[2, 3]", "bfloat16[]", "float", "float32[0]", "int32[3]", "namedtuple"):
        x = inputs()[label]
        expected = outcome(theirs(f, has_aux=True), x, y)
        found = outcome(ours(f, has_aux=True), x, y)
        why = difference(as_arrays(expected), as_arrays(found))
        assert why is None, f"{label}: {why}"


ARGNUMS = (
    0,
    1,
    -1,
    (0,),
    (0, 1),
    (1, 0),
    [0, 1],
    range(2),
    np.array([0, 1]),
    2,
    5,
    -4,
    (0, 5),
    "x",
    None,
    1.0,
)


@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome_for_argnums(name):
    theirs, ours = PAIRS[name]
    functions = (
        lambda x, y, z=1.0: jnp.sum(x * 2.0) * y * z,
        lambda x, y, z=1.0: {"a": x * y, "b": (jnp.sin(x) * z,)},
    )
    calls = ((jnp.arange(3.0), jnp.float32(2.0)), (jnp.ones(0), 1.0, 2.0))
    failures = []
    for f in functions:
        for args in calls:
            for argnums in ARGNUMS:
                expected = outcome(lambda *args, a=argnums, f=f: theirs(f, argnums=a)(*args), *args)
                found = outcome(lambda *args, a=argnums, f=f: ours(f, argnums=a)(*args), *args)
                why = difference(expected, found)
                if why is not None:
                    failures.append(f"argnums={argnums!r}: {why}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome_under_jit_and_vmap(name):
    theirs, ours = PAIRS[name]
    failures = []
    for function in ("sum of squares", "pytree", "kink"):
        f = FUNCTIONS[function]
        for label in ("float32[2, 3]", "bfloat16[]", "float32[0]", "namedtuple"):
            x, y = inputs()[label], jnp.float32(3.0)
            pairs = [
                (
                    outcome(theirs(f), x, y, jit=True),
                    outcome(ours(f), x, y, jit=True),
                ),
            ]
            batch = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), x)
            pairs.append(
                (
                    outcome(jax.vmap(theirs(f), in_axes=(0, None)), batch, y),
                    outcome(jax.vmap(ours(f), in_axes=(0, None)), batch, y),
                )
            )
            failures += [f"{function} {label}: {why}" for why in (difference(*p) for p in pairs) if why]
    assert not failures, "\n".join(failures)


def test_automatic_mode_gives_what_one_of_the_two_modes_gives():
    failures = []
    for function, f in FUNCTIONS.items():
        if function == "nothing":
            continue
        for label, x in inputs().items():
            y = jnp.float32(3.0)
            found = outcome(jaxcalc.jacobian(f), x, y)
            both = [outcome(mode(f), x, y) for mode in (jax.jacfwd, jax.jacrev)]
            whys = [difference(expected, found) for expected in both]
            if all(whys):
                failures.append(f"{function} {label}: {whys}")
    assert not failures, "\n".join(failures)


def test_the_comparison_sees_each_kind_of_difference():
    base = outcome(lambda x: x, jnp.ones(2))
    assert difference(base, base) is None
    others: list[Any] = [jnp.zeros(2), jnp.ones(3), jnp.ones(2, "float32"), np.ones(2), (jnp.ones(2),)]
    for other in others:
        assert difference(base, outcome(lambda x, other=other: other, 0.0)) is not None
    assert difference(outcome(lambda x: x, jnp.float64(1.0)), outcome(lambda x: x, jnp.asarray(1.0)))
    assert difference(TypeError("a"), ValueError("b")) is not None
    assert difference(base, TypeError("a")) is not None
    assert difference(TypeError("a"), base) is not None
