"""Functions that branch on values in Python: they cannot be traced, and have dense derivatives alone."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.choices import Recorded
from tests.fuzz.direct import Calls
from tests.fuzz.scope import Pick

# parts of f: what JAX differentiates in both directions, forward alone, and in reverse alone
_BOTH = [
    "x ** 2", "jnp.sin(x) * x[::-1]", "jnp.cumsum(x)", "jnp.roll(x, 1) * x", "twice(x)",
    "lax.scan(lambda c, t: (c * t, jnp.sin(c + t)), 1.0, x)[1]",
    "lax.fori_loop(0, 3, lambda i, t: jnp.sin(t) + x, x)",
    "lax.cond(x[1] > 0, jnp.sin, jnp.cos, x)", "jnp.sort(x)", "jnp.linalg.solve(np.eye(3) + 0.1, x)",
]  # fmt: skip
_FORWARD = [
    "lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * c[0] + 0.1, c[1] + 1), (x, 0))[0]",
    "solved(x)",
    "lax.fori_loop(0, jnp.int32(x[0] * 0) + 2, lambda i, t: jnp.cos(t), x)",
]
_REVERSE = ["backward(x)", "backward(jnp.sin(x)) * x", "backward(x).sum() * x"]

_HEAD = """\
@jax.custom_jvp
def twice(x):
    return 2 * x
twice.defjvp(lambda p, t: (twice(p[0]), 3 * t[0]))
@jax.custom_jvp
def solved(x):
    return x ** 2
solved.defjvp(lambda p, t: (solved(p[0]), lax.while_loop(
    lambda c: c[1] < 1, lambda c: (2 * p[0] * c[0], c[1] + 1), (t[0], 0))[0]))
@jax.custom_vjp
def backward(x):
    return jnp.sin(x)
backward.defvjp(lambda x: (jnp.sin(x), x), lambda x, d: (1.5 * jnp.cos(x) * d,))
"""
_TWIN = """\
@jax.custom_jvp
def forward(x):
    return jnp.sin(x)
forward.defjvp(lambda p, t: (jnp.sin(p[0]), 1.5 * jnp.cos(p[0]) * t[0]))
"""

# conditions; {c} is replaced by their value in the function that JAX differentiates
_CONDITIONS = [
    "x[0] > {t}",
    "x.sum() < {t}",
    "jnp.all(x > {t})",
    "bool(jnp.any(x > {t}))",
    "jnp.max(x) > {t} and x[1] > -5",
]


def branches(integer: Callable[[int, int], int]) -> Calls:
    """A function of three numbers with one or two `if`s, at two points."""
    pick = Pick(integer)
    way = pick.of(["both", "forward", "reverse"])
    parts = {"both": _BOTH, "forward": _BOTH + _FORWARD * 3, "reverse": _BOTH + _REVERSE * 4}[way]
    first, second, third = (pick.of(parts) for _ in range(3))
    condition = pick.of(_CONDITIONS).format(t=pick.of([-0.4, 0.35, 1.0]))
    form = pick.of(["if", "loop", "both"])
    returned = pick.of(["y", "y", "y.sum()", "jnp.concatenate([y, y * x])", "y[0]"])
    times = "jnp.int32(jnp.abs(lax.stop_gradient(x[1]) * 3))"
    tests = f"    on, count = {condition}, {times if form != 'if' else '0'}\n"
    body = (
        f"    y = ({first}) if on else ({second})\n"
        f"    for _ in range(int(count)):\n        y = y + 0.3 * jnp.sin({third})\n"
        f"    return {returned}\n"
    )
    twin = body.replace("backward", "forward")
    source = (
        f"{_HEAD}{_TWIN}x = np.array([0.3, -0.7, 1.2])\ndef f(x):\n{tests}{body}"
        f"def known(x):\n{tests}    return on, count\n"
        # which branch is taken is known before JAX looks, so that it can be traced
        "taken = [None]\ndef reference(x):\n    on, count = taken[0]\n"
        f"{twin}def look(k):\n    taken[0] = known(x + 0.1 * k)\n"
        "rounds = [(lambda: look(0), ()), (lambda: look(1), ())]\n"
    )
    text = first + second + third
    ways = ["dense", "gradient", "hessian"]
    if not any(part in text for part in ("while_loop", "solved", "jnp.int32")):
        ways.append("reverse")
    else:
        ways = ["dense", "forward"]
    if "backward" not in text:
        ways.append("forward")
    return Calls(
        source, (pick.of(ways),), (way, form), is_made_once=pick.often(50), reference="reference"
    )


def draw(recorded: Recorded, longest: int) -> Calls:
    """A case of this kind."""
    del longest
    return branches(recorded.integer)
