"""Random keys among the arguments of a loss: as in a loop by hand, another one for each step."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc import descent

X = jnp.linspace(-1, 1, 24).reshape(12, 2)
START = jnp.array([0.5, -0.3])
KEY = jax.random.key(7)
STEPS = 40


def dropout_loss(w, x, key):
    keep = jax.random.bernoulli(key, 0.5, x.shape)
    return jnp.mean((jnp.where(keep, x, 0.0) @ w - x[:, 0]) ** 2)


def by_hand(data, key_of, steps=STEPS):
    """Gradient descent in a loop of Python: the parameters after each step, and the losses."""
    step = jax.jit(jax.value_and_grad(dropout_loss))
    w, losses = START, []
    for k in range(steps):
        value, slope = step(w, data(k), key_of(k))
        w, losses = w - 0.1 * slope, [*losses, value]
    return w, np.array(losses)


def folded(k):
    return jax.random.fold_in(KEY, k)


def test_each_step_has_a_key_of_its_own():
    found = descent.minimize(dropout_loss, START, X, KEY, optimizer=0.1, steps=STEPS)
    w, losses = by_hand(lambda k: X, folded)
    np.testing.assert_allclose(found.parameters, w, rtol=1e-5)
    np.testing.assert_allclose(found.history.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(found.value, dropout_loss(w, X, folded(STEPS)), rtol=1e-5)
    same = by_hand(lambda k: X, lambda k: KEY)[1]
    assert np.abs(found.history.loss[1:] - same[1:]).max() > 1e-3  # one mask for all is another loop


def test_with_batches_too():
    batches = descent.Batches(4, seed=3)
    found = descent.minimize(dropout_loss, START, X, KEY, optimizer=0.1, steps=STEPS, batches=batches)
    w, losses = by_hand(lambda k: X[batches.rows(k, 12)], folded)
    np.testing.assert_allclose(found.parameters, w, rtol=1e-5)
    np.testing.assert_allclose(found.history.loss, losses, rtol=1e-5)


def test_the_chunks_of_a_callback_go_on_counting():
    every = descent.minimize(
        dropout_loss, START, X, KEY, optimizer=0.1, steps=10, callback=lambda p: None, callback_every=3
    )
    np.testing.assert_allclose(every.history.loss, by_hand(lambda k: X, folded, 10)[1], rtol=1e-5)


def test_keys_of_a_stream_are_the_users():
    keys = list(jax.random.split(KEY, 5))
    found = descent.minimize(
        dropout_loss, START, optimizer=0.1, steps=5, batches=[(X, key) for key in keys]
    )
    losses = by_hand(lambda k: X, lambda k: keys[k], 5)[1]
    np.testing.assert_allclose(found.history.loss, losses, rtol=1e-5)


def test_an_array_of_keys_is_folded_one_by_one():
    def loss(w, x, keys):
        noise = jax.vmap(jax.random.normal)(keys)
        return jnp.mean((x @ w + noise) ** 2)

    keys = jax.random.split(KEY, 12)
    found = descent.minimize(loss, START, X, keys, optimizer=0.1, steps=3, batches=6)
    rows = descent.Batches(6).rows(0, 12)
    first = jnp.array([jax.random.normal(jax.random.fold_in(keys[r], 0)) for r in rows])
    np.testing.assert_allclose(
        found.history.loss[0], np.mean((X[rows] @ START + first) ** 2), rtol=1e-5
    )


def test_a_line_search_sees_the_key_of_its_step():
    def noisy(w, key):
        return jnp.sum((w - jax.random.normal(key, w.shape)) ** 2)

    search = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(8))
    found = descent.minimize(noisy, START, KEY, optimizer=search, steps=3)
    w, state = START, search.init(START)
    for k in range(3):
        f = lambda w, k=k: noisy(w, folded(k))  # noqa: E731
        value, slope = jax.value_and_grad(f)(w)
        change, state = search.update(slope, state, w, value=value, grad=slope, value_fn=f)
        w = optax.apply_updates(w, change)
    np.testing.assert_allclose(found.parameters, w, rtol=1e-4)


def test_raw_keys_get_a_hint(caplog):
    raw = jax.random.PRNGKey(0)
    with caplog.at_level(logging.WARNING, logger="jaxcalc"):
        descent.minimize(dropout_loss, START, X, KEY, optimizer=0.1, steps=1)
        assert not caplog.text
        descent.minimize(dropout_loss, START, X, raw, optimizer=0.1, steps=1)
    assert (
        "jaxcalc.descent.minimize: args[1], uint32[2], looks like a raw PRNG key, which would be the "
        "same in every step; pass a typed one, jax.random.key(seed), and each step gets its own "
        "(test_keys.py:" in caplog.text
    )
    with pytest.raises(
        ValueError, match=r"^jaxcalc.descent.minimize: args\[1\], uint32\[2\], looks like"
    ):
        descent.minimize(dropout_loss, START, X, raw, optimizer=0.1, steps=1, batches=4)
