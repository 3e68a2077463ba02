"""Stencils in loops, on grids that the band has not filled when the loop ends, or only just has.

The values of a loop of 5 steps depend on inputs 5 places away: its pattern is no fixpoint, and one more
step would widen it. Loops of counted steps, with and without outputs, and of steps that are not known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.fuzz.choices import Recorded
from tests.fuzz.programs import Program
from tests.fuzz.scope import Pick


class _Stencil(NamedTuple):
    """One step of u: an expression, and how far it reaches to each side."""

    name: str
    text: str
    reach: int


_OF_A_LINE = [
    _Stencil("periodic", "u + 0.1 * (jnp.roll(u, 1) - 2 * u + jnp.roll(u, -1))", 1),
    _Stencil("dirichlet", "u + 0.1 * (jnp.pad(u, 1)[2:] - 2 * u + jnp.pad(u, 1)[:-2])", 1),
    _Stencil("neumann", "u + 0.1 * jnp.diff(jnp.pad(u, 1, mode='edge'), n=2)", 1),
    _Stencil("upwind", "u - 0.2 * (u - jnp.roll(u, 1)) * jnp.cos(u)", 1),
    _Stencil("one-sided", "0.9 * u + 0.1 * jnp.concatenate([u[2:], jnp.zeros(2)]) ** 2", 2),
    _Stencil(
        "inside only", "u.at[1:-1].add(0.1 * (u[2:] - 2 * u[1:-1] * jnp.sin(u[1:-1]) + u[:-2]))", 1
    ),
    _Stencil("wide", "u + 0.05 * (jnp.roll(u, 3) - jnp.roll(u, -3)) * (1 + u)", 3),
    _Stencil("convolved", "jnp.convolve(jnp.tanh(u), np.array([0.2, 0.5, 0.3]), mode='same')", 1),
    _Stencil(
        "allen-cahn", "u + 0.1 * (jnp.roll(u, 1) - 2 * u + jnp.roll(u, -1)) + 0.05 * (u - u ** 3)", 1
    ),
    _Stencil(
        "runge-kutta", "(lambda g: u + 0.1 * g(u + 0.05 * g(u)))(lambda v: jnp.roll(v, 1) - v * v)", 2
    ),
    _Stencil(
        "classical runge-kutta",
        "(lambda g, h: (lambda a: (lambda b: (lambda c: u + h / 6 * (a + 2 * b + 2 * c + g(u + h * c)))"
        "(g(u + h / 2 * b)))(g(u + h / 2 * a)))(g(u)))"
        "(lambda v: jnp.roll(v, 1) - 2 * v + jnp.roll(v, -1) - v ** 3, 0.05)",
        4,
    ),
    _Stencil("sparse places", "u + 0.2 * jnp.sin(u[np.arange(1, {n} + 1) % {n}])", 1),
]
_OF_A_PLANE = [
    _Stencil(
        "plane", "w + 0.1 * sum(jnp.roll(w, s, a) for s in (1, -1) for a in (0, 1)) - 0.4 * w * w", 1
    ),
    _Stencil(
        "plane, walls", "w + 0.1 * (jnp.pad(w, 1)[2:, 1:-1] + jnp.pad(w, 1)[1:-1, :-2] - 2 * w)", 1
    ),
    _Stencil("plane, one axis", "w + 0.1 * jnp.sin(jnp.roll(w, 1, 1))", 1),
]

# the loop, with {step} a function of u; JAX has no reverse mode for those that say so
_LOOPS: dict[str, tuple[str, bool]] = {
    "scan": ("lax.scan(lambda u, _: (step(u), None), {u}, None, length={k})[0]", True),
    "fori": ("lax.fori_loop(0, {k}, lambda i, u: step(u), {u})", True),
    "scan, one output": ("lax.scan(lambda u, _: (step(u), u[0]), {u}, None, length={k})", True),
    "scan, some outputs": ("lax.scan(lambda u, _: (step(u), u[::29]), {u}, None, length={k})[1]", True),
    "scan, sum": ("lax.scan(lambda u, _: (step(u), jnp.sum(u[:3])), {u}, None, length={k})", True),
    "while": (
        "lax.while_loop(lambda c: c[0] < {k}, lambda c: (c[0] + 1, step(c[1])), (0, {u}))[1]",
        False,
    ),
    "while, on values": (
        "lax.while_loop(lambda c: (c[0] < {k}) & (jnp.abs(c[1][0]) < 1e3),"
        " lambda c: (c[0] + 1, step(c[1])), (0, {u}))[1]",
        False,
    ),
    "scan, with places": (
        "lax.scan(lambda u, i: (step(u) * (1 + 0.01 * i), u[3]), {u}, jnp.arange({k}.0))[0]",
        True,
    ),
    "scan, backwards": (
        "lax.scan(lambda u, i: (step(u) + 0.1 * i, None), {u}, np.ones({k}), reverse=True)[0]",
        True,
    ),
    "scan, forced": ("lax.scan(lambda u, a: (step(u).at[0].add(a), None), {u}, {u}[:{k}])[0]", True),
    "fori, counted": ("lax.fori_loop(1, {k} + 1, lambda i, u: step(u) + 0.01 * i, {u})", True),
    "nested": (
        "lax.fori_loop(0, {half}, lambda i, u: lax.scan(lambda u, _: (step(u), None), u, None, length=2)[0], {u})",
        True,
    ),
    "two carries": (
        "lax.scan(lambda c, _: ((c[1], 0.5 * c[0] + 0.5 * step(c[1])), None), ({u}, jnp.sin({u})), None, length={k})[0][1]",
        True,
    ),
    "unrolled in part": (
        "lax.scan(lambda u, _: (step(u), None), {u}, None, length={k}, unroll=2)[0]",
        True,
    ),
    "jitted, checkpointed": (
        "lax.fori_loop(0, {k}, lambda i, u: jax.checkpoint(jax.jit(step))(u), {u})",
        True,
    ),
    "map of loops": (
        "lax.map(lambda v: lax.fori_loop(0, {k}, lambda i, u: step(u), v), jnp.stack([{u}, 0.5 * {u}]))[1]",
        True,
    ),
    "vmap of loops": (
        "jax.vmap(lambda v: lax.fori_loop(0, {k}, lambda i, u: step(u), v))(jnp.stack([{u}, 0.5 * {u}]))[0]",
        True,
    ),
}


def loops(integer: Callable[[int, int], int]) -> Program:
    """A rollout of a stencil on 100 to 400 elements, whose band grows until the end."""
    pick = Pick(integer)
    name = pick.of(list(_LOOPS))
    text, has_reverse = _LOOPS[name]
    is_plane = pick.often(25)
    stencil = pick.of(_OF_A_PLANE if is_plane else _OF_A_LINE)
    rows = pick.of([10, 11, 12])
    n = rows * 10 if is_plane else pick.of([100, 100, 101, 110, 120, 128, 150, 200, 400])
    steps = _steps(pick, rows if is_plane else n, stencil.reach)
    step = stencil.text.format(n=n)
    if is_plane:
        step = f"(lambda w: {step})(u.reshape({rows}, 10)).reshape(-1)"
    given = pick.of(["x", "x", "jnp.sin(x)", "x[::-1]"])
    loop = text.format(u="u", k=steps, half=max(1, steps // 2))
    returned = pick.of(["y", "y", "jax.tree.map(jnp.sin, y)", "jax.tree.map(lambda a: a[::7], y)"])
    source = f"def f(x):\n    def step(u):\n        return {step}\n    u = {given}\n    y = {loop}\n    return {returned}\n"
    return Program(source, source, ((n,),), "float64", (name, stencil.name), False, True, has_reverse)


def _steps(pick: Pick, n: int, reach: int) -> int:
    """So many that the band does not fill the grid; at times that it just does, or is overfull."""
    full = -(-n // (2 * reach))  # steps after which a band to both sides reaches everything
    most = min(full - 1, 400 // n * 10)
    few = pick.integer(2, max(2, min(12, most)))
    return pick.of([few, few, few, few, max(2, most), min(full, 30), min(full + 1, 30)])


def draw(recorded: Recorded, longest: int) -> Program:
    """A case of this kind."""
    del longest
    return loops(recorded.integer)
