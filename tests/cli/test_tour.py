"""The tour runs, shows every concept, and says so with its exit code when something is wrong."""

import io

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxcalc import descent, numerical
from jaxcalc.cli.tour import ladder, run_tour, training
from jaxcalc.cli.tour.network import (
    HIDDEN,
    accuracy,
    cross_entropy,
    initial_parameters,
    predict,
    split_digits,
)
from jaxcalc.cli.tour.report import Report, shown


@pytest.fixture
def report() -> Report:
    return Report(Console(file=io.StringIO(), width=80))


def printed(report: Report) -> str:
    return report.console.file.getvalue()


@pytest.mark.slow  # its parts are looked at below, and the README's first command runs it
def test_the_whole_tour(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    assert run_tour(Console(file=file, width=80)) == 0
    text = file.getvalue()
    for heading in (
        "1. The limit",
        "2. The ladder",
        "3. Which",
        "4. Backprop",
        "5. One",
        "6. Gradient",
    ):
        assert heading in text
    assert "WRONG" not in text
    assert text.rstrip().endswith("checks passed.")
    assert "1000/1000" in capsys.readouterr().err  # the progress bar


def test_a_wrong_value_on_the_ladder_fails(report: Report) -> None:
    estimate = numerical.Estimate(np.float32(24.0), np.float32(0.0))
    exact = np.float32(24.0)
    rungs = [
        ladder.Rung("right", "f", exact, estimate, 24.0),
        ladder.Rung("wrong", "f", exact, estimate, 23.0),
    ]
    off = numerical.Estimate(np.float32(25.0), np.float32(0.0))
    rungs.append(ladder.Rung("numerically", "f", exact, off, 24.0))
    ladder.show_rungs(report, rungs)
    assert list(report.checks.values()) == [True, False, False]
    assert report.verdict() == 1
    assert "2 of 3 checks failed" in printed(report)


def test_too_little_training_fails(report: Report) -> None:
    training.show_descent(report, split_digits(), initial_parameters(), steps=3)
    assert report.checks == {
        "test accuracy is at least 95%": False,
        "parameters agree with Optax": True,
    }


def test_another_run_than_that_of_optax_fails(report: Report) -> None:
    def slower(*args: object, optimizer: float, **kwargs: object) -> object:
        return descent.minimize(*args, optimizer=optimizer * 0.999, **kwargs)

    training.show_descent(report, split_digits(), initial_parameters(), steps=3, minimize=slower)
    assert report.checks["parameters agree with Optax"] is False


def test_wrong_backpropagation_fails(report: Report) -> None:
    def doubled(loss: object) -> object:
        def call(*args: object) -> tuple:
            value, gradients, inputs = descent.backpropagate(loss)(*args)
            return (
                value,
                {**gradients, "output": {k: 2 * g for k, g in gradients["output"].items()}},
                inputs,
            )

        return call

    training.show_backpropagation(report, split_digits(), initial_parameters(), transformation=doubled)
    assert report.checks == {"backpropagation: slope along the gradient": False}


def test_nan_is_a_difference() -> None:
    assert np.isnan(training.largest_difference({"a": jnp.ones(2)}, {"a": jnp.array([1.0, np.nan])}))


def test_training_and_test_images_are_apart() -> None:
    digits = split_digits()
    assert digits.inputs.shape == (1437, 64)
    assert digits.test_inputs.shape == (360, 64)
    rows = {row.tobytes() for row in np.asarray(digits.inputs)}
    # no picture is in both sets, unless the source holds it twice
    assert sum(row.tobytes() in rows for row in np.asarray(digits.test_inputs)) == 0
    assert float(digits.inputs.min()) == -0.5
    assert float(digits.inputs.max()) == 0.5


def test_the_network_against_numpy() -> None:
    digits, parameters = split_digits(), initial_parameters()
    inputs, labels = (np.asarray(a[:50]) for a in digits[:2])
    (b1, w1), (b2, w2) = (
        (np.asarray(parameters[k]["bias"]), np.asarray(parameters[k]["weights"]))
        for k in ("hidden", "output")
    )
    logits = np.tanh(inputs @ w1 + b1) @ w2 + b2
    assert w1.shape == (64, HIDDEN)
    np.testing.assert_allclose(predict(parameters, inputs), logits, atol=1e-5)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(probabilities[np.arange(50), labels]).mean()
    assert float(cross_entropy(parameters, inputs, jnp.asarray(labels))) == pytest.approx(
        expected, rel=1e-5
    )
    assert accuracy(parameters, inputs, labels) == pytest.approx((logits.argmax(1) == labels).mean())


def test_a_check_cannot_be_made_twice(report: Report) -> None:
    report.check("one", True)
    with pytest.raises(ValueError, match="twice"):
        report.check("one", True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (24.0, "24"),
        ([128.0, 48.0], "128 48"),
        ([[384.0, 192.0], [192.0, 48.0]], "384 192\n192  48"),
        (np.zeros((2, 2, 2)), "2x2x2"),
    ],
)
def test_values_as_shown(value: object, expected: str) -> None:
    assert shown(value) == expected
