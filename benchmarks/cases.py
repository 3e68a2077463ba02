"""The cases of the structure benchmark: which problem, who takes part, and what must be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

if __package__:
    from benchmarks import peers, problems
else:
    import peers
    import problems

OURS = ("jaxcalc", "jaxcalc in jit")
BY_HAND = ("vmap(jacfwd)", "vmap(jacrev)")
Figure = Literal["run", "set-up", "set-up seconds", "entries", "temporary memory"]


@dataclass(frozen=True)
class Goal:
    """What jaxcalc must reach: a figure of `names` is at most `most` times that of `against`.

    Attributes:
        figure: run and set-up times and temporary memory are compared with the best of `against`
            (memory with the dense derivative); seconds stand alone, entries are exact.
        most: the largest quotient, the seconds, or the number of entries.
        against: contenders; those that failed or do not take part are left out.
        names: whose figure it is.
    """

    figure: Figure
    most: float
    against: tuple[str, ...] = ()
    names: tuple[str, ...] = OURS


@dataclass(frozen=True)
class Case:
    """One row of the benchmark.

    Attributes:
        title: what is differentiated.
        make: makes the problem for a size.
        size: the size that is timed.
        small: the size at which all entries are compared with JAX's dense derivative, in float64.
        goals: what must be reached.
        others: contenders beside f and jaxcalc.
        format: the format that is asked of jaxcalc.
        left_out: why plain JAX, or a peer, does not take part.
    """

    title: str
    make: Callable[[int], problems.Problem]
    size: int
    small: int
    goals: tuple[Goal, ...]
    others: Mapping[str, peers.Contender] = field(default_factory=dict)
    format: Literal["dense", "bcoo", "structured"] = "structured"
    left_out: str = ""

    def contenders(self) -> dict[str, peers.Contender]:
        """Everyone who takes part, by name, the baseline first."""
        ours = {
            "jaxcalc": peers.jaxcalc_call(self.format),
            "jaxcalc in jit": peers.jaxcalc_in_jit(self.format),
        }
        return {"f": peers.evaluation, **ours, **self.others}


_ASDEX = {"asdex": peers.asdex}
_JACOBIANS = {"jax.jacfwd": peers.jax_whole("jacfwd"), "jax.jacrev": peers.jax_whole("jacrev")}
_HAND = {"vmap(jacfwd)": peers.by_hand("jacfwd"), "vmap(jacrev)": peers.by_hand("jacrev")}
_TOO_LARGE = "plain JAX: the dense derivative does not fit in memory ({} TB)"


def _against_f(most: float) -> Goal:
    return Goal("run", most, ("f",))


def _batch(
    title: str, make: Callable[[int], problems.Problem], size: int, entries: int, *more: Goal
) -> Case:
    goals = (Goal("entries", entries), *(more or (Goal("run", 1.2, BY_HAND),)))
    return Case(title, make, size, 3, goals, {**_HAND, **_ASDEX, **_JACOBIANS})


CASES: dict[str, Case] = {
    "tridiagonal": Case(
        "tridiagonal stencil with a nonlinear term, n = 1e5",
        problems.tridiagonal,
        100_000,
        12,
        (
            Goal("entries", 299_998),
            _against_f(2),
            Goal("run", 0.5, ("asdex",)),
            Goal("set-up", 0.15, ("asdex",)),
        ),
        {**_ASDEX, "sparsejac": peers.sparsejac, "folx": peers.folx},
        left_out=_TOO_LARGE.format(0.04),
    ),
    "brusselator-256": Case(
        "Brusselator, 2 x 256 x 256",
        problems.brusselator,
        256,
        6,
        (Goal("entries", 12 * 256**2), _against_f(2), Goal("set-up seconds", 2)),
        _ASDEX,
        "bcoo",
        _TOO_LARGE.format(0.07),
    ),
    "brusselator-1024": Case(
        "Brusselator, 2 x 1024 x 1024",
        problems.brusselator,
        1024,
        6,
        (Goal("entries", 12 * 1024**2), _against_f(10), Goal("set-up seconds", 10)),
        {},
        "bcoo",
        _TOO_LARGE.format(18) + "; asdex: see brusselator-256",
    ),
    "rosenbrock": Case(
        "chained Rosenbrock Hessian, n = 1e5; f is the gradient",
        problems.rosenbrock,
        100_000,
        12,
        (Goal("entries", 299_998), _against_f(1.2), Goal("run", 0.5, ("asdex",))),
        _ASDEX,
        left_out=_TOO_LARGE.format(0.04),
    ),
    "mlp-64": _batch(
        "3-layer MLP on a batch of 64",
        problems.mlp,
        64,
        64 * 64 * 16,
        Goal("run", 1.1, ("vmap(jacrev)",)),
        Goal("run", 1 / 30, ("jax.jacrev",)),
    ),
    "mlp-256": Case(
        "3-layer MLP on a batch of 256",
        problems.mlp,
        256,
        3,
        (Goal("entries", 256 * 64 * 16), Goal("run", 1.1, ("vmap(jacrev)",))),
        _HAND,
        left_out="plain JAX and asdex: see mlp-64",
    ),
    "layer-norm": _batch("layer norm, 64 x 64", problems.layer_norm, 64, 64**3),
    "softmax": _batch("softmax, 64 x 64", problems.softmax, 64, 64**3),
    "attention": _batch(
        "attention within a sample, 64 samples, 8 tokens of 8 features",
        problems.attention,
        64,
        64 * 64**2,
    ),
    "convolution-1d": _batch(
        "1-D convolution net, 64 samples of length 64, 2 channels",
        problems.convolution_line,
        64,
        64 * (5 * 64 - 6) * 4,
    ),
    "convolution-2d": _batch(
        "2-D convolution net, 16 images of 16 x 16",
        problems.convolution_plane,
        16,
        16 * (5 * 16 - 6) ** 2,
    ),
    "dense": Case(
        "dense tanh(W tanh(W x)), 1000 to 1000",
        problems.dense,
        1000,
        7,
        (Goal("run", 0.7, tuple(_JACOBIANS), names=("jaxcalc in jit",)),),
        _JACOBIANS,
        "dense",
    ),
    "phases": Case(
        "jax's issue 215, by lm, structured",
        problems.phases,
        10,
        2,
        (Goal("entries", 40_960), Goal("temporary memory", 2, names=("jaxcalc in jit",))),
        {"jax.jacfwd": _JACOBIANS["jax.jacfwd"], **_ASDEX},
        left_out="jax.jacrev: takes gigabytes",
    ),
    "phases-dense": Case(
        "jax's issue 215, by lm, dense",
        problems.phases,
        10,
        2,
        (Goal("temporary memory", 2, names=("jaxcalc in jit",)),),
        {"jax.jacfwd": _JACOBIANS["jax.jacfwd"]},
        "dense",
        left_out="jax.jacrev: takes gigabytes",
    ),
    "wave": Case(
        "wave stencil sin(u) * Laplacian, 64^3",
        problems.wave,
        64,
        4,
        (Goal("entries", 7 * 64**3 - 6 * 64**2), _against_f(3.5)),
        _ASDEX,
        left_out=_TOO_LARGE.format(0.27),
    ),
    "heat": Case(
        "heat u + 0.1 (1 + u^2) laplace(u), n = 1e6",
        problems.heat,
        1_000_000,
        12,
        (Goal("entries", 3_000_000 - 2), _against_f(2.5)),
        left_out=_TOO_LARGE.format(4) + "; asdex: half a minute of set-up",
    ),
    "heat-2d": Case(
        "heat u + 0.1 (1 + u^2) laplace(u), 1000 x 1000",
        problems.heat_plane,
        1000,
        4,
        # no run against f: joining the values alone takes 3 f, as the one by hand shows
        (Goal("entries", 5_000_000 - 4000), Goal("run", 1.2, ("by hand",))),
        {"by hand": peers.plane_by_hand},
        left_out=_TOO_LARGE.format(4) + "; asdex: half a minute of set-up",
    ),
    "springs": Case(
        "spring network energy, 100 x 100, Hessian; f is the gradient",
        problems.springs,
        100,
        4,
        (_against_f(8), Goal("set-up seconds", 1)),
        _ASDEX,
        left_out="plain JAX: the dense Hessian takes 1.6 GB",
    ),
    "segments": Case(
        "segment_sum(x**2, arange(300) // 30, 10)",
        problems.segments,
        300,
        20,
        (Goal("entries", 300),),
        {**_ASDEX, **_JACOBIANS},
    ),
}
