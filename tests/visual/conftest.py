"""What all tests of pictures share: no screen is needed, and no figure stays open."""

from collections.abc import Iterator

import matplotlib as mpl
import pytest

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    from matplotlib import pyplot as plt

    plt.close("all")
