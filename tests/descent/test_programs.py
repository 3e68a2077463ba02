"""The cache of compiled loops: hit by what is the same, dropped with what it was made for."""

import functools
import gc
import weakref

import jax.numpy as jnp
import optax
import pytest

from jaxcalc import descent
from jaxcalc.descent import programs
from jaxcalc.heuristics import tuned


class Model:
    """A loss as a bound method, which is a new object each time it is looked up."""

    def __init__(self):
        self.traces = 0

    def loss(self, w, target):
        self.traces += 1
        return (w - target) ** 2


def counting():
    traces = []

    def loss(w, target):
        traces.append(None)
        return jnp.sum((w - target) ** 2)

    return loss, traces


def run(loss, optimizer, parameters=1.0, target=3.0, steps=40, **options):
    return descent.minimize(loss, parameters, target, optimizer=optimizer, steps=steps, **options)


@pytest.mark.parametrize("optimizer", [0.1, optax.constant_schedule(0.1), optax.sgd(0.1)])
def test_a_second_call_compiles_nothing(optimizer):
    loss, traces = counting()
    expected = run(loss, optimizer)
    first = len(traces)
    again = run(loss, optimizer, parameters=1.0, target=3.0)
    run(loss, optimizer, parameters=2.0, target=5.0, steps=1500, tolerance=1e-9)
    run(loss, optimizer, steps=3, callback=lambda p: None)
    assert len(traces) == first
    assert again.parameters == expected.parameters


def test_another_learning_rate_is_the_same_program():
    loss, traces = counting()
    run(loss, 0.1)
    first = len(traces)
    assert float(run(loss, 0.5, steps=1).parameters) == 3.0
    assert len(traces) == first


def test_bound_methods_and_partials_are_recognized():
    model = Model()
    run(model.loss, 0.1)
    first = model.traces
    run(model.loss, 0.1)
    assert model.traces == first
    other = Model()
    run(other.loss, 0.1)
    assert other.traces > 0
    loss, traces = counting()
    partial = functools.partial(loss, target=3.0)
    descent.minimize(partial, 1.0, optimizer=0.1, steps=3)
    first = len(traces)
    descent.minimize(partial, 1.0, optimizer=0.1, steps=3)
    assert len(traces) == first > 0


def test_different_losses_and_optimizers_are_kept_apart():
    up, down = (lambda w, t: (w + t) ** 2), (lambda w, t: (w - t) ** 2)
    assert float(run(down, 0.5, steps=1).parameters) == 3.0
    assert float(run(up, 0.5, steps=1).parameters) == -3.0
    assert float(run(down, optax.sgd(0.5), steps=1).parameters) == 3.0
    assert float(run(down, optax.sgd(0.25), steps=1).parameters) == 2.0
    assert float(run(down, lambda step: 0.25 * (step + 1), steps=2).parameters) == 3.0


def test_the_cache_keeps_neither_loss_nor_optimizer_nor_data_alive():
    loss, _ = counting()
    optimizer = optax.adam(0.1)
    data = jnp.ones(3) * 2
    run(loss, optimizer, parameters=jnp.ones(3), target=data)
    watched = [weakref.ref(x) for x in (loss, optimizer.update, data)]
    size = len(programs._programs)
    del loss, data
    gc.collect()
    assert watched[0]() is None
    assert watched[2]() is None
    assert len(programs._programs) == size - 1
    assert watched[1]() is not None  # the optimizer is still held here
    del optimizer
    gc.collect()
    assert watched[1]() is None


def test_the_cache_is_bounded():
    losses = [counting() for _ in range(5)]
    with tuned(kept_descents=3):
        for loss, _ in losses:
            run(loss, 0.1, steps=1)
    assert len(programs._programs) == 3
    traces = losses[-1][1]
    before = len(traces)
    run(losses[-1][0], 0.1, steps=1)
    assert len(traces) == before


def test_a_loss_without_weak_references_works():
    class Slotted:
        __slots__ = ()

        def __call__(self, w, target):
            return (w - target) ** 2

    size = len(programs._programs)
    assert float(run(Slotted(), 0.5, steps=1).parameters) == 3.0
    assert len(programs._programs) == size
