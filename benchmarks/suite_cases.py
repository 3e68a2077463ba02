"""The functions of the planner's suite: each with its size, and what is expected of its derivative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

if __package__:
    from benchmarks import loop_problems, problems
    from benchmarks import suite_networks as networks
    from benchmarks import suite_problems as others
    from benchmarks.problems import Problem
else:
    import loop_problems
    import problems
    import suite_networks as networks
    import suite_problems as others
    from problems import Problem

Expected = Literal["dense", "structure", "bottleneck"]


@dataclass(frozen=True)
class Case:
    """One function.

    Attributes:
        make: makes the problem.
        expected: where the derivative has structure, or f a bottleneck, that plain JAX wastes, jaxcalc
            must take at most half of its time.
        directions: JAX's transformations that f allows.
    """

    make: Callable[[], Problem]
    expected: Expected = "dense"
    directions: tuple[str, ...] = ("jacfwd", "jacrev")


def _dense(make: Callable[..., Problem], *sizes: int) -> Case:
    return Case(lambda: make(*sizes))


def _structured(make: Callable[..., Problem], *sizes: int) -> Case:
    return Case(lambda: make(*sizes), "structure")


def _bottleneck(make: Callable[..., Problem], *sizes: int) -> Case:
    return Case(lambda: make(*sizes), "bottleneck")


_JACOBIANS: dict[str, Case] = {
    # dense networks
    "layers-square": _dense(networks.layers, 128, 128, 128, 128),
    "layers-large": _dense(networks.layers, 600, 600, 600),
    "layers-wide": _dense(networks.layers, 1000, 64, 10),
    "layers-tall": _dense(networks.layers, 10, 64, 1000),
    "layers-slightly-wide": _dense(networks.layers, 300, 300, 250),
    "layers-slightly-tall": _dense(networks.layers, 250, 300, 300),
    "layers-deep": _dense(networks.layers, *[64] * 21),
    "layers-hidden-wide": _dense(networks.layers, 64, 1024, 64),
    "residual": _dense(networks.residual, 96, 8),
    "by-parameters": _dense(networks.by_parameters, 64),
    "two-heads": _structured(networks.two_heads, 24),
    # small ones
    "tiny": _dense(networks.tiny),
    "curve": Case(lambda: networks.curve(100_000), directions=("jacfwd",)),
    "number": Case(lambda: networks.number(100_000), directions=("jacrev",)),
    "arm": _dense(networks.arm, 7),
    # convolution and attention
    "signal": _structured(networks.signal, 512),
    "classifier": _dense(networks.classifier, 28),
    "convolution-line": _structured(problems.convolution_line, 8),
    "convolution-plane": _structured(problems.convolution_plane, 3),
    "attention-one": _dense(problems.attention, 1),
    "attention-batch": _structured(problems.attention, 16),
    "transformer": _dense(networks.transformer, 16, 16),
    "layer-norm": _structured(problems.layer_norm, 16),
    "softmax": _structured(problems.softmax, 16),
    # linear algebra
    "dense": _dense(problems.dense, 400),
    "solve": _dense(others.solve, 96),
    "inverse": _dense(others.inverse, 20),
    "cholesky": _dense(others.cholesky, 24),
    "eigenvalues": _dense(others.eigenvalues, 32),
    "matrix-square": _structured(others.matrix_square, 28),
    "power-spectrum": _dense(others.power_spectrum, 512),
    # loops
    "recurrent": _dense(others.recurrent, 24),
    "neural-ode": _dense(others.neural_ode, 64),
    "lorenz-63": _dense(others.lorenz_63, 200),
    "logistic-maps": _structured(others.logistic_maps, 256),
    "newton-roots": Case(lambda: others.newton_roots(400), "structure", ("jacfwd",)),
    "diffusion-steps": _structured(others.diffusion_steps, 600),
    "flow-scan": _structured(loop_problems.flow_scan, 50),
    "sinkhorn": _dense(others.sinkhorn, 16),
    "kalman": _dense(others.kalman, 20),
    # structure
    "elementwise": _structured(others.elementwise, 1500),
    "cumulative": _structured(others.cumulative, 800),
    "sorted": _dense(others.sorted_values, 800),
    "arrow": _structured(others.arrow, 1200),
    "tridiagonal": _structured(problems.tridiagonal, 1500),
    "brusselator": _structured(problems.brusselator, 24),
    "heat-plane": _structured(problems.heat_plane, 36),
    "mlp-batch": _structured(problems.mlp, 16),
    "quaternions": _structured(networks.quaternions, 300),
    "polynomials": _structured(others.polynomials, 500),
    "phases": _structured(problems.phases, 5),
    "wide-gather": Case(lambda: others.wide_gather(20_000), "structure", ("jacrev",)),
    "segments": _structured(problems.segments, 2000),
    "interpolated": _structured(others.interpolated, 800),
    "bodies": _dense(others.bodies, 24),
    # bottlenecks
    "bottleneck": _bottleneck(networks.layers, 600, 600, 8, 600, 600),
    "autoencoder": _bottleneck(networks.layers, 400, 128, 12, 128, 400),
    "normalized": _bottleneck(others.normalized, 1200),
}

_HESSIANS: dict[str, Case] = {
    "rosenbrock": _structured(problems.rosenbrock, 800),
    "springs": _structured(problems.springs, 14),
    "loss-by-parameters": _dense(networks.loss_by_parameters, 32),
    "logistic": _dense(networks.logistic, 100),
    "network-energy": _dense(networks.network_energy, 128),
    "tiny-scalar": _dense(networks.tiny_scalar),
    "lennard-jones": _dense(others.lennard_jones, 20),
    "mixture": _dense(others.mixture, 10),
    "separable": _structured(others.separable, 1000),
    "log-determinant": _dense(others.log_determinant, 24),
    "field": _structured(others.field, 28),
    "trajectory": _dense(others.trajectory, 24),
    "portfolio": _dense(others.portfolio, 80),
}

CASES: dict[str, Case] = {
    **_JACOBIANS,
    **{name: Case(case.make, case.expected, ("hessian",)) for name, case in _HESSIANS.items()},
}
