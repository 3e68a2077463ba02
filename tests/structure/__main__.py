"""`python -m tests.structure`: how simple the library is, in numbers, and what they must not exceed.

A figure above its limit fails. A limit only ever falls: whoever lowers a figure lowers it.
"""

from __future__ import annotations

import sys

from tests.structure import running, sources

# what is allowed today, and the goal
LIMITS: dict[str, tuple[float, float]] = {
    "runs of f, structured": (1, 1),
    "runs of f, dense direct": (1, 1),
    "runs of f, dense in jit": (1, 1),
    "runs of f, explain": (1, 1),
    "circles of imports": (0, 0),
    "decisions about the method, outside of planning/choose.py": (1, 0),
    "tables of primitives": (7, 1),
    "evaluators of programs": (4, 4),
    "patches in tests": (11, 8),
}


def main() -> int:
    """Print the figures; 1 where one is above its limit."""
    files = sources.sources()
    decisions = [d for d in sources.decisions(files) if not d.startswith("planning/choose.py")]
    figures = {f"runs of f, {name}": float(n) for name, n in running.runs_of_f().items()}
    listed = {
        "circles of imports": [", ".join(sorted(c)) for c in sources.circles(sources.imports(files))],
        "decisions about the method, outside of planning/choose.py": decisions,
        "tables of primitives": sources.tables(files),
        "evaluators of programs": sources.evaluators(files),
        "patches in tests": sources.patches(),
    }
    figures |= {name: float(len(found)) for name, found in listed.items()}
    print(f"{'':60}{'now':>6}{'limit':>7}{'goal':>6}")
    for name, (limit, goal) in LIMITS.items():
        mark = "  !!" if figures[name] > limit else ""
        print(f"{name:60}{figures[name]:6.0f}{limit:7.0f}{goal:6.0f}{mark}")
    for name, (n, hops) in running.files_and_hops().items():
        print(f"files and hops of a first call, {name:28}{n:6}{hops:7}")
    print(f"{'lines of the library':60}{sources.lines():6}")
    if "--calls" in sys.argv:
        for name, (ours, theirs) in running.microseconds_of_a_call().items():
            print(f"a recalled call, {name:43}{ours:6.1f} us, jax.jit {theirs:.1f} us")
    if "--list" in sys.argv:
        for name, found in listed.items():
            print(f"\n{name}", *found, sep="\n  ")
    return int(any(figures[name] > limit for name, (limit, _) in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
