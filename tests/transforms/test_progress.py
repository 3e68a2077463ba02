"""A bar while a dense derivative is made, block by block, which may be interrupted."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.methods import progress
from jaxcalc.methods.batched import watched_products

WEIGHTS = np.random.default_rng(0).normal(size=(37, 37)) / 6


def layers(x):
    w = WEIGHTS.astype(x.dtype)
    return jnp.tanh(jnp.tanh(x @ w) @ w)


@pytest.fixture
def shown(calls_of):
    """What bars are told."""
    found = []
    calls_of(progress.Bar, "__init__", lambda args, kwargs: found.append(args[1]))
    calls_of(progress.Bar, "show", lambda args, kwargs: found.append(args[1]))
    calls_of(progress.Bar, "__exit__", lambda args, kwargs: found.append("closed"))
    return found


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("limit", [None, 2_500, 10**9])
def test_the_bar_moves_from_block_to_block(mode, limit, shown, x64):
    x = jnp.linspace(-1, 1, 37)
    found = jaxcalc.jacobian(layers, mode=mode, memory_limit=limit, progress=True)
    for _ in range(2):
        shown.clear()
        np.testing.assert_allclose(found(x), jax.jacfwd(layers)(x), rtol=1e-10, atol=1e-14)
        total, *steps, last = shown
        assert (total, steps[0], steps[-1], last) == (37, 0, 37, "closed")
        assert steps == sorted(set(steps))
        assert len(steps) >= 4  # 16 products at a time, or fewer


def test_values_hessians_aux_and_parts(shown, x64):
    f = lambda p: (jnp.sum(layers(p["a"]) ** 2), {"kept": "text", "y": p["a"][0]})  # noqa: E731
    p = {"a": jnp.linspace(-1, 1, 37)}
    expected = jax.hessian(lambda p: f(p)[0])(p)["a"]["a"]
    H, aux = jaxcalc.hessian(f, has_aux=True, progress=True)(p)
    np.testing.assert_allclose(H["a"]["a"], expected, rtol=1e-9, atol=1e-12)
    assert aux == {"kept": "text", "y": p["a"][0]}
    assert shown[0] == 37
    found = jaxcalc.value_gradient_and_hessian(f, has_aux=True, progress=True)(p)
    np.testing.assert_allclose(found[2]["a"]["a"], expected, rtol=1e-9, atol=1e-12)
    shown.clear()
    value, J = jaxcalc.value_and_jacobian(layers, rows=[3, 1], progress=True)(p["a"])
    np.testing.assert_allclose(value, layers(p["a"]))
    np.testing.assert_allclose(J, jax.jacfwd(layers)(p["a"])[np.array([3, 1])], rtol=1e-10, atol=1e-14)
    assert shown[0] == 2


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_complex_outputs(mode, shown, x64):
    f = lambda x: {"z": layers(x) * (1 + 2j), "r": x[:2] ** 2}  # noqa: E731
    x = jnp.linspace(-1, 1, 37)
    expected = jax.jacfwd(f)(x)
    for options in ({"progress": True}, {"memory_limit": 20_000}):
        found = jaxcalc.jacobian(f, mode=mode, **options)(x)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13), found, expected
        )


def test_an_interrupt_is_heard_between_blocks(calls_of, x64):
    """Ctrl-C comes as a signal in the middle of a run, which ends there; the next run is complete."""
    x = jnp.linspace(-1, 1, 37)
    found = jaxcalc.jacobian(layers, progress=True)
    seen = []

    def show(args, kwargs):
        seen.append(args[1])
        if args[1] > 0 and len(seen) < 3:
            signal.raise_signal(signal.SIGINT)

    calls_of(progress.Bar, "show", show)
    calls_of(progress.Bar, "__exit__", lambda args, kwargs: seen.append(args[1]))
    # what runs in the background of a shell is started with interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            found(x)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [0, 16, KeyboardInterrupt]
    np.testing.assert_allclose(found(x), jax.jacfwd(layers)(x), rtol=1e-10, atol=1e-14)
    assert seen[3:] == [0, 16, 32, 37, None]


def test_a_real_bar(capsys):
    jaxcalc.jacobian(layers, progress=True)(jnp.ones(37))
    shown = capsys.readouterr().err
    assert "37/37" in shown
    assert "product" in shown


def test_blocks_are_written_in_place():
    """The buffers of the results are handed on from block to block."""
    buffers = []

    def watch(values, done, _):
        if done:
            buffers.append(values[0].unsafe_buffer_pointer())

    weights = jnp.asarray(WEIGHTS, jnp.float32)
    (found,) = watched_products(lambda v: [v[0] @ weights], [jnp.ones(37)], block=5, watch=watch)
    np.testing.assert_allclose(found, weights, rtol=1e-6)
    assert len(buffers) == 8
    assert len(set(buffers)) == 1


@pytest.mark.parametrize("transform", ["jacobian", "value_and_jacobian", "hessian"])
def test_inside_a_trace_it_is_an_error(transform):
    f = layers if transform != "hessian" else lambda x: jnp.sum(layers(x))
    found = getattr(jaxcalc, transform)(f, progress=True)
    x = jnp.ones((2, 37))
    message = rf"jaxcalc.{transform}: progress=True .* outer transformation .* leave progress out"
    for outer in (jax.jit, lambda g: lambda x: jax.vmap(g)(x[None])):
        with pytest.raises(ValueError, match=message):
            outer(found)(x[0])

    def captures(scale):
        return getattr(jaxcalc, transform)(lambda x: f(x * scale), progress=True)(x[0])

    with pytest.raises(ValueError, match=message):
        jax.jit(captures)(2.0)


def test_sparse_formats_have_no_bar():
    with pytest.raises(ValueError, match=r"jaxcalc.jacobian: progress=True is for format='dense'"):
        jaxcalc.jacobian(layers, format="bcoo", progress=True)
