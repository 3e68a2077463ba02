"""The cases that `python -m benchmarks` measures over sizes: who takes part, and what is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import jaxcalc
from benchmarks import (
    descent,
    irregular_problems,
    loop_problems,
    peers,
    peers_numerical,
    peers_torch,
    problems,
    suite_networks,
)
from benchmarks.peers import Contender, Ready

Size = int | str


def derivative_error(problem: problems.Problem, ready: Ready, result: Any) -> float:
    """The largest difference from JAX's dense derivative in float64, relative to its largest entry."""
    plain = jax.jacfwd if problem.order == 1 else jax.hessian
    with jax.enable_x64(True):
        args = jax.tree.map(lambda x: x.astype("float64"), problem.args)
        expected = np.asarray(plain(problem.f)(*args)).reshape(peers.matrix_shape(problem))
    off = np.abs(peers.matrix(problem, ready, result) - expected)
    return float(np.max(off) / np.max(np.abs(expected)))


def parameters_error(problem: descent.Problem, _: Ready, result: Any) -> float:
    """The largest difference of the last parameters from those of a loop in float64, as above."""
    with jax.enable_x64(True):
        args = jax.tree.map(lambda x: x.astype("float64"), problem)
        expected = descent.bare(args, descent.OPTIMIZERS["sgd"]())()
        pairs = zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=False)
        off = max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs)
    return off / max(float(np.max(np.abs(x))) for x in jax.tree.leaves(expected))


@dataclass(frozen=True)
class Sweep:
    """One case at several sizes.

    Attributes:
        title: what is differentiated.
        make: makes the problem for a size.
        sizes: in growing order; names, where what varies is not a size.
        contenders: everyone, by name, the baseline first.
        size: what the size counts.
        error: how far a result is off.
        checked: how many of the sizes, from the first on, results are checked at.
        float64: whether everyone computes in float64.
        quick: how many of the sizes a quick run takes.
        note: what a reader has to know.
    """

    title: str
    make: Callable[[Any], Any]
    sizes: tuple[Size, ...]
    contenders: Mapping[str, Contender]
    size: str = "n"
    error: Callable[[Any, Ready, Any], float] = derivative_error
    checked: int = 1
    float64: bool = False
    quick: int = 2
    note: str = ""

    @property
    def baseline(self) -> str:
        """Whose time the others are divided by."""
        return next(iter(self.contenders))


_F: dict[str, Contender] = {"f": peers.evaluation}
_OURS: dict[str, Contender] = {
    "jaxcalc": peers.jaxcalc_call("structured"),
    "jaxcalc in jit": peers.jaxcalc_in_jit("structured"),
}
_OURS_DENSE: dict[str, Contender] = {
    "jaxcalc": peers.jaxcalc_call("dense"),
    "jaxcalc in jit": peers.jaxcalc_in_jit("dense"),
}
_PLAIN = {f"jax.{name}": peers.jax_whole(name) for name in ("jacfwd", "jacrev")}
_HAND = {f"vmap({name})": peers.by_hand(name) for name in ("jacfwd", "jacrev")}
_HESSIAN = {"jax.hessian": peers.jax_whole("hessian")}
_ASDEX: dict[str, Contender] = {"asdex": peers.asdex}
_COLORED: dict[str, Contender] = {**_ASDEX, "sparsejac": peers.sparsejac}


def _torch(*names: str, of: peers_torch.Function) -> dict[str, Contender]:
    return {f"torch.func.{name}": peers_torch.whole(name, of) for name in names}


def _layers(n: int) -> problems.Problem:
    return suite_networks.layers(n, 8, n)


def _descent(name: str) -> Contender:
    setup = (descent.CONTENDERS | descent.SGD_ONLY)[name]

    def prepare(problem: descent.Problem) -> Ready:
        return Ready(setup(problem, descent.OPTIMIZERS["sgd"]()))

    return prepare


_LINE = (100, 1_000, 10_000, 100_000, 1_000_000)

