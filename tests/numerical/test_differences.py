import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.numerical import difference_quotients


def cubic(x):
    return 2 * x**3 + 5


def test_quotients_and_errors_against_a_loop(x64):
    steps = [0.5, 0.25, 0.1, 0.01]
    result = difference_quotients(cubic, 2.0, steps)
    for i, h in enumerate(steps):
        forward = (cubic(2.0 + h) - cubic(2.0)) / h
        central = (cubic(2.0 + h) - cubic(2.0 - h)) / (2 * h)
        # 2 (6 x^2 + 6 x h + 2 h^2) / 2 and 2 (6 x^2 + 2 h^2) / 2
        assert result.forward[i] == pytest.approx(24 + 12 * h + 2 * h**2, rel=1e-12)
        assert result.central[i] == pytest.approx(24 + 2 * h**2, rel=1e-12)
        assert result.forward[i] == pytest.approx(forward, rel=1e-14)
        assert result.central[i] == pytest.approx(central, rel=1e-14)
        assert result.forward_error[i] == pytest.approx(abs(forward - 24), rel=1e-9)
        assert result.central_error[i] == pytest.approx(abs(central - 24), rel=1e-9)
    np.testing.assert_array_equal(result.steps, steps)
    assert result.exact == 24.0


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_truncation_error_falls_and_rounding_error_rises(x64, dtype):
    result = difference_quotients(jnp.sin, jnp.asarray(1.0, dtype))
    for error in (result.forward_error, result.central_error):
        best = int(np.argmin(error))
        assert 0 < best < len(error) - 1
        assert error[0] > 30 * error[best]
        assert error[-1] > 30 * error[best]
    # the truncation errors' orders: by 10 and by 100 a decade
    assert result.forward_error[0] / result.forward_error[1] == pytest.approx(10, rel=0.1)
    assert result.central_error[0] / result.central_error[1] == pytest.approx(100, rel=0.15)


@pytest.mark.parametrize(
    ("dtype", "count"),
    [(jnp.float64, 16), (jnp.float32, 7), (jnp.float16, 4), (jnp.bfloat16, 3)],
)
def test_default_steps_are_decades_that_fit_the_dtype(x64, dtype, count):
    result = difference_quotients(jnp.sin, jnp.asarray(1.0, dtype))
    assert result.steps.dtype == dtype
    np.testing.assert_allclose(
        np.asarray(result.steps, np.float64), 10.0 ** -np.arange(1, count + 1), rtol=1e-2
    )
    assert result.forward.dtype == result.exact.dtype == result.central_error.dtype == dtype


def test_array_output(x64):
    def curve(t):
        return jnp.stack([jnp.cos(t), jnp.sin(t), t**2]).reshape(3, 1)

    result = difference_quotients(curve, 0.5, [1e-2, 1e-4])
    assert result.forward.shape == result.central_error.shape == (2, 3, 1)
    np.testing.assert_allclose(result.exact[:, 0], [-np.sin(0.5), np.cos(0.5), 1.0])
    np.testing.assert_allclose(result.central[1], result.exact, rtol=1e-7)
    assert "3 elements" in str(result)


def test_complex_output(x64):
    result = difference_quotients(lambda t: jnp.exp(1j * t), 0.5, [1e-2, 1e-4])
    np.testing.assert_allclose(result.exact, 1j * np.exp(0.5j))
    np.testing.assert_allclose(result.central[1], result.exact, rtol=1e-7)
    assert result.central_error.dtype == jnp.float64
    assert "j" in str(result)


def test_it_is_a_frozen_pytree_under_jit_and_vmap(x64):
    result = difference_quotients(jnp.sin, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.steps = 0
    compiled = jax.jit(lambda x: difference_quotients(jnp.sin, x))(1.0)
    np.testing.assert_allclose(compiled.central[:5], result.central[:5], rtol=1e-9)
    many = jax.vmap(lambda x: difference_quotients(jnp.sin, x, [1e-3]))(jnp.linspace(0, 1, 5))
    np.testing.assert_allclose(many.central[:, 0], jnp.cos(jnp.linspace(0, 1, 5)), rtol=1e-6)
    traced = jax.jit(lambda steps: difference_quotients(jnp.sin, 1.0, steps))(jnp.array([1e-2, 1e-3]))
    np.testing.assert_allclose(traced.exact, np.cos(1.0))


def test_python_control_flow():
    result = difference_quotients(lambda x: x**2 if x > 0 else x, 1.0, [0.5, 0.25])
    np.testing.assert_allclose(result.central, 2.0)


def test_table_has_a_line_for_each_step():
    lines = str(difference_quotients(jnp.sin, 1.0, [0.1, 0.01])).splitlines()
    assert lines[0].split() == ["step", "h", "forward", "error", "central", "error"]
    assert [line.split()[0] for line in lines[1:3]] == ["1.0e-01", "1.0e-02"]
    assert lines[3].startswith("exact derivative: 0.5403")
    assert len({len(line) for line in lines[:3]}) == 1


@pytest.mark.parametrize(
    ("x", "steps", "error", "text"),
    [
        (jnp.ones(3), None, TypeError, r"x must be a scalar, got float32\[3\]"),
        (2, None, TypeError, "x is int32"),
        (1j, None, TypeError, "x is complex64; expected a real number"),
        ("a", None, TypeError, "expected an array"),
        (1.0, [0.1, 0.2], ValueError, "falling, got"),
        (1.0, [0.1, 0.0], ValueError, "positive"),
        (1.0, [0.1, -0.1], ValueError, "positive"),
        (1.0, [], ValueError, "sequence of numbers"),
        (1.0, 0.1, ValueError, r"got shape \[\]"),
        (jnp.float16(1.0), [0.1, 1e-9], ValueError, "do not fit into float16"),
    ],
)
def test_bad_input(x, steps, error, text):
    with pytest.raises(error, match=r"jaxcalc\.numerical\.difference_quotients: .*" + text):
        difference_quotients(jnp.sin, x, steps)


def test_bad_function():
    with pytest.raises(TypeError, match="expected a function"):
        difference_quotients(3.0, 1.0)
    with pytest.raises(TypeError, match=r"one floating-point array or number.*float32\[\]"):
        difference_quotients(lambda x: (x, x), 1.0)
    with pytest.raises(TypeError, match="int32"):
        difference_quotients(lambda x: jnp.int32(3), 1.0)
