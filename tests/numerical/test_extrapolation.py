"""The promise of numerical derivatives: the true error is within the estimate, and that is small."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc import numerical

# f in jax, f' in closed form in numpy
SMOOTH = {
    "sin": (jnp.sin, np.cos),
    "cos": (jnp.cos, lambda x: -np.sin(x)),
    "exp": (jnp.exp, np.exp),
    "tanh": (jnp.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "arctan": (jnp.arctan, lambda x: 1 / (1 + x**2)),
    "arcsinh": (jnp.arcsinh, lambda x: 1 / np.sqrt(1 + x**2)),
    "sinh": (jnp.sinh, np.cosh),
    "cubic": (lambda x: x**3 - 2 * x, lambda x: 3 * x**2 - 2),
    "x^7": (lambda x: x**7, lambda x: 7 * x**6),
    "Runge": (lambda x: 1 / (1 + 25 * x**2), lambda x: -50 * x / (1 + 25 * x**2) ** 2),
    "Gauss": (lambda x: jnp.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2))),
    "x sin x": (lambda x: x * jnp.sin(x), lambda x: np.sin(x) + x * np.cos(x)),
    "softplus": (lambda x: jnp.logaddexp(x, 0.0), lambda x: 1 / (1 + np.exp(-x))),
    "erf": (jax.scipy.special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    "linear": (lambda x: 3 * x + 2, lambda x: 3 + 0 * x),
    "nested": (
        lambda x: jnp.exp(3 * jnp.sin(5 * x)),
        lambda x: 15 * np.cos(5 * x) * np.exp(3 * np.sin(5 * x)),
    ),
}
HARD = {
    "constant": (lambda x: 0 * x + 4, lambda x: 0 * x),
    "log": (jnp.log, lambda x: np.where(x > 0, 1 / x, np.nan)),
    "sqrt": (jnp.sqrt, lambda x: np.where(x > 0, 0.5 / np.sqrt(np.abs(x)), np.nan)),
    "1/x": (lambda x: 1 / x, lambda x: -1 / x**2),
    "sin 20x": (lambda x: jnp.sin(20 * x), lambda x: 20 * np.cos(20 * x)),
    "sin 100x": (lambda x: jnp.sin(100 * x), lambda x: 100 * np.cos(100 * x)),
    "period 1/8": (
        lambda x: jnp.sin(16 * jnp.pi * x),
        lambda x: 16 * np.pi * np.cos(16 * np.pi * x),
    ),
    "on a pedestal": (lambda x: 1e4 + jnp.sin(x), np.cos),
    "cancelling": (
        lambda x: x**5 - 5 * x**4 + 10 * x**3 - 10 * x**2 + 5 * x - 1,
        lambda x: 5 * (x - 1) ** 4,
    ),
    "pole near 1": (lambda x: 1 / (x - 1.01), lambda x: -1 / (x - 1.01) ** 2),
    "sin 1/x": (lambda x: jnp.sin(1 / x), lambda x: -np.cos(1 / x) / x**2),
    "kink near 0": (lambda x: jnp.abs(x - 0.013), lambda x: np.sign(x - 0.013)),
    "one sided": (lambda x: jnp.maximum(x, 0.2) ** 2, lambda x: np.where(x > 0.2, 2 * x, 0)),
}
POINTS = [0.0, 1e-3, 0.1, 0.5, 0.7853, 1.0, 2.0, 3.7, 10.0, -1e-3, -0.3, -1.0, -2.3]


def estimates(functions, points, dtype):
    """Value, error and truth, `[points, functions]`, of one compiled call."""

    def together(x):
        return jnp.stack([jnp.asarray(f(x), dtype) for f, _ in functions])

    x = jnp.asarray(points, dtype)
    value, error = jax.jit(jax.vmap(numerical.derivative(together)))(x)
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        truth = np.stack([np.asarray(slope(x)) for _, slope in functions], axis=1)
    return np.asarray(value, np.float64), np.asarray(error, np.float64), truth


@cache
def of_all_functions(dtype):
    return estimates(list((SMOOTH | HARD).values()), POINTS, dtype)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_true_error_is_within_the_estimate(x64, dtype):
    """At least 99 % of the cases, in each precision, the hard functions included."""
    functions = SMOOTH | HARD
    value, error, truth = of_all_functions(dtype)
    defined = np.isfinite(truth)
    assert defined.sum() >= 340
    honest = np.where(np.isnan(value), np.isposinf(error), np.abs(value - truth) <= error)
    wrong = [
        f"{name} at {POINTS[i]}: {value[i, j]} ± {error[i, j]}, true {truth[i, j]}"
        for j, name in enumerate(functions)
        for i in range(len(POINTS))
        if defined[i, j] and not honest[i, j]
    ]
    assert len(wrong) <= 0.01 * defined.sum(), "\n".join(wrong)
    # an error that is always infinite would be no achievement
    assert np.mean(np.isfinite(error[defined])) > 0.97


@pytest.mark.parametrize(
    ("dtype", "typical", "largest"),
    [
        (jnp.float64, 1e-11, 1e-8),
        pytest.param(jnp.float32, 1e-4, 0.03, marks=pytest.mark.slow),
        pytest.param(jnp.float16, 0.1, 2, marks=pytest.mark.slow),
        (jnp.bfloat16, 0.5, 5),
    ],
)
def test_estimate_is_not_vacuous(x64, dtype, typical, largest):
    """The typical relative error, and the largest one relative to the size of f and f'."""
    points = [0.1, 0.3, 0.7853, 1.0, 1.7, -0.6, -2.3]
    functions = [SMOOTH[name] for name in ("sin", "exp", "tanh", "arctan", "cubic", "Gauss", "erf")]
    value, error, truth = estimates(functions, points, dtype)
    assert np.median(error / np.abs(truth)) < typical
    assert np.max(error / (1 + np.abs(truth))) < largest
    assert np.all(np.abs(value - truth) <= error)


