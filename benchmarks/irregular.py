"""Irregular structures and loops: jaxcalc against JAX, hand-written JAX and asdex.

Arrows, graphs, bundle adjustment, ODE solvers and recurrent networks over a batch, loops whose steps
reach the neighbors only, functions that JAX takes in neither mode, and the objectives of ADBench.
How it is measured and checked is told by `benchmarks.structure`.

Run `python -m benchmarks.irregular [case ...] [--rounds N] [--json FILE]`.
"""

from __future__ import annotations

import sys

if __package__:
    from benchmarks.irregular_cases import CASES
    from benchmarks.structure import main
else:
    from irregular_cases import CASES
    from structure import main

if __name__ == "__main__":
    sys.exit(main(CASES, __doc__))
