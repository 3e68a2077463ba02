"""What the transformations cost beside JAX's own, by the compiler's count, and what the import costs.

Run as `python -m benchmarks.ladder`. Flops, memory (temporary and result) and bytes moved are those of
the compiled programs and do not vary from run to run; a ratio of 1 says that the same program came out,
a smaller one that jaxcalc found a cheaper way. "jacobian" stands beside the better of `jax.jacfwd` and
`jax.jacrev`, figure by figure. The targets are for flops and memory. Where jaxcalc goes through the
structure it saves flops, and places blocks in the dense result, which XLA counts as bytes moved.
The import is timed in fresh processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc

MOST = 1.02  # the target for flops and memory, beside the same transformation of JAX
MOST_AUTOMATIC = 1.25  # beside the better of two modes, which are told apart by sizes alone
MOST_IMPORT = 0.150  # seconds over jax and optax

Transformation = Callable[[Callable[..., Any]], Callable[..., Any]]


def second_order(f: Callable[..., Any]) -> Callable[..., Any]:
    """The value, the gradient and the Hessian with JAX alone; XLA merges what they share."""
    return lambda x: (*jax.value_and_grad(f)(x), jax.hessian(f)(x))


# ours, and JAX's: where there are several, the best of them for each figure
PAIRS: dict[str, tuple[Transformation, tuple[Transformation, ...]]] = {
    "gradient": (jaxcalc.gradient, (jax.grad,)),
    "value, gradient": (jaxcalc.value_and_gradient, (jax.value_and_grad,)),
    "jacobian": (jaxcalc.jacobian, (jax.jacfwd, jax.jacrev)),
    "jacobian forward": (lambda f: jaxcalc.jacobian(f, mode="forward"), (jax.jacfwd,)),
    "jacobian reverse": (lambda f: jaxcalc.jacobian(f, mode="reverse"), (jax.jacrev,)),
    "hessian": (jaxcalc.hessian, (jax.hessian,)),
    "all of order 2": (jaxcalc.value_gradient_and_hessian, (second_order,)),
}
SCALAR_ONLY = {"gradient", "value, gradient", "hessian", "all of order 2"}


def functions() -> dict[str, tuple[Callable[[Any], Any], Any, bool]]:
    """Functions by name, with an input, and whether the output is a scalar."""
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((20, 30), (30, 8))]

    def network(x: Any) -> Any:
        return jnp.tanh(jnp.tanh(x @ weights[0]) @ weights[1])

    def chain(x: Any) -> Any:
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def loop(x: Any) -> Any:
        return jax.lax.scan(lambda c, _: (jnp.sin(c) * x, None), x, None, length=10)[0]

    point, wide = (jnp.asarray(rng.normal(size=n), jnp.float32) for n in (20, 200))
    tree = {"w": weights[1], "b": jnp.zeros(8)}
    return {
        "network": (network, point, False),
        "network loss": (lambda x: jnp.sum(network(x) ** 2), point, True),
        "chain": (chain, wide, True),
        "softmax": (jax.nn.softmax, point, False),
        "logsumexp": (jax.nn.logsumexp, wide, True),
        "loop": (loop, point, False),
        "norm of a pytree": (lambda p: jnp.sum(jnp.tanh(p["w"] + p["b"]) ** 2), tree, True),
        "elementwise": (lambda x: jnp.sin(x) * x, wide, False),
    }


def counted(transformed: Callable[..., Any], x: Any) -> dict[str, float]:
    """Flops, bytes moved, and bytes of temporary memory and result, of the compiled program."""
    compiled = jax.jit(transformed).lower(x).compile()
    analysis = compiled.cost_analysis()
    memory = compiled.memory_analysis()
    return {
        "flops": analysis.get("flops", 0.0),
        "bytes": analysis.get("bytes accessed", 0.0),
        "memory": float(memory.temp_size_in_bytes + memory.output_size_in_bytes),
    }


def compare() -> list[dict[str, Any]]:
    """Print one line for each function and transformation, and return what it says."""
    print(f"{'':18} {'':18} {'flops':>8} {'bytes':>8} {'memory':>8}   (jaxcalc / JAX)")
    rows = []
    for name, (f, x, is_scalar) in functions().items():
        for transformation, (ours, theirs) in PAIRS.items():
            if is_scalar != (transformation in SCALAR_ONLY):
                continue
            mine, others = counted(ours(f), x), [counted(their(f), x) for their in theirs]
            other = {figure: min(each[figure] for each in others) for figure in mine}
            ratios = {k: mine[k] / other[k] if other[k] else 1.0 + mine[k] for k in mine}
            largest = max(ratios["flops"], ratios["memory"])
            missed = largest > (MOST_AUTOMATIC if transformation == "jacobian" else MOST)
            row = {"function": name, "transformation": transformation, "missed": missed}
            rows.append(row | {k: float(f"{r:.4g}") for k, r in ratios.items()})
            print(f"{name:18} {transformation:18} " + " ".join(f"{r:8.3f}" for r in ratios.values()))
    return rows


def import_seconds(rounds: int = 9) -> float:
    """The median time of `import jaxcalc` after jax and optax, each in a fresh process."""
    code = (
        "import time, jax, optax; began = time.perf_counter(); import jaxcalc; "
        "print(time.perf_counter() - began)"
    )
    with TemporaryDirectory() as folder:  # compiled modules are kept, whatever the environment says
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        run = [sys.executable, "-c", code]
        times = [
            float(subprocess.run(run, capture_output=True, check=True, env=environment).stdout)
            for _ in range(1 + rounds)
        ]
    return statistics.median(times[1:])


def main() -> int:
    """Compare, time the import, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write all figures as JSON")
    given = parser.parse_args()
    rows, seconds = compare(), import_seconds()
    missed = sum(row["missed"] for row in rows)
    if given.json is not None:
        given.json.write_text(json.dumps({"rows": rows, "import_seconds": seconds}), "utf-8")
    met = not missed and seconds <= MOST_IMPORT
    print(f"{missed} over the target (flops and memory at most {MOST}, automatic {MOST_AUTOMATIC})")
    print(
        f"import jaxcalc over jax and optax {1e3 * seconds:.0f} ms (target {1e3 * MOST_IMPORT:.0f} ms)"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
