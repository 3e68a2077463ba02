"""What all tests share: float64 on request, the same random numbers in every run, compiled programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxcalc.engine.jaxprs.staged import Staged
from tests import compilation_cache

_LARGE = 1_500  # megabytes


def pytest_configure(config: pytest.Config) -> None:
    compilation_cache.share(config.rootpath)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # once, not in each worker
        compilation_cache.prune(session.config.rootpath)


@pytest.fixture
def x64() -> Iterator[None]:
    """Run the test with 64-bit types switched on."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """The programs that the test compiles, as they come."""
    found: list[str] = []

    def listen(event: str, _: float, **about: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(str(about.get("fun_name", "")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the programs that are staged, each of which is compiled when it is called."""
    made: list[int] = []
    init = Staged.__init__

    def counted(self: Staged, *args: Any) -> None:
        made.append(1)
        init(self, *args)

    monkeypatch.setattr(Staged, "__init__", counted)
    return made


@pytest.fixture(autouse=True, scope="module")
def bounded_memory() -> Iterator[None]:
    """Drop what JAX compiled when a worker has grown large: thousands of small programs add up."""
    yield
    if _megabytes() > _LARGE:
        jax.clear_caches()


def _megabytes() -> float:
    """What this process holds now; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024
