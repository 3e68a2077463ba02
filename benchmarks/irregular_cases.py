"""The cases of the benchmark of irregular structures: who takes part, and what must be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

if __package__:
    from benchmarks import adbench_problems as adbench
    from benchmarks import irregular_problems as irregular
    from benchmarks import loop_problems as loops
    from benchmarks import peers
    from benchmarks.cases import BY_HAND, OURS, Case, Goal
    from benchmarks.loop_problems import FEATURES, HIDDEN, TIMES
    from benchmarks.problems import Problem
else:
    import adbench_problems as adbench
    import irregular_problems as irregular
    import loop_problems as loops
    import peers
    from cases import BY_HAND, OURS, Case, Goal
    from loop_problems import FEATURES, HIDDEN, TIMES
    from problems import Problem

Make = Callable[[int], Problem]
Format = Literal["dense", "bcoo", "structured"]

_ASDEX = {"asdex": peers.asdex}
_PLAIN = {"jax.jacfwd": peers.jax_whole("jacfwd"), "jax.jacrev": peers.jax_whole("jacrev")}
_HESSIAN = {"jax.hessian": peers.jax_whole("hessian")}
_TOO_LARGE = "plain JAX: the dense derivative does not fit in memory"
_IN_JIT = ("jaxcalc in jit",)


def _arrow(title: str, make: Make) -> Case:
    n = 100_000
    goals = (Goal("entries", 3 * n - 2), Goal("run", 20, ("f",)))
    return Case(title, make, n, 7, goals, left_out=f"{_TOO_LARGE}; asdex: takes n passes")


def _batch(title: str, make: Make, size: int, entries: int, most: float, batched: int = 1) -> Case:
    """Samples that don't mix, against the derivative of one under vmap."""
    hand = {name: peers.by_hand(name[5:-1], batched) for name in BY_HAND}
    goals = (Goal("entries", entries), Goal("run", most, BY_HAND))
    return Case(title, make, size, 3, goals, hand, left_out="plain JAX: see structure's batches")


def _ring(title: str, make: Make, entries: int) -> Case:
    return Case(title, make, 20, 20, (Goal("entries", entries),), {**_ASDEX, **_PLAIN})


def _one_way(format: Format, n: int) -> Case:  # noqa: A002
    title = f"custom_vjp sine times while_loop doubling, n = {n}, {format}"
    left_out = "JAX and asdex: differentiate it in neither mode"
    goals = (Goal("entries", n), Goal("run", 5, ("f",)))
    return Case(title, irregular.one_way, n, 7, goals[: 1 + (format != "dense")], {}, format, left_out)


def _graph(title: str, make: Make, nodes: int, small: int, entries: int) -> Case:
    goals = (
        Goal("entries", entries),
        Goal("run", 1.0, ("asdex",)),
        Goal("set-up", 0.1, ("asdex",)),
    )
    return Case(title, make, nodes, small, goals, _ASDEX, left_out=_TOO_LARGE)


def _plain(
    name: str,
    title: str,
    make: Make,
    size: int,
    small: int,
    plain: Mapping[str, peers.Contender] = _PLAIN,
    hand: Mapping[str, peers.Contender] = MappingProxyType({}),
) -> dict[str, Case]:
    """Never much slower than plain JAX; a dense derivative goes by the structure in `jax.jit` only."""
    others = {**plain, **hand}
    cases = {}
    for format, names in (("structured", OURS), ("dense", _IN_JIT)):  # noqa: A001
        goals = (Goal("run", 1.1, tuple(plain), names),)
        cases[f"{name}-{format}"] = Case(f"{title}, {format}", make, size, small, goals, others, format)
    return cases


