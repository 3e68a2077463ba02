"""The second half of the tour: backpropagation, descent, and the same run with Optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxcalc import descent, numerical
from jaxcalc.cli.tour.network import (
    HIDDEN,
    Parameters,
    Split,
    accuracy,
    cross_entropy,
    initial_parameters,
    split_digits,
)
from jaxcalc.cli.tour.report import Report, small

LEARNING_RATE = 0.5
STEPS = 1000
_ACCURACY = 0.95  # what the trained network must reach on images that it has not seen
_DIFFERENCE = 1e-5  # between parameters after the same run here and with Optax, float32


def show_training(report: Report) -> None:
    """Train the network on the digits, and check each part of it."""
    digits, parameters = split_digits(), initial_parameters()
    loss, gradients = show_backpropagation(report, digits, parameters)
    show_one_step(report, digits, parameters, loss, gradients)
    show_descent(report, digits, parameters)


def show_backpropagation(
    report: Report,
    digits: Split,
    parameters: Parameters,
    *,
    transformation: Callable[..., Any] = descent.backpropagate,
) -> tuple[Any, Parameters]:
    """The loss and its gradients with respect to parameters and inputs, checked along one direction."""
    report.heading(
        "4. Backpropagation",
        f"A network 64 -> {HIDDEN} (tanh) -> 10 reads images of handwritten digits, 8 x 8 pixels. "
        "Backpropagation is the gradient of its loss, and no more: nothing is updated yet.",
    )
    backpropagate = jax.jit(transformation(cross_entropy))
    loss, gradients, inputs_gradients = backpropagate(parameters, digits.inputs, digits.labels)
    named = {f"{layer} {name}": g for layer, part in gradients.items() for name, g in part.items()}
    named["the images"] = inputs_gradients
    rows = [(name, "x".join(map(str, g.shape)), f"{_norm(g):.4f}") for name, g in named.items()]
    report.table("gradient of the loss with respect to", "shape", "norm", rows=rows)
    report.say(f"Loss before training: {float(loss):.4f} (guessing gives ln 10 = {np.log(10):.4f}).")
    slope, measured = _norm(gradients), measured_slope(digits, parameters, gradients)
    report.say(
        f"Slope along the gradient: {slope:.6f}, by difference quotients: {measured:.6f} ",
        report.check("backpropagation: slope along the gradient", abs(slope - measured) < 1e-4 * slope),
    )
    return loss, gradients


def measured_slope(digits: Split, parameters: Parameters, gradients: Parameters) -> float:
    """How fast the loss rises along the gradient, by difference quotients in float64."""
    norm = _norm(gradients)
    with jax.enable_x64(True):
        origin = jax.tree.map(_wide, parameters)
        direction = jax.tree.map(lambda g: _wide(g) / norm, gradients)
        inputs = _wide(digits.inputs)

        @jax.jit
        def along(t: Any) -> Any:
            moved = jax.tree.map(lambda p, d: p + t * d, origin, direction)
            return cross_entropy(moved, inputs, digits.labels)

        return float(numerical.derivative(along)(jnp.asarray(0.0)).value)


def _wide(x: Any) -> Any:
    return jnp.asarray(np.asarray(x), "float64")


def show_one_step(
    report: Report, digits: Split, parameters: Parameters, before: Any, gradients: Parameters
) -> None:
    """One use of the update equation."""
    report.heading(
        "5. One step of descent",
        "parameters = parameters - learning_rate * parameters_gradients",
    )
    stepped = descent.update(parameters, gradients, LEARNING_RATE)
    after = jax.jit(cross_entropy)(stepped, digits.inputs, digits.labels)
    report.say(
        f"With a learning rate of {LEARNING_RATE}: loss {float(before):.4f} -> {float(after):.4f} ",
        report.check("one step lowers the loss", after < before),
    )


def show_descent(
    report: Report,
    digits: Split,
    parameters: Parameters,
    *,
    steps: int = STEPS,
    minimize: Callable[..., Any] = descent.minimize,
) -> None:
    """The whole run, here and with Optax."""
    report.heading(
        "6. Gradient descent, and the same run with Optax",
        f"{steps} steps on {len(digits.labels)} images; {len(digits.test_labels)} others, "
        "chosen at random, test the network.",
    )
    minimum = minimize(
        cross_entropy,
        parameters,
        digits.inputs,
        digits.labels,
        optimizer=LEARNING_RATE,
        steps=steps,
        progress=True,
    )
    shown = [0, 1, 10, 100, steps // 2, steps - 1]
    losses, norms = minimum.history
    report.table(
        "step",
        "loss",
        "gradient norm",
        rows=[(k, f"{losses[k]:.6f}", f"{norms[k]:.6f}") for k in shown if k < len(losses)],
    )
    theirs = train_with_optax(digits, parameters, steps)
    both = (minimum.parameters, theirs)
    training, testing = digits[:2], digits[2:]
    percent = "{:.1%}".format
    rows = [
        ("loss", *[f"{float(cross_entropy(p, *training)):.6f}" for p in both], ""),
        ("accuracy on training images", *[percent(accuracy(p, *training)) for p in both], ""),
        (
            "accuracy on test images",
            *[percent(accuracy(p, *testing)) for p in both],
            report.check(
                f"test accuracy is at least {_ACCURACY:.0%}",
                accuracy(minimum.parameters, *testing) >= _ACCURACY,
            ),
        ),
    ]
    report.table("after training", "jaxcalc", "optax.sgd", "", rows=rows)
    difference = largest_difference(*both)
    mark = report.check("parameters agree with Optax", difference <= _DIFFERENCE)
    report.say(f"Largest difference between parameters: {small(difference)} ", mark)


def train_with_optax(digits: Split, parameters: Parameters, steps: int = STEPS) -> Parameters:
    """The loop that one writes by hand with Optax, step by step."""
    optimizer = optax.sgd(LEARNING_RATE)

    @jax.jit
    def step(parameters: Parameters, state: Any) -> tuple[Any, Any]:
        gradients = jax.grad(cross_entropy)(parameters, digits.inputs, digits.labels)
        updates, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state

    state = optimizer.init(parameters)
    for _ in range(steps):
        parameters, state = step(parameters, state)
    return parameters


def largest_difference(left: Any, right: Any) -> float:
    """The largest absolute difference between the leaves of two pytrees; NaN if any is."""
    leaves = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return float(np.max([np.max(np.abs(np.asarray(a) - np.asarray(b))) for a, b in leaves]))


def _norm(tree: Any) -> float:
    return float(np.sqrt(sum(float(jnp.sum(jnp.square(leaf))) for leaf in jax.tree.leaves(tree))))
