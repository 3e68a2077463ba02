"""The compiled step: against Optax, one compilation, donated buffers that are never the user's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc import descent
from tests.thinned import thinned


def loss(parameters, x, y):
    return jnp.mean((x @ parameters["w"] + parameters["b"] - y) ** 2)


@pytest.fixture
def problem(rng):
    parameters = {"w": jnp.asarray(rng.normal(size=3), jnp.float32), "b": jnp.float32(0.5)}
    x = jnp.asarray(rng.normal(size=(8, 3)), jnp.float32)
    return parameters, x, jnp.asarray(rng.normal(size=8), jnp.float32)


# each made twice, so that no state is shared; a schedule and a rate stand for optax.sgd of them
OPTIMIZERS = {
    "momentum": lambda: optax.sgd(0.1, momentum=0.9),
    "adam": lambda: optax.adam(0.1),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.1)),
    "accumulated": lambda: optax.MultiSteps(optax.adam(0.1), 2),
    "hyperparameters": lambda: optax.inject_hyperparams(optax.sgd)(learning_rate=0.1),
    # its state holds the parameters themselves: that buffer must not be donated twice
    "schedule-free": lambda: optax.contrib.schedule_free_sgd(0.1),
    "noise": lambda: optax.noisy_sgd(0.1, key=jax.random.key(3)),
}


def rate_or_optimizer(name):
    """What make_step is given, and what Optax calls it."""
    if name == "rate":
        return 0.1, optax.sgd(0.1)
    if name == "schedule":
        schedule = optax.cosine_decay_schedule(0.1, 20)
        return schedule, optax.sgd(schedule)
    return OPTIMIZERS[name](), OPTIMIZERS[name]()


@pytest.mark.parametrize("name", thinned(["rate", "schedule", *OPTIMIZERS]))
def test_follows_optax_without_a_second_trace(problem, name):
    given, reference = rate_or_optimizer(name)
    parameters, *data = problem
    traces = []

    def counted(*args):
        traces.append(None)
        return loss(*args)

    step = descent.make_step(counted, given)
    state = step.init(parameters)
    expected, expected_state = parameters, reference.init(parameters)

    @jax.jit
    def by_hand(expected, state, *data):
        value, gradients = jax.value_and_grad(loss)(expected, *data)
        changes, state = reference.update(gradients, state, expected)
        return value, optax.apply_updates(expected, changes), state

    for k in range(6):
        expected_value, expected, expected_state = by_hand(expected, expected_state, *data)
        state, value = step.update(state, *data)
        np.testing.assert_allclose(value, expected_value, rtol=1e-5)
        if k == 0:
            first = len(traces)
    assert len(traces) == first
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), state.parameters, expected
    )


@pytest.mark.parametrize("place", ["host", "device", "committed"])
def test_compiles_once(problem, place, compilations):
    parameters, *data = problem
    if place == "host":
        parameters, data = jax.tree.map(np.asarray, (parameters, data))
    elif place == "committed":
        parameters, data = jax.device_put((parameters, data), jax.devices()[0])
    step = descent.make_step(loss, optax.adam(0.1))
    state = step.init(parameters)
    state, _ = step.update(state, *data)
    compilations.clear()
    for _ in range(3):
        state, _ = step.update(state, *data)
    assert compilations == []


def test_python_numbers_do_not_retrace():
    traces = []

    def square(w):
        traces.append(None)
        return w**2

    step = descent.make_step(square, 0.25)
    state = step.init(2.0)
    for expected in (1.0, 0.5, 0.25):
        state, _ = step.update(state)
        assert state.parameters == expected
    assert len(traces) == 1


def test_an_optimizer_whose_state_is_python_numbers_does_not_retrace():
    def update(gradients, rate, parameters=None):
        return jax.tree.map(lambda g: -rate * g, gradients), jnp.asarray(0.5)  # weakly typed

    traces = []

    def square(w):
        traces.append(None)
        return w**2

    step = descent.make_step(square, optax.GradientTransformation(lambda parameters: 0.25, update))
    state = step.init(2.0)
    for expected in (1.0, 0.0, 0.0):
        state, _ = step.update(state)
        assert state.parameters == expected
    assert len(traces) == 1
    assert not state.optimizer.weak_type


def test_the_users_arrays_stay_and_the_state_is_used_up(problem):
    parameters, *data = problem
    before = jax.tree.map(np.array, parameters)
    step = descent.make_step(loss, optax.sgd(0.1, momentum=0.9))
    state = step.init(parameters)
    new, _ = step.update(state, *data)
    jax.tree.map(np.testing.assert_array_equal, parameters, before)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((parameters, data, new)))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))


def test_numpy_parameters_are_copied_too():
    parameters = np.ones(3, np.float32)
    step = descent.make_step(lambda w: jnp.sum(w**2), 0.25)
    step.update(step.init(parameters))
    np.testing.assert_array_equal(parameters, np.ones(3))


def test_keeps_dtypes_and_complex_parameters_go_down():
    step = descent.make_step(
        lambda p: jnp.abs(p["z"]) ** 2 + jnp.sum(p["h"].astype(jnp.float32) ** 2), 0.25
    )
    state = step.init({"z": 1 + 2j, "h": jnp.ones(2, jnp.bfloat16)})
    state, first = step.update(state)
    state, second = step.update(state)
    assert (first, second) == (7.0, 1.75)
    assert state.parameters["z"] == 0.25 * (1 + 2j)
    assert state.parameters["h"].dtype == jnp.bfloat16


def test_aux_and_line_search(problem):
    parameters, *data = problem

    def with_aux(parameters, x, y):
        return loss(parameters, x, y), {"examples": x.shape[0]}

    step = descent.make_step(with_aux, optax.lbfgs(), has_aux=True)
    state = step.init(parameters)
    values = []
    for _ in range(12):
        state, (value, aux) = step.update(state, *data)
        values.append(float(value))
    x, y = data
    design = np.column_stack([x, np.ones(8)]).astype(np.float64)
    least = np.linalg.lstsq(design, np.asarray(y, np.float64))[1][0] / 8
    assert aux["examples"] == 8
    np.testing.assert_allclose(values[-1], least, rtol=1e-4)


def test_inside_scan_and_vmap(problem):
    parameters, *data = problem
    step = descent.make_step(loss, 0.1)

    @jax.jit
    def run(parameters):
        scan = jax.lax.scan(lambda s, _: step.update(s, *data), step.init(parameters), length=5)
        return scan[0].parameters, scan[1]

    expected = parameters
    for _ in range(5):
        expected = descent.update(expected, jax.grad(loss)(expected, *data), 0.1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), run(parameters)[0], expected)
    pair = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), parameters)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-5), jax.vmap(run)(pair)[0], expected
    )


def test_a_traced_learning_rate():
    def after_one_step(rate):
        step = descent.make_step(lambda w: w**2, rate)
        return step.update(step.init(3.0))[0].parameters

    assert jax.jit(after_one_step)(0.25) == 1.5
    assert jax.grad(after_one_step)(0.25) == -6.0  # w - rate * 2 w


@pytest.mark.parametrize(
    ("optimizer", "error", "text"),
    [
        (None, TypeError, "optimizer must be a learning rate, a schedule .* got None"),
        ("adam", TypeError, "got 'adam'"),
        (-0.1, ValueError, r"finite and not negative, got -0\.1"),
        (float("nan"), ValueError, "got nan"),
        (1j, TypeError, "learning_rate must be a real scalar"),
        (optax.MultiSteps, TypeError, "the class MultiSteps; pass an object made by it"),
        (jnp.ones(2), TypeError, r"float32 of shape \(2,\)"),
    ],
)
def test_optimizer_errors(optimizer, error, text):
    with pytest.raises(error, match=rf"^jaxcalc\.descent\.make_step: .*{text}"):
        descent.make_step(loss, optimizer)


def test_an_optimizer_that_was_not_called_and_a_schedule_of_vectors():
    for given, text in (
        (optax.adam, r"adam is a function that makes an optimizer; call it"),
        (lambda step: jnp.ones(2), r"in the schedule <lambda>: learning_rate must be"),
    ):
        step = descent.make_step(lambda w: w**2, given)
        with pytest.raises(TypeError, match=rf"^jaxcalc\.descent\.make_step: {text}"):
            step.update(step.init(1.0))


def test_parameter_and_loss_errors():
    step = descent.make_step(lambda p: p["w"] * jnp.ones(2), 0.1)
    with pytest.raises(TypeError, match=r"^jaxcalc\.descent\.make_step: parameters\['n'\] is int32"):
        step.init({"w": 1.0, "n": 3})
    with pytest.raises(
        TypeError, match=r"^jaxcalc\.descent\.make_step: .* maps float32 -> float32\[2\]"
    ):
        step.update(step.init({"w": 1.0}))


@pytest.mark.parametrize(
    ("state", "given"),
    [
        (jnp.ones(3), r"an array float32\[3\]"),
        ({"w": 1.0}, "a dict"),
        ((jnp.ones(3), ()), "a tuple"),
        (None, "a NoneType"),
    ],
)
def test_the_bare_parameters_are_no_state(state, given):
    step = descent.make_step(lambda w: jnp.sum(w**2), 0.1)
    text = rf"^jaxcalc.descent.make_step: step.update got {given} in the place of the state; start "
    with pytest.raises(TypeError, match=text + r"with state = step.init\(parameters\)"):
        step.update(state)
