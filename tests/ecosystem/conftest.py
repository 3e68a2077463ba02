"""Programs of other packages, as users write them; each file needs `pip install ".[ecosystem]"`.

What these packages do that Python or JAX advise against is theirs to change: warnings that they
cause fail nothing here. Those of jaxcalc, and of the tests, still do.
"""

import pytest

PACKAGES = r"(equinox|diffrax|optimistix|lineax|flax|distrax|jraph|tensorflow_probability|chex|optax)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let deprecated names be used by the modules of these packages alone."""
    for item in items:
        if "ecosystem" in item.path.parts:
            for category in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}:{PACKAGES}"))


@pytest.fixture(autouse=True)
def double_precision(x64: None) -> None:
    """All of these run in 64 bits, so that right values can be compared closely."""
