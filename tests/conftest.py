"""What all tests share: float64 on request, the same random numbers in every run, bounded memory."""

import sys
from collections.abc import Iterator

import jax
import numpy as np
import pytest

_LARGE = 2_000  # megabytes


@pytest.fixture
def x64() -> Iterator[None]:
    """Run the test with 64-bit types switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="module")
def bounded_memory() -> Iterator[None]:
    """Drop what JAX compiled when a worker has grown large: thousands of small programs add up."""
    yield
    if sys.platform == "win32":
        return
    import resource

    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if megabytes > _LARGE:
        jax.clear_caches()
