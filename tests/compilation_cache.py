"""The compilation cache that all tests share: both workers, later runs, and the programs of some tests.

Most of what the tests take is XLA compiling small programs, and many tests compile the same ones.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax

_MOST = 2**30  # bytes; the least recently used are dropped
_OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_enable_compilation_cache": True,
}


def folder(root: Path) -> Path:
    """Where it is: what one version of JAX or of Python compiles is no use to another."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return root / ".cache" / "jax" / f"{jax.__version__}-python{python}"


def share(root: Path) -> None:
    """Use it here."""
    for name, value in _settings(root).items():
        jax.config.update(name, value)


def environment(root: Path) -> dict[str, str]:
    """What makes a program use it: not one whose stderr is looked at, where XLA says what it loads."""
    return {name.upper(): str(value) for name, value in _settings(root).items()}


def _settings(root: Path) -> dict[str, Any]:
    place = folder(root)
    place.mkdir(parents=True, exist_ok=True)
    return {"jax_compilation_cache_dir": str(place), **_OPTIONS}


def prune(root: Path) -> None:
    """Drop what was not used for longest, down to a gigabyte, and what other versions left."""
    cache = root / ".cache" / "jax"
    files = [file for file in cache.rglob("*") if file.is_file()]
    known = {file: file.stat() for file in files}
    total = sum(stat.st_size for stat in known.values())
    for file in sorted(files, key=lambda file: known[file].st_atime):
        if total <= _MOST:
            return
        with suppress(FileNotFoundError):  # another run drops it too
            file.unlink()
        total -= known[file].st_size
