"""What a function reads beside its arguments: seen when it changes, and known where it cannot be."""

import gc
import os
import time
import types
import weakref
from datetime import datetime
from enum import Enum
from functools import partial, update_wrapper
from time import perf_counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.cache.guards import Probe

W = jnp.ones(3)
LIMIT = 2.0
TABLE = {"a": W, "b": [1.0, {"c": 2}]}
ROW = np.ones(10_000)
BIG = np.ones(1_000_000)
RNG = np.random.default_rng(0)
COUNT = 0


class Pair(NamedTuple):
    a: int
    b: int


class Energy(NamedTuple):
    x: int

    def total(self):
        return LIMIT * self.x


class Level(Enum):
    HIGH = 1

    @property
    def energy(self):
        return LIMIT * self.value


class Tagged(tuple):
    """A tuple that may have attributes."""


class Wrapping:
    """An object that wraps a function, and has a state of its own."""

    def __init__(self, function):
        update_wrapper(self, function)
        self.factor = 2.0

    def __call__(self, x):
        return self.factor * self.__wrapped__(x)


class Model:
    factor = 2.0

    def __call__(self, x):
        return self.factor * x

    def method(self, x):
        return self.factor * x


MODEL = Model()
SETTINGS = types.ModuleType("settings_of_a_user")
SETTINGS.ALPHA = 1.0
SETTINGS.inner = types.ModuleType("settings_of_a_user.inner")
SETTINGS.inner.BETA = 1.0


def counts(x):
    global COUNT  # noqa: PLW0603
    COUNT += 1
    return x


def rebinds():
    total = 0

    def f(x):
        nonlocal total
        total += 1
        return x

    return f


def binds_only_its_own(x):
    total = 0

    def add():
        nonlocal total
        total += x

    add()
    return total


def with_attribute(x):
    return with_attribute.factor * x


with_attribute.factor = 1.0


def imports_numpy(x):
    import numpy  # noqa: ICN001

    return numpy.random.rand() * x  # noqa: NPY002


def softmax(x):
    """A global with the name of an attribute that others read."""
    return RNG.normal() * x


COMPLETE = {
    "an attribute with the name of a global": lambda x: jax.nn.softmax(x),  # noqa: PLW0108
    "numbers and arrays": lambda x: x * W + LIMIT,
    "a numpy array of some size": lambda x: ROW * x,
    "containers": lambda x: TABLE["a"] * x + TABLE["b"][1]["c"],
    "functions of jax": lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=2),
    "transformed": jax.vmap(jax.grad(lambda x: jnp.sum(W * x))),
    "jitted": jax.jit(lambda x: W * x),
    "partial": partial(jnp.multiply, W),
    "builtins": lambda x: sum(abs(x) for _ in range(len(TABLE))),
    "named tuples": lambda x: Pair(x, 1),
    "a module": lambda x: SETTINGS.ALPHA * x,
    "a module in a module": lambda x: SETTINGS.inner.BETA * x,
    "an attribute of itself": with_attribute,
    "methods of a named tuple": lambda x: Energy(x).total(),
    "properties of an enum": lambda x: x * Level.HIGH.energy,
    "a member of an enum": lambda x, level=Level.HIGH: x * level.energy,
    "jax.random": lambda x: jax.random.normal(jax.random.key(0), x.shape),
    "its own names": binds_only_its_own,
    "jax itself": jnp.sin,
}
INCOMPLETE = {
    "a global with the name of an attribute": lambda x: softmax(x),  # noqa: PLW0108
    "what a comprehension reads": lambda x: sum(softmax(y) for y in x),
    "what an inner function reads": lambda x: jax.lax.cond(True, lambda y: softmax(y), jnp.sin, x),  # noqa: PLW0108
    "an object": lambda x: MODEL(x),  # noqa: PLW0108
    "a callable object": MODEL,
    "a method": MODEL.method,
    "a class": lambda x: Model.factor * x,
    "a large numpy array": lambda x: BIG * x,
    "a generator of random numbers": lambda x: RNG.normal() * x,
    "random numbers of numpy": lambda x: np.random.rand() * x,  # noqa: NPY002
    "random numbers of numpy by another name": lambda x, r=np.random: r.rand() * x,
    "an import": imports_numpy,
    "time": lambda x: time.time() * x,
    "a function of time": lambda x: perf_counter() * x,
    "a date": lambda x: datetime.now().second * x,
    "the environment": lambda x: float(os.environ["FACTOR"]) * x,
    "a name in a string": lambda x: getattr(SETTINGS, "AL" + "PHA") * x,
    "all global names": lambda x: globals()["LIMIT"] * x,
    "an object that wraps a function": Wrapping(jnp.sin),
    "a tuple with attributes": lambda x, pair=Tagged((1, 2)): pair.factor * x,  # noqa: B008
    "a global that it binds": counts,
    "a closure that it binds": rebinds(),
    "a method of a list": lambda x, note=[].append: note(x),
    "a mutable array": lambda x, state=jax.new_ref(jnp.ones(3)): x * state[...],  # noqa: B008
}


