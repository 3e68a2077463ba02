"""Which data each step sees: against plain loops over the same batches."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc import descent


def loss(w, x, y, penalty=0.0):
    return jnp.mean((x @ w - y) ** 2) + penalty * jnp.sum(w**2)


@pytest.fixture
def data(x64, rng):
    x = rng.normal(size=(23, 3))
    return x, x @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.normal(size=23)


def by_hand(batches, rate=0.05, penalty=0.0):
    """Parameters and losses of a numpy loop over batches; the gradient is 2 X^T (X w - y) / n."""
    w, losses = np.zeros(3), []
    for x, y in batches:
        losses.append(np.mean((x @ w - y) ** 2) + penalty * np.sum(w**2))
        w = w - rate * (2 * x.T @ (x @ w - y) / len(y) + 2 * penalty * w)
    return w, losses


def test_every_epoch_goes_once_through_the_data():
    batches = descent.Batches(4, seed=7)
    epochs = [np.concatenate([batches.rows(5 * e + k, 23) for k in range(5)]) for e in range(3)]
    for rows in epochs:
        assert len(set(rows.tolist())) == 20
        assert 0 <= rows.min() <= rows.max() < 23
    assert not np.array_equal(epochs[0], epochs[1])
    expected = np.random.default_rng((7, 1)).permutation(23)[:20]
    np.testing.assert_array_equal(epochs[1], expected)
    assert not np.array_equal(descent.Batches(4, seed=8).rows(0, 23), batches.rows(0, 23))


@pytest.mark.parametrize(("start", "count"), [(0, 1), (0, 5), (3, 4), (4, 1), (5, 13), (7, 40)])
def test_a_span_is_its_steps(start, count):
    batches = descent.Batches(4)
    expected = np.stack([batches.rows(k, 23) for k in range(start, start + count)])
    np.testing.assert_array_equal(batches.span(start, count, 23), expected)


@pytest.mark.parametrize("steps", [1, 5, 16, 17, 70])
@pytest.mark.parametrize("given", [4, descent.Batches(4, seed=3), descent.Batches(5, shuffle=False)])
def test_minibatches_by_size(data, given, steps):
    x, y = data
    batches = descent.Batches(given) if isinstance(given, int) else given
    rows = [batches.rows(k, 23) for k in range(steps)]
    expected, losses = by_hand([(x[r], y[r]) for r in rows], penalty=0.01)
    found = descent.minimize(loss, jnp.zeros(3), x, y, 0.01, optimizer=0.05, steps=steps, batches=given)
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-10)
    np.testing.assert_allclose(found.history.loss, losses, rtol=1e-10)
    latest = rows[-1]
    np.testing.assert_allclose(
        found.value, loss(expected, x[latest], y[latest], 0.01), rtol=1e-10
    )  # at the parameters given back, on the latest batch
    assert (found.reason, found.steps) == ("steps", steps)


def test_minibatches_with_callback_and_divergence(data):
    x, y = data
    rows = [descent.Batches(4).rows(k, 23) for k in range(20)]
    seen = []
    descent.minimize(
        loss, jnp.zeros(3), x, y, optimizer=0.05, steps=20, batches=4,
        callback=lambda p: seen.append(np.asarray(p.parameters)), callback_every=3,
    )  # fmt: skip
    for k, parameters in zip(range(3, 21, 3), seen, strict=True):
        expected, _ = by_hand([(x[r], y[r]) for r in rows[:k]])
        np.testing.assert_allclose(parameters, expected, rtol=1e-10)
    # one example is broken: the first step whose batch has it is known beforehand
    x = x.copy()
    x[11] = np.nan
    first = next(k for k in range(20) if 11 in rows[k])
    found = descent.minimize(loss, jnp.zeros(3), x, y, optimizer=0.05, steps=20, batches=4)
    assert found.reason == f"diverged: loss is not finite at step {first}"
    expected, _ = by_hand([(x[r], y[r]) for r in rows[: max(first - 1, 0)]])
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-10)


def batches_of(data, sizes):
    x, y = data
    bounds = np.cumsum([0, *sizes])
    return [(x[a:b], y[a:b]) for a, b in itertools.pairwise(bounds)]


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 5, 6, 17, 150])
def test_a_collection_starts_again_and_may_have_a_short_last_batch(data, steps, on_device):
    batches = batches_of(data, [6, 6, 6, 5])
    sequence = [batches[k % 4] for k in range(steps)]
    expected, losses = by_hand(sequence)
    if on_device:
        batches = jax.tree.map(jnp.asarray, batches)
    found = descent.minimize(loss, jnp.zeros(3), optimizer=0.05, steps=steps, batches=batches)
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-10)
    np.testing.assert_allclose(found.history.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(found.value, loss(expected, *sequence[-1]), rtol=1e-10)
    assert (found.reason, found.steps) == ("steps", steps)


@pytest.mark.parametrize("count", [1, 3, 16, 70])
def test_an_iterator_ends_the_descent(data, count):
    batches = [batches_of(data, [6, 6, 6])[k % 3] for k in range(count)]
    expected, _ = by_hand(batches)
    found = descent.minimize(
        loss, jnp.zeros(3), optimizer=0.05, steps=1000, batches=(batch for batch in batches)
    )
    assert (found.reason, found.steps, found.converged) == ("batches ended", count, False)
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-10)
    np.testing.assert_allclose(found.value, loss(expected, *batches[-1]), rtol=1e-10)


def test_an_iterable_of_exactly_as_many_batches_as_steps(data):
    batches = batches_of(data, [6, 6, 6])
    found = descent.minimize(loss, jnp.zeros(3), optimizer=0.05, steps=3, batches=iter(batches))
    assert (found.reason, found.steps) == ("steps", 3)
    np.testing.assert_allclose(found.parameters, by_hand(batches)[0], rtol=1e-10)


def test_args_come_before_the_batch_and_random_keys_travel_with_it(data):
    def noisy(w, scale, x, y, key):
        return scale * loss(w, x + 0.1 * jax.random.normal(key, x.shape), y)

    keys = jax.random.split(jax.random.key(0), 20)
    batch = batches_of(data, [6])[0]
    found = descent.minimize(
        noisy, jnp.zeros(3), 0.5, optimizer=0.1, steps=20, batches=[(*batch, key) for key in keys]
    )
    noise = [0.1 * np.asarray(jax.random.normal(key, (6, 3))) for key in keys]
    expected, _ = by_hand([(batch[0] + n, batch[1]) for n in noise])
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-10)


def test_zero_steps_evaluate_the_first_batch(data):
    for options in ({"batches": batches_of(data, [6, 6])}, {"args": data, "batches": 4}):
        args = options.pop("args", ())
        found = descent.minimize(loss, jnp.zeros(3), *args, optimizer=0.1, steps=0, **options)
        assert found.steps == 0
        assert found.value > 0


@pytest.mark.parametrize(
    ("args", "batches", "error", "text"),
    [
        ((np.ones((5, 3)), np.ones(4)), 2, ValueError, r"args\[0\] has 5 and args\[1\] has 4"),
        (
            (np.ones((5, 3)), np.ones(5)),
            6,
            ValueError,
            r"a batch of 6 is larger than the data, 5 examples",
        ),
        ((), 6, ValueError, r"needs data: arguments of the loss"),
        ((1.0,), 6, ValueError, r"needs data: arguments of the loss"),
        ((), [], ValueError, r"gives no batch"),
        ((), [np.ones(3)], TypeError, r"each batch must be a tuple .* got ndarray; .* give \(batch,\)"),
        ((), [("text",)], TypeError, r"batch\[0\] is 'text'"),
        ((), {"x": 1}, TypeError, r"batches must be None"),
        ((), True, TypeError, r"batches must be None"),
    ],
)
def test_errors(args, batches, error, text):
    with pytest.raises(error, match=rf"^jaxcalc\.descent\.minimize: .*{text}"):
        descent.minimize(loss, jnp.zeros(3), *args, optimizer=0.1, steps=3, batches=batches)


@pytest.mark.parametrize(
    ("size", "seed", "text"), [(0, 0, "size must be"), (2.0, 0, "size"), (2, -1, "seed must be")]
)
def test_batches_errors(size, seed, text):
    with pytest.raises(ValueError, match=rf"^jaxcalc\.descent\.Batches: {text}"):
        descent.Batches(size, seed)


def test_a_line_search_needs_all_data(data):
    with pytest.raises(TypeError, match=r"searches along a line .* leave out batches"):
        descent.minimize(loss, jnp.zeros(3), *data, optimizer=optax.lbfgs(), steps=3, batches=4)
