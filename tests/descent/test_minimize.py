"""The compiled loop: where it stops, why, and what it gives back."""

import io
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcalc import descent


def bowl(w, target):
    return jnp.sum((w - target) ** 2)


def recorded(loss, parameters, rate, steps, *args):
    """Parameters, loss and gradient norm before each step, by a plain Python loop."""
    rows = []
    for _ in range(steps + 1):
        value, gradient = jax.value_and_grad(loss)(parameters, *args)
        rows.append((parameters, float(value), float(jnp.linalg.norm(gradient))))
        parameters = parameters - rate * gradient
    return rows


@pytest.mark.parametrize("steps", [0, 1, 15, 16, 17, 33, 100])
def test_all_steps_whatever_the_chunks(x64, steps):
    start, target = jnp.array([1.0, -2.0]), jnp.array([3.0, 5.0])
    found = descent.minimize(bowl, start, target, optimizer=0.05, steps=steps)
    rows = recorded(bowl, start, 0.05, steps, target)
    assert (found.reason, found.steps, found.converged) == ("steps", steps, False)
    np.testing.assert_allclose(found.parameters, rows[-1][0], rtol=1e-12)
    np.testing.assert_allclose(found.value, rows[-1][1], rtol=1e-10)
    np.testing.assert_allclose(found.gradient_norm, rows[-1][2], rtol=1e-10)
    np.testing.assert_allclose(found.history.loss, [row[1] for row in rows[:-1]], rtol=1e-10)
    np.testing.assert_allclose(found.history.gradient_norm, [row[2] for row in rows[:-1]], rtol=1e-10)
    assert found.history.loss.shape == (steps,)


def test_more_steps_than_a_chunk_holds():
    start = jnp.float32(1.0)
    for _ in range(2):  # the second call starts with long chunks
        found = descent.minimize(bowl, start, 3.0, optimizer=1e-3, steps=2500)
        np.testing.assert_allclose(found.parameters, 3 - 2 * 0.998**2500, rtol=1e-4)
        assert found.history.loss.shape == (2500,)
        np.testing.assert_allclose(found.history.loss, 4 * 0.998 ** (2.0 * np.arange(2500)), rtol=1e-3)


@given(tolerance=st.floats(1e-8, 10.0), rate=st.floats(0.01, 0.45))
@settings(max_examples=40, deadline=None)
def test_converges_at_the_first_step_whose_gradient_is_small_enough(tolerance, rate):
    with jax.enable_x64(True):
        # |gradient| after k steps is 4 (1 - 2 rate)^k
        found = descent.minimize(bowl, 1.0, 3.0, optimizer=rate, steps=5000, tolerance=tolerance)
        if found.converged:
            assert found.reason == "converged"
            assert found.gradient_norm <= tolerance
            assert np.all(found.history.gradient_norm > tolerance)
            exact = max(0, math.ceil(math.log(tolerance / 4) / math.log(1 - 2 * rate) - 1e-9))
            assert abs(found.steps - exact) <= (exact > 0)
            np.testing.assert_allclose(
                found.parameters, 3 - 2 * (1 - 2 * rate) ** found.steps, rtol=1e-12
            )
        else:
            assert found.steps == 5000
        off = float(found.parameters) - 3
        assert found.gradient_norm == pytest.approx(abs(2 * off), rel=1e-12)
        assert found.value == pytest.approx(off**2, rel=1e-12)


def test_converged_at_the_start_makes_no_step():
    found = descent.minimize(bowl, 3.0, 3.0, optimizer=0.1, steps=10, tolerance=0.0)
    assert (found.reason, found.steps, found.value, float(found.parameters)) == (
        "converged",
        0,
        0.0,
        3.0,
    )
    assert found.history.loss.shape == (0,)


def cliff(w, limit):
    """Falls with slope 1 until the loss is no longer a number."""
    return jnp.where(w > limit, w, jnp.nan)


@pytest.mark.parametrize("step", [1, 2, 15, 16, 17, 18, 31, 32, 33, 41, 64, 1040])
@pytest.mark.parametrize("calls", [1, 2])
def test_divergence_gives_back_the_last_finite_parameters(step, calls):
    # w after k steps is -k; the loss is NaN from -step on, wherever the chunks begin
    for _ in range(calls):
        found = descent.minimize(cliff, 0.0, 0.5 - step, optimizer=1.0, steps=3000)
    assert found.reason == f"diverged: loss is not finite at step {step}"
    assert not found.converged
    assert found.steps == step - 1
    assert float(found.parameters) == 1.0 - step
    assert (found.value, found.gradient_norm) == (1.0 - step, 1.0)
    np.testing.assert_array_equal(found.history.loss, -np.arange(step - 1.0))
    np.testing.assert_array_equal(found.history.gradient_norm, np.ones(step - 1))


