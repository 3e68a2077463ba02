"""Functions with derivative rules of their own that hold loops, callbacks and solvers.

Each rule is written twice: as a user would, and as a closed form with the same derivatives, which JAX
differentiates in both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.fuzz.choices import Recorded
from tests.fuzz.programs import Program
from tests.fuzz.scope import Pick


class _Rule(NamedTuple):
    """A rule as an expression in t, the argument, and d, what comes in, an array like t.

    Attributes:
        text: the rule; it is its own transpose, so it is one of forward and of reverse mode.
        closed: what it equals.
        is_transposable: whether JAX can transpose it.
        is_smooth: whether JAX can differentiate it once more.
    """

    name: str
    text: str
    closed: str
    is_transposable: bool = True
    is_smooth: bool = True


_MATRIX = "A = np.array([[4.0, 1, 0, 0], [1, 3, 1, 0], [0, 1, 2, 0.5], [0, 0, 0.5, 3]])\n"
_RULES = [
    _Rule("plain", "jnp.cos(t) * d", "jnp.cos(t) * d"),
    _Rule("counted loop", "lax.fori_loop(0, 3, lambda i, c: c * jnp.cos(t), d)", "jnp.cos(t) ** 3 * d"),
    _Rule(
        "scan",
        "lax.scan(lambda c, a: (c * a, None), d, jnp.stack([t, jnp.sin(t)]))[0]",
        "t * jnp.sin(t) * d",
    ),
    _Rule(
        "open loop",
        "lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * jnp.cos(t), c[1] + 1), (d, 0))[0]",
        "jnp.cos(t) ** 3 * d",
        is_transposable=False,
    ),
    _Rule(
        "callback",
        "jax.pure_callback(lambda t, d: np.asarray(np.cos(t) * d), jax.ShapeDtypeStruct(t.shape, t.dtype), t, d,"
        " vmap_method='expand_dims')",
        "jnp.cos(t) * d",
        is_transposable=False,
        is_smooth=False,
    ),
    _Rule(
        "callback beside",
        "host(t) * d",
        "jnp.sin(t) * d",
        is_smooth=False,
    ),
    _Rule(
        "conjugate gradients",
        "jax.scipy.sparse.linalg.cg(lambda v: A @ v, d, tol=1e-13, maxiter=30)[0]",
        "np.linalg.inv(A) @ d",
        is_transposable=False,
    ),
    _Rule(
        "conjugate gradients by t",
        "jax.scipy.sparse.linalg.cg(lambda v: (3 + jnp.sin(t)) * v + 0.1 * jnp.sum(v), d, tol=1e-13)[0]",
        "jnp.linalg.solve(jnp.diag(3 + jnp.sin(t)) + 0.1, d)",
        is_transposable=False,
    ),
    _Rule(
        "gmres",
        "jax.scipy.sparse.linalg.gmres(lambda v: A @ v, d, tol=1e-13, solve_method='incremental')[0]",
        "np.linalg.inv(A) @ d",
        is_transposable=False,
    ),
    _Rule(
        "bicgstab",
        "jax.scipy.sparse.linalg.bicgstab(lambda v: A @ v, d, tol=1e-13)[0]",
        "np.linalg.inv(A) @ d",
        is_transposable=False,
    ),
    _Rule(
        "dense solve",
        "jnp.linalg.solve(A + jnp.diag(jnp.sin(t)), d)",
        "jnp.linalg.inv(A + jnp.diag(jnp.sin(t))) @ d",
    ),
    _Rule(
        "solve by cholesky",
        "jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(A + jnp.diag(t ** 2)), True), d)",
        "jnp.linalg.inv(A + jnp.diag(t ** 2)) @ d",
    ),
    _Rule(
        "custom solve",
        "lax.custom_linear_solve(lambda v: (2 + t ** 2) * v, d, lambda m, b: b / m(jnp.ones_like(b)), symmetric=True)",
        "d / (2 + t ** 2)",
    ),
    _Rule(
        "branch",
        "lax.cond(t[0] > 0, lambda c: c * jnp.cos(t), lambda c: 2.0 * c, d)",
        "jnp.where(t[0] > 0, jnp.cos(t), 2.0) * d",
    ),
]

_VALUES = {
    "plain": ("jnp.sin(t) * jnp.sum(t)", True),
    "counted loop": ("lax.fori_loop(0, 2, lambda i, c: jnp.sin(c) + t, t)", True),
    "open loop": (
        "lax.while_loop(lambda c: c[1] < 3, lambda c: (jnp.sin(c[0]) + t, c[1] + 1), (t, 0))[0]",
        True,
    ),
    "callback": ("host(t)", False),
}
_HOST = (
    "def host(t):\n    return jax.pure_callback(lambda t: np.sin(np.asarray(t)),"
    " jax.ShapeDtypeStruct(t.shape, t.dtype), t, vmap_method='expand_dims')\n"
)


def rules(integer: Callable[[int, int], int]) -> Program:
    """A function with one or two such rules in it."""
    pick = Pick(integer)
    traits = {"forward": True, "reverse": True, "smooth": True}
    definitions, twins, names = [], [], []
    count = pick.of([1, 1, 1, 2])
    is_vjp = pick.often(60)
    for k in range(count):
        rule = pick.of(_RULES)
        value = pick.of(list(_VALUES))
        text, is_smooth = _VALUES[value]
        definition, twin = _written(f"g{k}", text, rule, is_vjp=is_vjp)
        definitions.append(definition)
        twins.append(twin)
        names += [f"{'vjp' if is_vjp else 'jvp'}, {rule.name}", f"value, {value}"]
        traits["forward"] &= not is_vjp
        traits["reverse"] &= is_vjp or rule.is_transposable
        traits["smooth"] &= rule.is_smooth and (is_smooth or not is_vjp)
    inner = pick.of(["x", "jnp.sin(x)", "x * x[::-1]"])
    call = pick.of(["g0({})", "jax.jit(g0)({})", "jax.checkpoint(g0)({})"]).format(inner)
    if count == 2:
        call = f"g1(0.3 * {call})"
    looped = is_vjp or traits["reverse"]
    wrapped = ["{}", "{} * x", "jnp.cumsum({})", "{}[:2] * {}[1]"]
    wrapped += ["lax.fori_loop(0, 2, lambda i, x: 0.3 * {} + x, x)"] if looped else []
    outer = pick.of(wrapped)
    call = outer.format(*[call] * outer.count("{}"))
    if "value, callback" in names and ("fori_loop" in call or "checkpoint" in call):
        traits["smooth"] = False  # JAX does not differentiate it twice there
    end = f"def f(x):\n    return {pick.of(['{}', '{}', 'jnp.sum({})']).format(call)}\n"
    head = _MATRIX + _HOST
    return Program(
        head + "".join(definitions) + end,
        head + "".join(twins) + end,
        ((4,),),
        "float64",
        tuple(names),
        False,
        traits["forward"],
        traits["reverse"],
        has_hessian=traits["smooth"],
        has_all_ways=True,
    )


def _written(name: str, value: str, rule: _Rule, *, is_vjp: bool) -> tuple[str, str]:
    """The function with the rule, and with what it equals."""
    head = f"def {name}(t):\n    return {value}\n"

    def by_jvp(text: str, primal: str) -> str:
        return (
            f"@jax.custom_jvp\n{head}"
            f"{name}.defjvp(lambda p, ds: (lambda t, d: ({primal}, {text}))(p[0], ds[0]))\n"
        )

    if not is_vjp:
        return by_jvp(rule.text, f"{name}(t)"), by_jvp(rule.closed, f"{name}(t)")
    written = (
        f"@jax.custom_vjp\n{head}{name}.defvjp(lambda t: ({value}, t), lambda t, d: ({rule.text},))\n"
    )
    return written, by_jvp(rule.closed, value)


def draw(recorded: Recorded, longest: int) -> Program:
    """A case of this kind."""
    del longest
    return rules(recorded.integer)
