"""What all tests share: float64 on request, and the same random numbers in every run."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest


@pytest.fixture
def x64() -> Iterator[None]:
    """Run the test with 64-bit types switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