@pytest.mark.parametrize("name", COMPLETE)
def test_what_can_be_watched(name):
    probe = Probe(COMPLETE[name])
    assert probe.is_complete
    assert probe.is_unchanged()


@pytest.mark.parametrize("name", INCOMPLETE)
def test_what_cannot_be_watched(name):
    probe = Probe(INCOMPLETE[name])
    assert not probe.is_complete
    assert probe.is_unchanged()


def test_a_tracer_is_not_complete():
    assert not jax.jit(lambda c: jnp.array(Probe(lambda x: c * x).is_complete))(1.0)


def changes():
    def set_global(monkeypatch):
        monkeypatch.setitem(globals(), "LIMIT", 3.0)

    def remove_global(monkeypatch):
        monkeypatch.delitem(globals(), "LIMIT")

    return {
        "a global": ("numbers and arrays", set_global),
        "a global that is gone": ("numbers and arrays", remove_global),
        "inside a dict": ("containers", lambda m: m.setitem(TABLE["b"][1], "c", 3)),
        "inside a list": ("containers", lambda m: m.setitem(TABLE, "b", [3.0, TABLE["b"][1]])),
        "one key more": ("containers", lambda m: m.setitem(TABLE, "z", 3.0)),
        "in a module": ("a module", lambda m: m.setattr(SETTINGS, "ALPHA", 2.0)),
        "in a module in a module": (
            "a module in a module",
            lambda m: m.setattr(SETTINGS.inner, "BETA", 2.0),
        ),
        "an attribute of a function": (
            "an attribute of itself",
            lambda m: m.setattr(with_attribute, "factor", 2.0),
        ),
        "a method reads it": ("methods of a named tuple", set_global),
        "a property reads it": ("properties of an enum", set_global),
        "a property of a member reads it": ("a member of an enum", set_global),
        "a method": (
            "methods of a named tuple",
            lambda m: m.setattr(Energy, "total", lambda pair: pair.x),
        ),
        "under jit": ("jitted", lambda m: m.setitem(globals(), "W", jnp.zeros(3))),
        "under vmap and grad": ("transformed", lambda m: m.setitem(globals(), "W", jnp.zeros(3))),
        "a builtin": ("builtins", lambda m: m.setitem(globals(), "abs", jnp.sin)),
    }


@pytest.mark.parametrize("name", changes())
def test_changes_are_seen(name, monkeypatch):
    function, change = changes()[name]
    probe = Probe(COMPLETE[function])
    change(monkeypatch)
    assert not probe.is_unchanged()
    monkeypatch.undo()
    assert probe.is_unchanged()


def test_inside_lists_and_arrays():
    numbers, array = [1.0, [2.0]], np.ones(3)
    f = lambda x: (numbers, array, x)  # noqa: E731
    probe = Probe(f)
    assert probe.is_complete
    numbers[1][0] = 3.0
    assert not probe.is_unchanged()
    numbers[1][0] = 2.0
    assert probe.is_unchanged()
    array[1] = 2.0
    assert not probe.is_unchanged()
    array[1] = 1.0
    numbers.append(1.0)
    assert not probe.is_unchanged()


def test_equal_plain_values_are_no_change(monkeypatch):
    probe = Probe(COMPLETE["numbers and arrays"])
    monkeypatch.setitem(globals(), "LIMIT", float("2.0"))
    assert probe.is_unchanged()
    monkeypatch.setitem(globals(), "LIMIT", 2)
    assert not probe.is_unchanged()


def test_a_value_that_died_is_a_change():
    def make():
        box = {"value": Model()}
        weights = box["value"]
        return lambda x: (weights, x)

    f = make()
    probe = Probe(f)
    f.__closure__[0].cell_contents = None
    gc.collect()
    assert not probe.is_unchanged()


def test_the_function_is_not_kept_alive():
    def make():
        def f(x):
            return f if x is None else x  # a cycle through its own cell

        return f

    f = make()
    probe, dead = Probe(f), weakref.ref(f)
    assert probe.is_unchanged()
    del f
    gc.collect()
    assert dead() is None
    assert not probe.is_unchanged()