CASES: dict[str, Case] = {
    "arrow": _arrow("arrow, x + e0 * sum(x) + x[0], n = 1e5", irregular.arrow),
    "arrow-at": _arrow("arrow, (x + x[0]).at[0].add(sum(x)), n = 1e5", irregular.arrow_at),
    "arrow-joined": _arrow("arrow, by concatenate, n = 1e5", irregular.arrow_joined),
    "arrow-hessian": _arrow(
        "arrow Hessian of sum(x[0] * x[1:]**2) + x[0]**3, n = 1e5; f is the gradient",
        irregular.arrow_hessian,
    ),
    "arrow-hessian-whole": _arrow(
        "arrow Hessian of sum(exp(x)) + x[0] * sum(sin(x)), n = 1e5; f is the gradient",
        irregular.arrow_hessian_whole,
    ),
    "flow-scan": _batch(
        "Lorenz-96, 1000 samples of 6 states, 100 Runge-Kutta steps in scan",
        loops.flow_scan,
        1000,
        36_000,
        1.1,
    ),
    "flow-for": _batch(
        "Lorenz-96, 1000 samples of 6 states, 100 Runge-Kutta steps in fori_loop",
        loops.flow_for,
        1000,
        36_000,
        1.1,
    ),
    "flow-adaptive": Case(
        "Lorenz-96, 100 samples of 6 states, vmap(odeint)",
        loops.flow_adaptive,
        100,
        3,
        (Goal("entries", 3600), Goal("run", 1.2, ("vmap(jacrev)",))),
        {"vmap(jacrev)": peers.by_hand("jacrev")},
        left_out="jax.jacfwd: odeint has reverse mode only",
    ),
    "gru-inputs": _batch(
        "GRU, 64 samples, 20 times, last state by inputs",
        loops.gru_inputs,
        64,
        64 * HIDDEN * TIMES * FEATURES,
        1.2,
    ),
    "gru-state": _batch(
        "GRU, 64 samples, 20 times, last state by first state",
        loops.gru_state,
        64,
        64 * HIDDEN**2,
        1.2,
        batched=2,
    ),
    "gru-all-states": _batch(
        "GRU, 64 samples, 20 times, all states by first state",
        loops.gru_all_states,
        64,
        64 * HIDDEN**2 * TIMES,
        1.2,
        batched=2,
    ),
    "lstm-inputs": _batch(
        "LSTM, 64 samples, 20 times, last state by inputs",
        loops.lstm_inputs,
        64,
        64 * HIDDEN * TIMES * FEATURES,
        1.2,
    ),
    "lstm-state": _batch(
        "LSTM, 64 samples, 20 times, last state and cell by first",
        loops.lstm_state,
        64,
        64 * (2 * HIDDEN) ** 2,
        1.2,
        batched=2,
    ),
    "steps-while": _ring(
        "3 steps of a ring of 20, while_loop with a counter", irregular.steps_while, 140
    ),
    "steps-for": _ring("3 steps of a ring of 20, fori_loop", irregular.steps_for, 140),
    "steps-until": _ring(
        "a ring of 20, while_loop with a condition on the values", irregular.steps_until, 400
    ),
    "one-way-structured": _one_way("structured", 10_000),
    "one-way-bcoo": _one_way("bcoo", 10_000),
    "one-way-dense": _one_way("dense", 300),
    "messages": _graph("messages on a random graph, 1e5 edges", irregular.messages, 20_000, 8, 120_000),
    "messages-hubs": Case(
        "messages on a power-law graph, 1e5 edges",
        irregular.messages_between_hubs,
        20_000,
        8,
        (Goal("entries", 120_000), Goal("run", 5, ("f",)), Goal("set-up seconds", 1)),
        left_out=_TOO_LARGE + "; asdex: as many passes as the largest hub has edges",
    ),
    "message-vectors": _graph(
        "messages of 4 features on a random graph, 25000 edges",
        irregular.message_vectors,
        5000,
        8,
        16 * 30_000,
    ),
    "bundle": Case(
        "bundle adjustment of ADBench, 1e5 observations",
        adbench.bundle,
        100_000,
        12,
        (
            Goal("entries", 29 * 100_000),
            Goal("run", 0.7, ("asdex",)),
            Goal("set-up", 0.1, ("asdex",)),
        ),
        _ASDEX,
        left_out=_TOO_LARGE,
    ),
    **_plain("mixture", "Gaussian mixture, 1000 samples, gradient", adbench.mixture, 1000, 9),
    **_plain(
        "mixture-of-each",
        "Gaussian mixture, likelihood of each of 300 samples",
        adbench.mixture_of_each,
        300,
        9,
        hand={"vmap(grad)": peers.gradients_by_hand},
    ),
    **_plain(
        "mixture-hessian",
        "Gaussian mixture, 200 samples, Hessian; f is the gradient",
        adbench.mixture_hessian,
        200,
        9,
        _HESSIAN,
    ),
    **_plain("memory", "LSTM of ADBench, 128 characters, gradient", adbench.memory_loss, 128, 5),
    **_plain("hand", "hand tracking, 100 points, by the pose", adbench.hand, 100, 6),
    **_plain(
        "hand-surface",
        "hand tracking, 100 points, by pose and places on triangles",
        adbench.hand_surface,
        100,
        6,
    ),
}