def test_median_relative_error_in_float64(x64):
    _, error, truth = (table[..., : len(SMOOTH)] for table in of_all_functions(jnp.float64))
    with np.errstate(divide="ignore"):
        assert np.median(error / np.abs(truth)) < 1e-8


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_kinks_and_jumps_have_a_large_error(x64, dtype):
    functions = {
        "abs": (jnp.abs, 1.0),
        "relu": (jax.nn.relu, 0.5),
        "kink on a curve": (lambda x: jnp.exp(x) + jnp.abs(x), 1.0),
        "leaky": (lambda x: jnp.where(x > 0, 3 * x, x), 1.0),
        "jump": (lambda x: jnp.where(x > 0, 1.0 + x, x), np.inf),
        "sign": (jnp.sign, np.inf),
        "root": (jnp.sqrt, np.inf),
        "cube root": (jnp.cbrt, np.inf),
        "pole": (lambda x: 1 / x, np.inf),
        "undefined at 0 alone": (lambda x: jnp.sin(x) / x, np.inf),
        "wild": (lambda x: jnp.sin(1e12 * x + 1), np.inf),
    }
    value, error, _ = estimates([(f, np.zeros_like) for f, _ in functions.values()], [0.0], dtype)
    for i, (name, (_, least)) in enumerate(functions.items()):
        assert error[0, i] >= least, name
        assert np.isnan(value[0, i]) == np.isinf(error[0, i]), name
    finite = [i for i, (_, least) in enumerate(functions.values()) if least < np.inf]
    assert np.all(error[0, finite] < 1.1)


@pytest.mark.parametrize(("dtype", "width"), [(jnp.float64, 1e-3), (jnp.float32, 1e-2)])
def test_large_steps_that_agree_are_not_believed(x64, dtype, width):
    """A narrow feature at 0: quotients of large steps are all zero, to the last digit."""

    def f(x):
        return 5 * x * jnp.exp(-((x / width) ** 2))

    value, error = numerical.derivative(f)(jnp.asarray(0.0, dtype))
    assert abs(value - 5) <= error < 0.01


def test_noise_that_f_makes_itself_is_seen(x64):
    """f computed in float32 inside, with no sign of it in its dtypes."""

    def f(x):
        return jnp.sin(x.astype(jnp.float32)).astype(jnp.float64)

    points = jnp.linspace(0.1, 2.0, 500)
    value, error = jax.jit(jax.vmap(numerical.derivative(f)))(points)
    assert np.mean(np.abs(value - np.cos(points)) <= error) >= 0.98
    assert np.median(error) < 1e-4


def test_second_derivatives_are_within_the_estimate(x64):
    second = [
        (jnp.sin, lambda x: -np.sin(x)),
        (jnp.exp, np.exp),
        (jnp.arctan, lambda x: -2 * x / (1 + x**2) ** 2),
        (lambda x: x**4, lambda x: 12 * x**2),
        (lambda x: jnp.exp(-(x**2)), lambda x: (4 * x**2 - 2) * np.exp(-(x**2))),
        (lambda x: jnp.sin(20 * x), lambda x: -400 * np.sin(20 * x)),
        (lambda x: jnp.log1p(x**2), lambda x: 2 * (1 - x**2) / (1 + x**2) ** 2),
        (lambda x: 5 - 2 * x, lambda x: 0 * x),
    ]
    points = np.array([0.0, 0.1, 0.5, 1.0, 2.0, 3.7, -0.3, -2.3])
    for dtype, typical in ((jnp.float64, 1e-8), (jnp.float32, 1e-2)):

        def together(x, dtype=dtype):
            return jnp.stack([jnp.asarray(f(x), dtype) for f, _ in second])

        x = jnp.asarray(points, dtype)
        value, error = jax.jit(jax.vmap(numerical.hessian(together)))(x)
        x = np.asarray(x, np.float64)
        truth = np.stack([g(x) for _, g in second], axis=1)
        value, error = np.asarray(value, np.float64), np.asarray(error, np.float64)
        assert np.mean(np.abs(value - truth) <= error) >= 0.98
        assert np.median(error / (1 + np.abs(truth))) < typical
