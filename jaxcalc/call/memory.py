"""How much memory there is, and how much of it a derivative may use."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import jax

from jaxcalc.heuristics import heuristics

_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNITS = {"": 1, **{f"{p}iB": 1 << 10 * (i + 1) for i, p in enumerate("KMGT")}}
_UNITS |= {"B": 1, **{f"{p}B": 10 ** (3 * (i + 1)) for i, p in enumerate("KMGT")}}
_IN_BYTES = {unit.lower(): size for unit, size in _UNITS.items()}


def available_bytes() -> int:
    """The memory of the device that results are made on; of the machine, where that is a CPU."""
    told = heuristics().memory_bytes
    if told is not None:
        return told
    device = jax.local_devices()[0]
    stats: dict[str, Any] = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    return min(_physical_bytes(), _allowed_bytes())


def default_limit() -> int:
    """The workspace that is allowed when nobody says: a quarter of the memory."""
    return int(heuristics().share_of_memory * available_bytes())


def limit_in_bytes(api: str, memory_limit: int | str | None) -> int | None:
    """`memory_limit` as the public functions take it, in bytes; None is the default.

    Raises:
        ValueError: it is no positive number of bytes.
    """
    if memory_limit is None:
        return None
    size = in_bytes(memory_limit)
    if size is None:
        raise ValueError(
            f"{api}: memory_limit must be a positive number of bytes, got {memory_limit!r}; give one "
            "such as 1000000, '256MiB' or '1GiB'."
        )
    return size


def in_bytes(given: Any) -> int | None:
    """A size as a number of bytes: a number, or a text such as 256MiB, 1GiB or 2 GB (2 * 1000**3).

    None where it is neither, or not positive.
    """
    if isinstance(given, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*([a-z]*)\s*", given.lower())
        if match is None or match[2] not in _IN_BYTES:
            return None
        given = int(float(match[1]) * _IN_BYTES[match[2]])
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    return given if is_number and float(given) > 0 else None


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a system of the Unix family
        return heuristics().unknown_memory


def _allowed_bytes(files: Sequence[str] = _CGROUP) -> int:
    """What a container allows its processes."""
    for name in files:
        path = Path(name)
        if path.is_file():
            text = path.read_text("ascii").strip()
            if text.isdigit():
                return int(text)
    return _physical_bytes()


def in_words(size: float) -> str:
    """A number of bytes as people write it: 640 B, 9.2 MiB, 64 GiB."""
    units = iter(["B", "KiB", "MiB", "GiB", "TiB"])
    unit = next(units)
    while size >= 1000:  # three digits before the next unit
        following = next(units, None)
        if following is None:
            break
        size, unit = size / 1024, following
    return f"{size:,.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.3g} {unit}"
