"""The arguments to differentiate with respect to: positions, names, leaves, and what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.call.arguments import choose, function_name, positional_names, split_inexact

API = "jaxcalc.gradient"


def f(x, z, scale=2.0, *rest, factor=1.0, **more):
    return scale * factor * x**2 * z + sum(rest) + sum(more.values())


def chosen(argnums=0, argnames=None, args=(3.0, 5.0), function=f, **kwargs):
    return choose(API, function, argnums, argnames, args, kwargs)


@pytest.mark.parametrize(
    ("argnums", "primal", "names"),
    [
        (0, 3.0, ("x",)),
        (-1, 5.0, ("z",)),
        (np.int64(1), 5.0, ("z",)),
        ((1,), (5.0,), ("z",)),
        ([1, 0], (5.0, 3.0), ("z", "x")),
        (np.array([0, -1]), (3.0, 5.0), ("x", "z")),
    ],
)
def test_positions(argnums, primal, names):
    found = chosen(argnums)
    assert found.primal == primal
    assert found.names == names
    assert found.bare == (not isinstance(primal, tuple))
    assert found.call(primal) == f(3.0, 5.0)


def test_variadic_positions_are_numbered():
    found = chosen(4, args=(1.0, 2.0, 3.0, 4.0, 5.0))
    assert (found.primal, found.names) == (5.0, ("argument 4",))
    assert found.call(7.0) == f(1.0, 2.0, 3.0, 4.0, 7.0)


@pytest.mark.parametrize(
    ("argnames", "args", "kwargs", "primal"),
    [
        ("z", (3.0, 5.0), {}, 5.0),
        ("z", (3.0,), {"z": 5.0}, 5.0),
        (("z", "x"), (), {"x": 3.0, "z": 5.0}, (5.0, 3.0)),
        (["x"], (3.0, 5.0), {}, (3.0,)),
        ("factor", (3.0, 5.0), {"factor": 4.0}, 4.0),
        ("factor", (3.0, 5.0), {}, 1.0),
        ("scale", (3.0, 5.0), {}, 2.0),
        ("extra", (3.0, 5.0), {"extra": 6.0}, 6.0),
    ],
)
def test_names(argnames, args, kwargs, primal):
    found = chosen(argnames=argnames, args=args, **kwargs)
    assert found.primal == primal
    assert found.call(primal) == f(*args, **kwargs)
    assert found.arity == len(args) + len(kwargs) or argnames in {"factor", "scale"}


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"argnums": 2}, TypeError, "argnums=2 asks for position 2, but this call passes 2 .*'x', 'z'"),
        ({"argnums": 2}, ValueError, "argnums=2 asks for position 2"),
        ({"argnums": (0, -3)}, TypeError, r"argnums=\(0, -3\) asks for position -3"),
        ({"argnums": (0, -2)}, ValueError, "names an argument twice"),
        ({"argnums": ()}, ValueError, "argnums is empty"),
        ({"argnums": "z"}, TypeError, r"To choose by name: argnames='z'\."),
        ({"argnums": 0.5}, TypeError, "must be an integer or a sequence of integers, got 0.5"),
        ({"argnums": None}, TypeError, "must be an integer or a sequence of integers, got None"),
        (
            {"argnames": "y"},
            ValueError,
            "f has no argument named 'y'; its arguments: 'x', 'z', 'scale'",
        ),
        ({"argnames": ("x", "x")}, ValueError, "names an argument twice"),
        ({"argnames": ()}, ValueError, "argnames is empty"),
        ({"argnames": 3}, TypeError, r"must be a name .*, got 3\. To choose by position: argnums=3\."),
        ({"argnames": (0, "x")}, TypeError, "must be a name or a sequence of names"),
        ({"argnames": "z", "args": (1.0,)}, ValueError, "leaves out the argument 'z'"),
    ],
)
def test_errors(arguments, error, text):
    with pytest.raises(error, match=rf"^{API}: .*{text}"):
        chosen(**arguments)


def test_positional_only_argument_cannot_be_left_out():
    def g(x, y=1.0, /):
        return x * y

    assert chosen(argnames="y", args=(2.0, 3.0), function=g).primal == 3.0
    with pytest.raises(ValueError, match="leaves out the argument 'y'"):
        chosen(argnames="y", args=(2.0,), function=g)


def test_functions_without_a_signature():
    # some builtins have no signature that can be read: positions work, names say so
    assert positional_names(max) == []
    assert chosen(1, function=max).names == ("argument 1",)
    with pytest.raises(ValueError, match="its arguments: none that can be named"):
        chosen(argnames="q", function=max)


def test_leaves_have_paths():
    tree = {"w": jnp.ones(2), "b": [1.0, (2.0,)]}
    assert [name for name, _ in chosen(args=(tree, 1.0)).leaves()] == [
        "x['b'][0]",
        "x['b'][1][0]",
        "x['w']",
    ]
    pair = chosen((0, 1), args=({"a": 1.0}, [2.0]))
    assert [name for name, _ in pair.leaves()] == ["x['a']", "z[0]"]
    assert pair.name(1) == "z[0]"


def test_function_names_in_messages():
    assert function_name(f) == "f"
    assert function_name(lambda x: x) == "f"
    assert function_name(partial(f, 1.0)) == "f"
    assert function_name(jax.jit(jnp.sin)) == "sin"


def test_split_and_rebuild():
    tree = {"a": jnp.ones(2), "i": jnp.arange(3), "b": True, "c": 1j, "d": 2.0, "n": None}
    leaves, rebuild = split_inexact(tree)
    assert len(leaves) == 3
    same = rebuild(leaves)
    assert jax.tree.structure(same) == jax.tree.structure(tree)
    marked = rebuild(["a", "c", "d"], integer=lambda leaf: "integer")
    assert marked == {"a": "a", "i": "integer", "b": "integer", "c": "c", "d": "d", "n": None}


TRANSFORMS = {
    "gradient": jaxcalc.gradient,
    "value_and_gradient": jaxcalc.value_and_gradient,
    "jacobian": jaxcalc.jacobian,
    "jacobian, forward": partial(jaxcalc.jacobian, mode="forward"),
    "jacobian, reverse": partial(jaxcalc.jacobian, mode="reverse"),
    "value_and_jacobian": jaxcalc.value_and_jacobian,
    "hessian": jaxcalc.hessian,
    "hessian, forward": partial(jaxcalc.hessian, mode="forward"),
    "hessian, reverse": partial(jaxcalc.hessian, mode="reverse"),
    "value_gradient_and_hessian": jaxcalc.value_gradient_and_hessian,
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("jit", [False, True])
def test_an_integer_leaf_is_the_same_error_in_every_mode(name, jit):
    def loss(p):
        return jnp.sum(p["w"] ** 2)

    transformed = TRANSFORMS[name](loss)
    p = {"w": jnp.ones(2), "n": [jnp.arange(2)]}
    api = "jaxcalc." + name.split(",")[0]
    text = rf"^{api}: p\['n'\]\[0\] is int32, and a derivative with respect to .* allow_int=True"
    with pytest.raises(TypeError, match=text):
        (jax.jit(transformed) if jit else transformed)(p)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_leaf_that_is_no_array_is_named(name):
    with pytest.raises(TypeError, match=r"^jaxcalc\.\w+: p\['n'\] is 'text' of type str"):
        TRANSFORMS[name](lambda p: p["w"])({"w": 1.0, "n": "text"})


@pytest.mark.parametrize("name", TRANSFORMS)
def test_keyword_arguments_by_name(name):
    def g(x, y, *, power=2):
        return x * y**power

    transformed = TRANSFORMS[name](g, argnames="y")
    by_keyword, by_position = transformed(x=3.0, y=2.0, power=3), transformed(3.0, 2.0, power=3)
    expected = TRANSFORMS[name](lambda y: 3.0 * y**3)(2.0)
    assert jax.tree.map(float, by_keyword) == jax.tree.map(float, by_position)
    assert jax.tree.map(float, by_keyword) == jax.tree.map(float, expected)
    two = TRANSFORMS[name](g, argnames=("y", "x"))(x=3.0, y=2.0)
    both = two[1] if name.startswith("value_and") else two[-1] if "value" in name else two
    assert len(both) == 2
    with pytest.raises(
        ValueError, match="g has no argument named 'z'; its arguments: 'x', 'y', 'power'"
    ):
        TRANSFORMS[name](g, argnames="z")(x=3.0, y=2.0)


@pytest.mark.parametrize("name", [*TRANSFORMS, "derivative", "classify"])
def test_what_is_no_function_is_refused_at_once(name):
    transform = TRANSFORMS.get(name) or getattr(jaxcalc, name)
    with pytest.raises(TypeError, match=r"^jaxcalc\.\w+: expected a function to differentiate, got 3"):
        transform(3)


def test_random_keys_may_be_among_the_arguments():
    noisy = lambda x, key: x * jax.random.normal(key, x.shape)  # noqa: E731
    key, x = jax.random.key(0), jnp.ones(3)
    diagonal = jnp.diag(jax.random.normal(key, (3,)))
    for transform in (jaxcalc.jacobian(noisy), jax.jit(jaxcalc.jacobian(noisy))):
        np.testing.assert_array_equal(transform(x, key), diagonal)
    sparse = jaxcalc.jacobian(noisy, format="structured")(x, key)
    np.testing.assert_array_equal(sparse.todense(), diagonal)
    with pytest.raises(
        TypeError, match="key is key<fry>, and a derivative with respect to a random key does not exist"
    ):
        jaxcalc.jacobian(noisy, 1)(x, key)