def test_divergence_in_the_very_last_evaluation_and_between_callbacks():
    found = descent.minimize(cliff, 0.0, -19.5, optimizer=1.0, steps=20)
    assert (found.reason, found.steps) == ("diverged: loss is not finite at step 20", 19)
    for every in (1, 3, 20):
        seen = []
        found = descent.minimize(
            cliff, 0.0, -19.5, optimizer=1.0, steps=30, callback=seen.append, callback_every=every
        )
        assert (found.reason, found.steps) == ("diverged: loss is not finite at step 20", 19)
        assert float(found.parameters) == -19.0
        assert found.history.loss.shape == (19,)


def test_divergence_of_the_gradient_alone():
    # sqrt has a finite value and an infinite slope at 0, where the third step lands
    loss = lambda w: jnp.where(w > 2.5, w, jnp.sqrt(jnp.maximum(w - 2.0, 0.0)))  # noqa: E731
    found = descent.minimize(loss, 5.0, optimizer=1.0, steps=10)
    assert found.reason == "diverged: gradient is not finite at step 3"
    assert (float(found.parameters), found.steps, found.value) == (3.0, 2, 3.0)


def test_divergence_at_the_start_gives_back_the_start():
    found = descent.minimize(jnp.log, -1.0, optimizer=1.0, steps=10)
    assert found.reason == "diverged: loss is not finite at step 0"
    assert (float(found.parameters), found.steps) == (-1.0, 0)
    assert math.isnan(found.value)
    assert found.history.loss.shape == (0,)


def test_overflow_is_divergence_and_the_parameters_are_finite():
    found = descent.minimize(bowl, jnp.ones(3), jnp.zeros(3), optimizer=10.0, steps=1000)
    assert found.reason.startswith("diverged: loss is not finite at step ")
    assert np.isfinite(found.parameters).all()
    assert math.isfinite(found.value)
    np.testing.assert_allclose(found.parameters, np.full(3, (-19.0) ** found.steps), rtol=1e-4)


@pytest.mark.parametrize("every", [1, 4, 7])
def test_callbacks_see_every_step_they_asked_for(every):
    seen = []
    found = descent.minimize(
        cliff, 0.0, -1e9, optimizer=1.0, steps=20, callback=seen.append, callback_every=every
    )
    assert (found.reason, found.steps) == ("steps", 20)
    assert [p.step for p in seen] == list(range(every, 21, every))
    for p in seen:
        # the parameters after the step; the loss and gradient norm that it started from
        assert (float(p.parameters), p.value, p.gradient_norm) == (-p.step, 1.0 - p.step, 1.0)


@pytest.mark.parametrize("stop", [1, 6, 17, 20])
def test_a_callback_stops_the_descent_right_there(stop):
    found = descent.minimize(
        cliff, 0.0, -1e9, optimizer=1.0, steps=20, callback=lambda p: p.step == stop
    )
    assert (found.reason, found.steps, found.converged) == ("callback", stop, False)
    assert (float(found.parameters), found.value) == (-stop, -stop)
    np.testing.assert_array_equal(found.history.loss, -np.arange(float(stop)))


def test_structure_dtypes_and_the_users_arrays():
    parameters = {"a": jnp.ones(2, jnp.bfloat16), "b": [np.ones(2, np.float32), 1.5], "c": None}
    loss = lambda p: sum(jnp.sum(jnp.square(x).astype(jnp.float32)) for x in jax.tree.leaves(p))  # noqa: E731
    found = descent.minimize(loss, parameters, optimizer=0.25, steps=3)
    assert jax.tree.structure(found.parameters) == jax.tree.structure(parameters)
    assert [leaf.dtype for leaf in jax.tree.leaves(found.parameters)] == [
        "bfloat16",
        "float32",
        "float32",
    ]
    np.testing.assert_array_equal(found.parameters["b"][0], [0.125, 0.125])
    np.testing.assert_array_equal(parameters["a"], [1.0, 1.0])
    np.testing.assert_array_equal(parameters["b"][0], [1.0, 1.0])


def test_complex_parameters_go_down():
    found = descent.minimize(lambda z: jnp.abs(z) ** 2, 1 + 2j, optimizer=0.25, steps=4)
    np.testing.assert_allclose(found.parameters, (1 + 2j) / 16, rtol=1e-6)
    np.testing.assert_allclose(found.history.loss, 5 / 4.0 ** np.arange(4), rtol=1e-6)
    np.testing.assert_allclose(found.history.gradient_norm, 2 * 5**0.5 / 2.0 ** np.arange(4), rtol=1e-6)


