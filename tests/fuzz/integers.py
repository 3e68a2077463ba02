"""Functions of arrays of integers that change between calls: labels, places, raw keys, masks."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.choices import Recorded
from tests.fuzz.direct import Calls
from tests.fuzz.scope import Pick

# what f returns in terms of x [6] and i; how i is made from the number `k` of the call
_USES: dict[str, tuple[str, str]] = {
    "places": ("x[i] * jnp.sin(x[i])", "rng.integers(0, 6, 4)"),
    "places from the end": ("x[i] ** 2", "rng.integers(-6, 0, 4)"),
    "one place": ("x * x[i]", "rng.integers(0, 6)"),
    "a number of Python": ("jnp.roll(x, i) * x", "int(rng.integers(0, 4))"),
    "labels": (
        "-jnp.take_along_axis(jax.nn.log_softmax(x.reshape(3, 2)), i[:, None], 1)[:, 0]",
        "rng.integers(0, 2, 3)",
    ),
    "one hot": ("jnp.sum(jax.nn.one_hot(i, 3) * x.reshape(2, 3) ** 2, -1)", "rng.integers(0, 3, 2)"),
    "segments": ("jax.ops.segment_sum(x[i] ** 2, i, 6)", "rng.integers(0, 6, 5)"),
    "added at": ("jnp.zeros(6).at[i].add(x[:4] * x[2:])", "rng.integers(0, 6, 4)"),
    "written at": ("jnp.cos(x).at[i].set(x[:2] ** 2)", "rng.permutation(6)[:2]"),
    "raw key": ("x * jax.random.normal(i, (6,))", "jax.random.PRNGKey(k)"),
    "raw key, permuted": ("jax.random.permutation(i, jnp.sin(x))", "jax.random.PRNGKey(k)"),
    "raw key, dropped out": (
        "jnp.where(jax.random.bernoulli(i, 0.5, (6,)), x ** 2, 0)",
        "jax.random.PRNGKey(k)",
    ),
    "mask": ("jnp.where(i, x * x[::-1], 0.0)", "rng.integers(0, 2, 6) > 0"),
    "times integers": ("i * jnp.sin(x)", "rng.integers(0, 3, 6)"),
    "power": ("jnp.tanh(x) ** i", "rng.integers(0, 4, 6)"),
    "slice": ("lax.dynamic_slice(x ** 2, (i,), (3,))", "rng.integers(0, 6).astype(np.int32)"),
    "branch": ("lax.cond(i > 0, lambda x: x ** 2, lambda x: x[::-1], x)", "rng.integers(0, 2)"),
    "switch": ("lax.switch(i, [jnp.sin, lambda x: x[::-1] ** 2, jnp.cos], x)", "rng.integers(0, 3)"),
    "count of a loop": (
        "lax.fori_loop(0, 3, lambda j, t: jnp.where(j < i, jnp.sin(t + x), t), x)",
        "rng.integers(0, 4)",
    ),
    "two": ("x[i[0]] * x[i[1]]", "(rng.integers(0, 6, 3), rng.integers(0, 6, 3))"),
    "sorted": ("x[jnp.argsort(i)] * x", "rng.permutation(6)"),
    "edges": (
        "jax.ops.segment_sum(jnp.tanh(x[i['from']] - x[i['to']]), i['to'], 6)",
        "{'from': rng.integers(0, 6, 5), 'to': rng.integers(0, 6, 5)}",
    ),
}

_WAYS = ["structured", "dense", "sparsity", "gradient", "hessian", "bcoo", "value and gradient"]


def integers(integer: Callable[[int, int], int]) -> Calls:
    """A function of x and integers, and three to five calls with other integers."""
    pick = Pick(integer)
    use = pick.of(list(_USES))
    text, made = _USES[use]
    as_jax = pick.of(["{}", "jax.tree.map(jnp.asarray, {})"]) if "int(" not in made else "{}"
    around = pick.of(["{}", "jnp.sin({})", "2.0 * ({})"]).format(text)
    count, seed = pick.integer(3, 5), pick.integer(0, 50)
    source = (
        "x = np.array([0.3, -0.7, 1.2, 0.9, -0.2, 0.5])\n"
        f"def f(x, i):\n    return {around}\n"
        f"def made(k):\n    rng = np.random.default_rng({seed} + k)\n    return {as_jax.format(made)}\n"
        f"rounds = [(lambda: None, (made(k),)) for k in {_order(pick, count)}]\n"
    )
    return Calls(source, (pick.of(_WAYS),), (use,), is_made_once=pick.often(70))


def _order(pick: Pick, count: int) -> list[int]:
    """Integers that are new each time, or come again."""
    return list(range(count)) if pick.often(60) else [pick.integer(0, 2) for _ in range(count)]


def draw(recorded: Recorded, longest: int) -> Calls:
    """A case of this kind."""
    del longest
    return integers(recorded.integer)