CASES: dict[str, Sweep] = {
    "tridiagonal": Sweep(
        "Jacobian of a tridiagonal stencil with a nonlinear term, R^n to R^n",
        problems.tridiagonal,
        _LINE,
        {**_F, **_OURS, **_PLAIN, **_COLORED, "folx": peers.folx}
        | _torch("jacfwd", "jacrev", of=peers_torch.tridiagonal),
    ),
    "brusselator": Sweep(
        "Jacobian of the Brusselator, two species on a periodic m x m grid",
        problems.brusselator,
        (8, 24, 72, 216, 648),
        {**_F, **_OURS, **_PLAIN, **_COLORED},
        size="m",
    ),
    "heat-plane": Sweep(
        "Jacobian of a step of nonlinear diffusion on an m x m grid",
        problems.heat_plane,
        (10, 32, 100, 320, 1000),
        {**_F, **_OURS, "by hand": peers.plane_by_hand, **_PLAIN, **_COLORED},
        size="m",
        note="*by hand* writes the five diagonals down and joins them.",
    ),
    "rosenbrock": Sweep(
        "Hessian of the chained Rosenbrock function, R^n to R; f is its gradient",
        problems.rosenbrock,
        _LINE,
        {**_F, **_OURS, **_HESSIAN, **_ASDEX, **_torch("hessian", of=peers_torch.rosenbrock)},
    ),
    "mlp": Sweep(
        "Jacobian of a 3-layer network on a batch, 64 to 16 features, no vmap in it",
        problems.mlp,
        (4, 16, 64, 256, 1024),
        {**_F, **_OURS, **_HAND, **_PLAIN, **_ASDEX}
        | {"torch.func.vmap(jacrev)": peers_torch.by_hand("jacrev", peers_torch.mlp)}
        | _torch("jacrev", of=peers_torch.mlp),
        size="batch",
        note="*vmap(...)* is what a user writes who knows that samples do not mix.",
    ),
    "ode": Sweep(
        "Jacobian of 100 Runge-Kutta steps of Lorenz-96 in a scan, a batch of 6 states",
        loop_problems.flow_scan,
        (10, 50, 250, 1_250, 6_250),
        {**_F, **_OURS, **_HAND, **_PLAIN, **_ASDEX},
        size="batch",
        quick=1,
        note="*vmap(...)* is what a user writes who knows that samples do not mix.",
    ),
    "gru": Sweep(
        "Jacobian of the last state of a GRU over 20 times with respect to its inputs, a batch",
        loop_problems.gru_inputs,
        (4, 16, 64, 256),
        {**_F, **_OURS, **_HAND, **_PLAIN},
        size="batch",
        quick=1,
    ),
    "arrow": Sweep(
        "Jacobian with a full row, a full column and a diagonal, R^n to R^n",
        irregular_problems.arrow,
        _LINE,
        {**_F, **_OURS, **_PLAIN, **_COLORED},
    ),
    "graph": Sweep(
        "Jacobian of messages on a random graph, 5 edges for each of n nodes",
        irregular_problems.messages,
        (100, 1_000, 10_000, 100_000),
        {**_F, **_OURS, **_PLAIN, **_ASDEX},
    ),
    "bottleneck": Sweep(
        "dense Jacobian of a network n to 8 to n",
        _layers,
        (64, 256, 1024, 4096),
        {**_F, **_OURS_DENSE, **_PLAIN, **_torch("jacfwd", "jacrev", of=peers_torch.layers)},
    ),
    "dense": Sweep(
        "dense Jacobian of tanh(W tanh(W x)), R^n to R^n",
        problems.dense,
        (30, 100, 300, 1000),
        {**_F, **_OURS_DENSE, **_PLAIN, **_torch("jacfwd", "jacrev", of=peers_torch.dense)},
    ),
    "small": Sweep(
        "dense Jacobian of a small function, sin(x) sum(x^2), R^n to R^n, called from Python",
        problems.waves,
        (2, 8, 32, 128),
        {**_F, **_OURS_DENSE, **_PLAIN}
        | {"jax.jacfwd, no jit": peers.transformed(jax.jacfwd, compiled=False)}
        | _torch("jacfwd", of=peers_torch.waves),
    ),
    "gradient": Sweep(
        "gradient of logsumexp(sin(x) x), R^n to R",
        problems.logsumexp,
        (10, 1_000, 100_000, 1_000_000),
        {
            **_F,
            "jaxcalc": peers.transformed(jaxcalc.gradient, compiled=False),
            "jaxcalc in jit": peers.transformed(jaxcalc.gradient),
            "jax.grad": peers.transformed(jax.grad),
            "jax.grad, no jit": peers.transformed(jax.grad, compiled=False),
            **_torch("grad", of=peers_torch.logsumexp),
        },
    ),
    "shuffled": Sweep(
        "Jacobian of sin(x) x[p] + x[q]^2 with random p and q: a few colors suffice",
        problems.shuffled,
        _LINE,
        {**_F, **_OURS, **_PLAIN, **_COLORED},
    ),
    "elementwise": Sweep(
        "Jacobian of 20 steps on each element: one color suffices",
        problems.elementwise,
        _LINE,
        {**_F, **_OURS, **_PLAIN, **_COLORED},
    ),
    "numerical": Sweep(
        "numerical Jacobian of sin(x) exp(x[0]) + x^2, R^n to R^n, float64",
        peers_numerical.vector,
        (2, 8, 32, 128),
        peers_numerical.CONTENDERS,
        error=peers_numerical.error,
        checked=4,
        float64=True,
    ),
    "numerical-accuracy": Sweep(
        "numerical derivatives of functions of a number, float64",
        peers_numerical.scalar,
        tuple(peers_numerical.FUNCTIONS),
        peers_numerical.CONTENDERS,
        size="function",
        error=peers_numerical.error,
        checked=len(peers_numerical.FUNCTIONS),
        float64=True,
        quick=2,
    ),
    "descent": Sweep(
        f"{descent.STEPS:,} steps of gradient descent, network of 8, h and 2 units, batch of 32",
        lambda hidden: descent.network(8, hidden, 2, 32),
        (4, 16, 64, 256),
        {
            name: _descent(name)
            for name in ("recorded", "bare", "python", "minimize", *descent.SGD_ONLY)
        },
        size="h",
        error=parameters_error,
        checked=4,
    ),
}
