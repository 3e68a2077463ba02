"""The network of the tour: one hidden layer, trained on handwritten digits."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.data import load_digits

Parameters = dict[str, dict[str, Any]]

HIDDEN = 32
TRAINING = 1437  # four fifths of the images; the rest is for testing


class Split(NamedTuple):
    """Inputs `[n, 64]` in float32, and labels `[n]` in int32, for training and for testing."""

    inputs: Any
    labels: Any
    test_inputs: Any
    test_labels: Any


def split_digits(seed: int = 0) -> Split:
    """The digits in random order, cut in two, pixels scaled to [-0.5, 0.5]."""
    images, labels = load_digits()
    order = np.random.default_rng(seed).permutation(len(labels))
    inputs = (images.reshape(len(images), -1)[order] / 16 - 0.5).astype(np.float32)
    labels = labels[order].astype(np.int32)
    return Split(
        jnp.asarray(inputs[:TRAINING]),
        jnp.asarray(labels[:TRAINING]),
        jnp.asarray(inputs[TRAINING:]),
        jnp.asarray(labels[TRAINING:]),
    )


def initial_parameters(seed: int = 0) -> Parameters:
    """Weights of variance 1 / inputs (LeCun's initialization), biases zero."""
    rng = np.random.default_rng(seed)

    def layer(inputs: int, outputs: int) -> dict[str, Any]:
        weights = rng.normal(0, inputs**-0.5, (inputs, outputs))
        return {"weights": jnp.asarray(weights, "float32"), "bias": jnp.zeros(outputs, "float32")}

    return {"hidden": layer(64, HIDDEN), "output": layer(HIDDEN, 10)}


def predict(parameters: Parameters, inputs: Any) -> Any:
    """The logits `[n, 10]` of images `[n, 64]`."""
    hidden, output = parameters["hidden"], parameters["output"]
    activity = jnp.tanh(inputs @ hidden["weights"] + hidden["bias"][None])
    return activity @ output["weights"] + output["bias"][None]


def cross_entropy(parameters: Parameters, inputs: Any, labels: Any) -> Any:
    """The mean over images of -log(probability that the network gives to the right digit)."""
    logits = predict(parameters, inputs)
    right = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - right)


def accuracy(parameters: Parameters, inputs: Any, labels: Any) -> float:
    """The share of images whose largest logit is the right digit."""
    return float(jnp.mean(jnp.argmax(predict(parameters, inputs), axis=1) == labels))
