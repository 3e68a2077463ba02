"""What all tests share: float64 on request, the same random numbers in every run, compiled programs."""

from collections.abc import Callable, Iterator
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


Look = Callable[[tuple[Any, ...], dict[str, Any]], Any]
CallsOf = Callable[..., list[Any]]


@pytest.fixture
def calls_of(monkeypatch: pytest.MonkeyPatch) -> CallsOf:
    """Watches a function of a module or class: a list of what `look` makes of each call of it."""

    def watch(owner: Any, name: str, look: Look = lambda args, kwargs: 1) -> list[Any]:
        calls: list[Any] = []
        original = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            finally:  # a call that raises counts as well
                calls.append(look(args, kwargs))

        monkeypatch.setattr(owner, name, watched)
        return calls

    return watch


@pytest.fixture
def staged(calls_of: CallsOf) -> list[int]:
    """Counts the programs that are staged, each of which is compiled when it is called."""
    return calls_of(Staged, "__init__")


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
