"""The one dataset that ships with the package, for the tour and the examples: handwritten digits."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

import numpy as np

__all__ = ["Digits", "load_digits"]


class Digits(NamedTuple):
    """Images and what they show.

    Attributes:
        images: uint8 of shape (1797, 8, 8), values 0 (paper) to 16 (ink).
        labels: uint8 of shape (1797,), the digit that each image shows.
    """

    images: np.ndarray
    labels: np.ndarray


def load_digits() -> Digits:
    """The test set of the UCI "Optical Recognition of Handwritten Digits", 1,797 images.

    Source: Alpaydin and Kaynak, 1998, https://doi.org/10.24432/C50P49, under CC BY 4.0; see
    `LICENSE-digits.txt` beside this file.

    Returns:
        `Digits(images, labels)`, numpy arrays of unsigned bytes.

    Cost: reads 45 kB from the package; no network.

    Example:
        >>> from jaxcalc.data import load_digits
        >>> digits = load_digits()
        >>> digits.images.shape, digits.labels[:5].tolist()
        ((1797, 8, 8), [0, 1, 2, 3, 4])
    """
    with resources.files(__name__).joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        return Digits(arrays["images"], arrays["labels"])
