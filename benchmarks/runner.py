"""Runs the parts of the benchmark, each in processes of its own, and keeps one JSON file for each.

A process that hangs, crashes or runs out of memory is reported for the contender that it had in hand,
and a new one goes on with the others.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.preparing import rounded, without_paths
from benchmarks.sweeps import Sweep

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
STOP_AFTER = 30.0  # seconds that one contender's set-up and first call may take at one size
STOP_TIMING = 90.0
STOP_PART = 900.0
PACKAGES = (
    "jaxcalc", "jax", "jaxlib", "numpy", "asdex", "sparsejac", "folx", "torch",
    "scipy", "numdifftools", "optax", "jaxopt", "optimistix",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A module with its own command and a `--json` option.

    Attributes:
        title: what it measures.
        module: its name.
        full: arguments of a full run.
        quick: arguments of a quick run.
        alone: whether it takes so long that it runs only when it is named.
    """

    title: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    alone: bool = False


PARTS = {
    "suite": Part(
        "71 functions of all kinds, with defaults, against the better of plain JAX's transformations",
        "benchmarks.suite",
        quick=("tiny-scalar", "tridiagonal", "bottleneck", "layers-square", "--rounds", "3"),
        alone=True,
    ),
    "ladder": Part("flops and memory by the compiler's count", "benchmarks.ladder"),
    "memory": Part(
        "memory limits and what they cost",
        "benchmarks.memory",
        quick=("--size", "400", "--rounds", "1"),
    ),
    "compile-time": Part(
        "compile time against size", "benchmarks.compile_time", quick=("--rounds", "1")
    ),
}


def machine() -> dict[str, Any]:
    """The machine in words, without its name."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError, AttributeError):
        system = platform.system()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "system": system,
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def versions() -> dict[str, str]:
    """The versions of all that take part; "not installed" for those that don't."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def header(name: str, title: str, *, quick: bool) -> dict[str, Any]:
    """What every file of results begins with."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return {
        "name": name,
        "title": title,
        "date": today,
        "quick": quick,
        "machine": machine(),
        "versions": versions(),
    }


def write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def run_case(name: str, case: Sweep, results: Path, *, quick: bool) -> int:
    """Measure one case in child processes; returns how many contenders failed, sizes counted."""
    sizes = case.sizes[: case.quick] if quick else case.sizes
    data = header(name, case.title, quick=quick) | {
        "size": case.size,
        "sizes": list(sizes),
        "baseline": case.baseline,
        "contenders": list(case.contenders),
        "note": case.note,
        "accuracy": {},
        "measurements": {each: {} for each in case.contenders},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        write(path, data)
        more = ["--quick"] if quick else []
        command = [sys.executable, "-m", "benchmarks.sweep_worker", name, str(path), *more]
        while (failure := _watched(command, path)) is not None:
            data = json.loads(path.read_text("utf-8"))
            if not _blame(data, failure):
                break
            write(path, data)
        data = json.loads(path.read_text("utf-8"))
    data.pop("doing", None)
    for rows in data["measurements"].values():
        for size in sizes:
            rows.setdefault(str(size), {"error": f"not run: {failure}"})
    data["accuracy"] = {
        each: {size: rounded(value) for size, value in rows.items()}
        for each, rows in data["accuracy"].items()
    }
    write(results / f"{name}.json", data)
    return sum("error" in row for rows in data["measurements"].values() for row in rows.values())


def _watched(command: Sequence[str], path: Path) -> str | None:
    """Run a child that says in the file what it does; returns how it failed, or None."""
    log = path.with_name("log")
    with log.open("w") as out:
        child = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        began = time.time()
        while child.poll() is None:
            time.sleep(0.1)
            data = json.loads(path.read_text("utf-8"))
            doing = data.get("doing", {"name": "", "since": began})
            most = STOP_AFTER if doing["name"] in data["contenders"] else STOP_TIMING
            if time.time() - max(began, doing["since"]) > most:
                child.kill()
                child.wait()
                return f"stopped after {most:.0f} s"
    if child.returncode == 0:
        return None
    if child.returncode < 0:
        return f"the process ended with {signal.Signals(-child.returncode).name}"
    lines = log.read_text("utf-8", errors="replace").strip().splitlines() or ["no message"]
    return without_paths(f"the process ended: {lines[-1]}")


def _blame(data: dict[str, Any], failure: str) -> bool:
    """Put a failure down to what was in hand; returns whether there was anything."""
    doing = data.pop("doing", None)
    if doing is None:
        return False
    whole = data["measurements"]
    names = [doing["name"]] if doing["name"] in whole else list(whole)
    for name in names:
        whole[name].setdefault(doing["size"], {"error": failure})
    return True


def run_part(name: str, part: Part, results: Path, *, quick: bool) -> int:
    """Run a module with its own command; returns 1 when it left no figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        arguments = part.quick if quick else part.full
        command = [sys.executable, "-m", part.module, *arguments, "--json", str(path)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=STOP_PART, check=False
            )
            lines = done.stderr.strip().splitlines() or ["no message"]
        except subprocess.TimeoutExpired:
            lines = [f"stopped after {STOP_PART:.0f} s"]
        data = header(name, part.title, quick=quick)
        if path.exists():
            data["figures"] = json.loads(path.read_text("utf-8"))
        else:
            data["error"] = without_paths(lines[-1])
    write(results / f"{name}.json", data)
    return int("error" in data)