def test_gradient_norm_is_over_all_leaves_and_does_not_overflow_in_half_precision():
    parameters = {"h": jnp.full((3, 5), 300.0, jnp.float16), "w": jnp.float32(2.0)}
    loss = lambda p: jnp.sum(p["h"].astype(jnp.float32) ** 2) / 2 + p["w"] ** 2 / 2  # noqa: E731
    found = descent.minimize(loss, parameters, optimizer=0.5, steps=1)
    np.testing.assert_allclose(found.history.gradient_norm, [math.sqrt(15 * 300**2 + 4)], rtol=1e-6)


def test_library_modes():
    run = lambda: descent.minimize(  # noqa: E731
        bowl, jnp.ones(3), jnp.zeros(3), optimizer=0.25, steps=40, tolerance=1e-3, batches=None
    )
    with (
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
        jax.debug_nans(True),
    ):
        assert run().converged
        with jax.enable_x64(True):
            assert run().converged


def test_progress_bar(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    descent.minimize(bowl, 1.0, 3.0, optimizer=0.1, steps=50, progress=True)
    assert "50/50" in shown.getvalue()
    assert "loss=" in shown.getvalue()
    shown.truncate(0)
    descent.minimize(bowl, 1.0, 3.0, optimizer=0.1, steps=50)
    assert shown.getvalue().strip("\0") == ""


def test_tqdm_is_imported_only_when_a_bar_is_shown():
    program = (
        "import sys\n"
        "from jaxcalc import descent\n"
        "run = lambda p: descent.minimize(lambda w: w**2, 1.0, optimizer=0.1, steps=1, progress=p)\n"
        "run(False); assert 'tqdm' not in sys.modules\n"
        "run(True); assert 'tqdm' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_text():
    found = descent.minimize(bowl, 1.0, 3.0, optimizer=0.5, steps=9, tolerance=1e-3)
    assert str(found) == "converged after 1 step: loss 0, gradient norm 0"
    assert "history" not in repr(found)
    assert str(descent.minimize(bowl, 1.0, 3.0, optimizer=0.1, steps=2)).startswith(
        "stopped after 2 steps: loss "
    )
    stopping = descent.minimize(bowl, 1.0, 3.0, optimizer=0.1, steps=9, callback=lambda _: True)
    assert str(stopping).startswith(f"stopped by the callback after {stopping.steps} step")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"steps": -1}, ValueError, "steps must be an integer of 0 or more, got -1"),
        ({"steps": 2.5}, ValueError, "steps must be an integer"),
        ({"steps": True}, ValueError, "steps must be an integer"),
        ({"callback_every": 0}, ValueError, "callback_every must be an integer of 1 or more"),
        ({"tolerance": -1.0}, ValueError, r"tolerance is the gradient norm to stop at.* got -1\.0"),
        ({"tolerance": math.nan}, ValueError, "tolerance is the gradient norm"),
        ({"tolerance": "small"}, ValueError, "tolerance is the gradient norm.* got 'small'"),
        ({"optimizer": "sgd"}, TypeError, "optimizer must be a learning rate"),
        ({"batches": "all"}, TypeError, "batches must be None .* got 'all'"),
    ],
)
def test_option_errors(options, error, text):
    options = {"optimizer": 0.1, "steps": 3} | options
    with pytest.raises(error, match=rf"^jaxcalc\.descent\.minimize: .*{text}"):
        descent.minimize(bowl, 1.0, 3.0, **options)


@pytest.mark.parametrize(
    ("loss", "parameters", "args", "text"),
    [
        (bowl, {"w": 1.0, "ids": jnp.arange(3)}, (3.0,), r"parameters\['ids'\] is int32"),
        (bowl, 1.0, ("abc",), r"args\[0\] is 'abc'"),
        (lambda w: w, jnp.ones(2), (), r"maps float32\[2\] -> float32\[2\]"),
        (lambda w: 1j * w, 1.0, (), r"returns complex64, but a loss is a real number"),
        (3.0, 1.0, (), r"expected a function"),
    ],
)
def test_loss_and_leaf_errors(loss, parameters, args, text):
    with pytest.raises(TypeError, match=rf"^jaxcalc\.descent\.minimize: .*{text}"):
        descent.minimize(loss, parameters, *args, optimizer=0.1, steps=3)


def test_inside_a_transformation_it_names_the_way():
    run = lambda w: descent.minimize(bowl, w, 3.0, optimizer=0.1, steps=3).parameters  # noqa: E731
    for transformed in (jax.jit(run), jax.vmap(run)):
        with pytest.raises(TypeError, match=r"use jaxcalc\.descent\.make_step in jax\.lax\.scan"):
            transformed(jnp.ones(2))
