"""What the transformations cost beside JAX's own, by the compiler's count, and what the import costs.

Run as `python -m benchmarks.ladder`. Flops and memory (temporary and result) are those of the compiled
programs and do not vary from run to run; a ratio of 1 says that the same program came out, a smaller
one that jaxcalc found a cheaper way. The import is timed in fresh processes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc

MOST = 1.02  # the target for every ratio
MOST_IMPORT = 0.150  # seconds over jax and optax

Transformation = Callable[[Callable[..., Any]], Callable[..., Any]]

PAIRS: dict[str, tuple[Transformation, Transformation]] = {
    "gradient": (jaxcalc.gradient, jax.grad),
    "jacobian": (jaxcalc.jacobian, jax.jacfwd),
    "jacobian forward": (lambda f: jaxcalc.jacobian(f, mode="forward"), jax.jacfwd),
    "jacobian reverse": (lambda f: jaxcalc.jacobian(f, mode="reverse"), jax.jacrev),
    "hessian": (jaxcalc.hessian, jax.hessian),
}


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
    """Flops, and bytes of temporary memory and result, of the compiled program."""
    compiled = jax.jit(transformed).lower(x).compile()
    analysis = compiled.cost_analysis()
    memory = compiled.memory_analysis()
    return {
        "flops": analysis.get("flops", 0.0),
        "memory": float(memory.temp_size_in_bytes + memory.output_size_in_bytes),
    }


def compare() -> float:
    """Print one line for each function and transformation; returns the largest ratio."""
    print(f"{'':18} {'':18} {'flops':>8} {'memory':>8}   (jaxcalc / JAX)")
    worst = 0.0
    for name, (f, x, is_scalar) in functions().items():
        for transformation, (ours, theirs) in PAIRS.items():
            if is_scalar != (transformation in {"gradient", "hessian"}):
                continue
            mine, other = counted(ours(f), x), counted(theirs(f), x)
            ratios = {k: mine[k] / other[k] if other[k] else 1.0 + mine[k] for k in mine}
            worst = max(worst, *ratios.values())
            print(f"{name:18} {transformation:18} " + " ".join(f"{r:8.3f}" for r in ratios.values()))
    return worst


def import_seconds(rounds: int = 9) -> float:
    """The median time of `import jaxcalc` after jax and optax, each in a fresh process."""
    code = (
        "import time, jax, optax; began = time.perf_counter(); import jaxcalc; "
        "print(time.perf_counter() - began)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(rounds)
    ]
    return statistics.median(times)


def main() -> int:
    """Compare, time the import, and say whether the targets are met."""
    worst, seconds = compare(), import_seconds()
    met = worst <= MOST and seconds <= MOST_IMPORT
    print(f"largest ratio of flops or memory {worst:.3f} (target {MOST})")
    print(
        f"import jaxcalc over jax and optax {1e3 * seconds:.0f} ms (target {1e3 * MOST_IMPORT:.0f} ms)"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
