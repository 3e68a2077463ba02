"""The digits are the published ones, to the byte, and come with their license."""

import hashlib
from importlib import resources

import numpy as np

from jaxcalc.data import load_digits


def test_shapes_and_range() -> None:
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 16)


def test_class_counts_are_those_of_the_source() -> None:
    _, labels = load_digits()
    # optdigits.names, class distribution of the testing set
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_contents_are_unchanged() -> None:
    images, labels = load_digits()
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_license_ships_with_the_data() -> None:
    text = resources.files("jaxcalc.data").joinpath("LICENSE-digits.txt").read_text()
    assert "CC BY 4.0" in text
    assert "10.24432/C50P49" in text
