"""Each transformation against the JAX one that it replaces, over functions, pytrees, dtypes, options.

What is compared: values, structure, shapes, dtypes, weak types, the kind of array, and for what JAX
refuses, that an `except` clause written for JAX's exception catches ours.
"""

import functools
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
Y = jnp.float32(3.0)
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


@functools.cache
def inputs():
    made = {
        f"{dtype}{list(shape)}": jnp.asarray(
            np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape).astype(jnp.dtype(dtype))
        )
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
        "namedtuple": Point(ones(2), [ones(1, 2), 2.0]),
        "mixed": {"a": jnp.asarray(np.arange(2.0)), "i": jnp.asarray(np.arange(3))},
        "two precisions": (ones(2, dtype="float32"), ones(3, dtype="bfloat16")),
        "real and complex": (ones(2, dtype="float32"), ones(3, dtype="complex64")),
    }


def ones(*shape, dtype="float64"):
    return jnp.asarray(np.ones(shape, jnp.dtype(dtype)))


# a second derivative takes long to compile, and these hold each rule about dtypes and structures once
FOR_HESSIANS = (
    "float32[2, 3]", "float32[0]", "bfloat16[]", "float64[3]", "complex64[3]", "int32[3]", "bool[]",
    "float", "int", "numpy array", "text", "namedtuple", "mixed", "real and complex",
)  # fmt: skip


def outcome(transform: Callable[..., Any], *args: Any) -> Any:
    """What a transformation gives, or the exception's type."""
    try:
        result = transform(*args)
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


def compiled(cases: dict[str, list[Callable[[], Any]]]) -> dict[str, list[Any]]:
    """The outcomes of all cases; their arrays come from one program.

    The arguments are constants there, so that a call finds what it finds outside: arrays with values.
    """
    found: dict[str, list[Any]] = {}

    @jax.jit
    def program():
        found.update({label: [run() for run in runs] for label, runs in cases.items()})
        return [arrays(one) for each in found.values() for one in each]

    values = iter(program())
    return {label: [with_arrays(one, next(values)) for one in each] for label, each in found.items()}


def arrays(found: Any) -> list[Any]:
    return [] if isinstance(found, Exception) else [x for x in found[2] if isinstance(x, jax.Array)]


def with_arrays(found: Any, values: list[Any]) -> Any:
    if isinstance(found, Exception):
        return found
    left = iter(values)
    return *found[:2], [next(left) if isinstance(x, jax.Array) else x for x in found[2]]


def require_same(cases: dict[str, list[Callable[[], Any]]]) -> None:
    """That the first of each case, by JAX, and the second, ours, give the same."""
    require_no_failures({label: difference(*pair) for label, pair in compiled(cases).items()})


def require_no_failures(whys: dict[str, str | None]) -> None:
    failures = [f"{label}: {why}" for label, why in whys.items() if why is not None]
    assert not failures, "\n".join(failures)


def both(name: str, f: Callable[..., Any], *args: Any, **options: Any) -> list[Callable[[], Any]]:
    """The two calls of a pair, to be run."""
    return [partial(outcome, lambda *args, t=t: t(f, **options)(*args), *args) for t in PAIRS[name]]


def calls(name, function, transform):
    options: list[dict[str, Any]] = [{}, {"holomorphic": True}]
    if name in TAKE_ALLOW_INT:
        options.append({"allow_int": True})
    f = FUNCTIONS[function]
    return {
        f"{label} {option}": [partial(outcome, transform(f, **option), x, Y)]
        for label, x in inputs().items()
        if name != "hessian" or label in FOR_HESSIANS
        for option in options
    }


@functools.cache  # several tests ask for it
def expected(name, function):
    """What JAX gives for every input and option."""
    return {label: one for label, (one,) in compiled(calls(name, function, PAIRS[name][0])).items()}


@pytest.mark.parametrize("function", thinned(FUNCTIONS, 4))
@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome(name, function):
    if function == "nothing" and name in {"jacrev", "hessian"}:
        pytest.skip("JAX fails to concatenate no arrays; ours returns nothing, as jax.jacfwd does")
    found = compiled(calls(name, function, PAIRS[name][1]))
    require_no_failures(
        {label: difference(expected(name, function)[label], *one) for label, one in found.items()}
    )


@pytest.mark.eager
@pytest.mark.parametrize(
    "label", ["float32[2, 3]", "bfloat16[]", "complex64[3]", "float", "numpy array"]
)
@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome_step_by_step(name, label):
    option = {"holomorphic": True} if label == "complex64[3]" else {}
    function = "sum of squares" if option or name in TAKE_ALLOW_INT else "pytree"
    theirs, ours = both(name, FUNCTIONS[function], inputs()[label], Y, **option)
    wanted = expected(name, function)[f"{label} {option}"]
    if label == "float":
        assert difference(theirs(), wanted) is None
    assert difference(wanted, ours()) is None


@pytest.mark.parametrize("function", AUX_FUNCTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome_with_aux(name, function):
    def alike(run):
        return lambda: as_arrays(run())

    labels = ("float32[2, 3]", "bfloat16[]", "float", "float32[0]", "int32[3]", "namedtuple")
    cases = {
        label: both(name, AUX_FUNCTIONS[function], inputs()[label], Y, has_aux=True) for label in labels
    }
    require_same({label: [alike(run) for run in runs] for label, runs in cases.items()})


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
    functions = {
        "a number": lambda x, y, z=1.0: jnp.sum(x * 2.0) * y * z,
        "a pytree": lambda x, y, z=1.0: {"a": x * y, "b": (jnp.sin(x) * z,)},
    }
    calls = {
        "two arguments": (jnp.asarray(np.arange(3.0)), jnp.float32(2.0)),
        "three arguments": (ones(0), 1.0, 2.0),
    }
    require_same(
        {
            f"{function} of {call}, argnums={argnums!r}": both(name, f, *args, argnums=argnums)
            for function, f in functions.items()
            for call, args in calls.items()
            for argnums in ARGNUMS
        }
    )


@pytest.mark.parametrize("name", PAIRS)
def test_same_outcome_under_jit_and_vmap(name):
    cases = {}
    for function in ("sum of squares", "pytree", "kink"):
        f = FUNCTIONS[function]
        for label in ("float32[2, 3]", "bfloat16[]", "float32[0]", "namedtuple"):
            x, pair = inputs()[label], PAIRS[name]
            cases[f"{function} {label} jit"] = [partial(outcome, jax.jit(t(f)), x, Y) for t in pair]
            batch = jax.tree.map(lambda leaf: jnp.asarray(np.stack([leaf, 2 * np.asarray(leaf)])), x)
            cases[f"{function} {label} vmap"] = [
                partial(outcome, jax.vmap(t(f), in_axes=(0, None)), batch, Y) for t in pair
            ]
    require_same(cases)


@pytest.mark.parametrize("function", thinned([name for name in FUNCTIONS if name != "nothing"], 3))
def test_automatic_mode_gives_what_one_of_the_two_modes_gives(function):
    f, failures = FUNCTIONS[function], []
    cases = {label: [partial(outcome, jaxcalc.jacobian(f), x, Y)] for label, x in inputs().items()}
    for label, (found,) in compiled(cases).items():
        both = [expected(mode, function)[f"{label} {{}}"] for mode in ("jacfwd", "jacrev")]
        whys = [difference(one, found) for one in both]
        if all(whys):
            failures.append(f"{label}: {whys}")
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
