"""Functions that read what changes between two calls: attributes, closures, lists, arrays in place.

The second call must see the change, whatever way the function reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.fuzz.choices import Recorded
from tests.fuzz.direct import Calls
from tests.fuzz.scope import Pick


class _State(NamedTuple):
    """What f reads.

    Attributes:
        first: what it is, as source; `later`: what it becomes.
        read: an expression in x and `{s}`, the state.
    """

    name: str
    first: str
    later: tuple[str, ...]
    read: str


_STATES = [
    _State("number", "2.0", ("5.0", "0.0", "-1.5"), "{s} * x ** 2"),
    _State("integer", "1", ("2", "3", "0"), "jnp.sin(x) * jnp.roll(x, {s})"),
    _State("flag", "True", ("False", "True"), "(x ** 2 if {s} else x[::-1] * x)"),
    _State(
        "places", "np.array([0, 1, 2])", ("np.array([3, 3, 0])", "np.array([2, 0, 1])"), "x[{s}] ** 2"
    ),
    _State(
        "weights",
        "np.array([1.0, -2.0, 0.5, 3.0])",
        ("np.array([0.0, 1.0, 0.0, 1.0])", "np.array([-1.0, 2.0, 0.3, 0.1])"),
        "{s} * jnp.sin(x)",
    ),
    _State(
        "weights of jax",
        "jnp.array([1.0, -2.0, 0.5, 3.0])",
        ("jnp.array([0.0, 1.0, 0.0, 1.0])",),
        "jnp.cos(x) * {s}",
    ),
    _State("matrix", "np.eye(4)", ("np.triu(np.ones((4, 4)))", "2 * np.eye(4)"), "{s} @ jnp.sin(x)"),
    _State("large array", "np.ones(600)", ("3 * np.ones(600)", "np.zeros(600)"), "x ** 2 * {s}.sum()"),
    _State("function", "jnp.sin", ("jnp.cos", "(lambda t: t[::-1] ** 2)"), "{s}(x) * x"),
    _State("tuple", "(1, 2)", ("(3, 0)", "(0, 0)"), "x * x[{s}[0]] + x[{s}[1]]"),
    _State(
        "numbers in a list",
        "[1.0, 2.0]",
        ("[0.0, 1.0]", "[3.0]"),
        "sum(w * x ** k for k, w in enumerate({s}))",
    ),
    _State(
        "numbers by name",
        "{'w': 2.0}",
        ("{'w': 3.0}", "{'w': 0.5, 'v': 1.0}"),
        "sum({s}.values()) * jnp.sin(x)",
    ),
]

_KEEPER = "class Keeper:\n    pass\n"

# how f holds the state: lines that make f, with {state} its first value and {read} what f returns in
# terms of {s}; how the state is replaced by {new}; and how f reads it
_HOLDERS: dict[str, tuple[str, str, str]] = {
    "bound method": (
        "class Model:\n    def __init__(self, s):\n        self.s = s\n"
        "    def residual(self, x):\n        return {read}\nm = Model({state})\nf = m.residual\n",
        "m.s = {new}",
        "self.s",
    ),
    "callable object": (
        "class Model:\n    def __init__(self, s):\n        self.s = s\n"
        "    def __call__(self, x):\n        return {read}\nf = m = Model({state})\n",
        "m.s = {new}",
        "self.s",
    ),
    "object in a closure": (
        _KEEPER + "m = Keeper()\nm.s = {state}\n"
        "def make(m):\n    return lambda x: {read}\nf = make(m)\n",
        "m.s = {new}",
        "m.s",
    ),
    "global object": (
        _KEEPER + "m = Keeper()\nm.s = {state}\ndef f(x):\n    return {read}\n",
        "m.s = {new}",
        "m.s",
    ),
    "global name": ("s = {state}\ndef f(x):\n    return {read}\n", "globals()['s'] = {new}", "s"),
    "object as an argument": (
        _KEEPER + "m = Keeper()\nm.s = {state}\ndef f(x, m):\n    return {read}\nrest = (m,)\n",
        "m.s = {new}",
        "m.s",
    ),
    "partial of an object": (
        "import functools\n" + _KEEPER + "m = Keeper()\nm.s = {state}\n"
        "def g(m, x):\n    return {read}\nf = functools.partial(g, m)\n",
        "m.s = {new}",
        "m.s",
    ),
    "default of a parameter": (
        _KEEPER + "m = Keeper()\nm.s = {state}\ndef f(x, m=m):\n    return {read}\n",
        "m.s = {new}",
        "m.s",
    ),
    "dictionary in a closure": (
        "d = {{'s': {state}}}\ndef make(d):\n    return lambda x: {read}\nf = make(d)\n",
        "d['s'] = {new}",
        "d['s']",
    ),
    "list in a closure": (
        "d = [0, {state}]\ndef make(d):\n    return lambda x: {read}\nf = make(d)\n",
        "d[1] = {new}",
        "d[1]",
    ),
    "variable of a closure": (
        "def make(s):\n    def put(new):\n        nonlocal s\n        s = new\n"
        "    return (lambda x: {read}), put\nf, put = make({state})\n",
        "put({new})",
        "s",
    ),
    "object in an object": (
        _KEEPER + "m, inner = Keeper(), Keeper()\nm.inner, inner.s = inner, {state}\n"
        "def make(m):\n    return lambda x: {read}\nf = make(m)\n",
        "inner.s = {new}",
        "m.inner.s",
    ),
    "attribute of a class": (
        "class Model:\n    s = staticmethod({state})\n    def __call__(self, x):\n        return {read}\nf = Model()\n",
        "Model.s = staticmethod({new})",
        "self.s",
    ),
    "slots": (
        "class Model:\n    __slots__ = ('s', '__weakref__')\n    def __call__(self, x):\n"
        "        return {read}\nf = m = Model()\nm.s = {state}\n",
        "m.s = {new}",
        "self.s",
    ),
    "property": (
        "class Model:\n    @property\n    def s(self):\n        return self.kept['s']\n"
        "    def __call__(self, x):\n        return {read}\nf = m = Model()\nm.kept = {{'s': {state}}}\n",
        "m.kept['s'] = {new}",
        "self.s",
    ),
    "method called in a function": (
        "class Model:\n    def __init__(self, s):\n        self.s = s\n    def state(self):\n        return self.s\n"
        "m = Model({state})\ndef make(g):\n    return lambda x: {read}\nf = make(m.state)\n",
        "m.s = {new}",
        "g()",
    ),
    "attribute of a function": (
        "def f(x):\n    return {read}\nf.s = {state}\n",
        "f.s = {new}",
        "f.s",
    ),
    "data class": (
        "import dataclasses\n@dataclasses.dataclass\nclass Model:\n    s: object\n"
        "    def __call__(self, x):\n        return {read}\nf = m = Model({state})\n",
        "m.s = {new}",
        "self.s",
    ),
}

_WAYS = [
    "structured",
    "dense",
    "sparsity",
    "gradient",
    "hessian",
    "bcoo",
    "structured hessian",
    "value and jacobian",
]


def objects(integer: Callable[[int, int], int]) -> Calls:
    """A function that reads a state, and two or three calls with other states."""
    pick = Pick(integer)
    state = pick.of(_STATES)
    holder = pick.of(list(_HOLDERS))
    lines, change, s = _HOLDERS[holder]
    in_place = state.name in {"places", "weights", "matrix", "large array"} and pick.often(30)
    read = state.read.format(s=s)
    around = pick.of(["{}", "jnp.tanh({})", "{} * 1.5"]).format(read)
    made = lines.format(state=state.first, read=around, s=s)
    changes = ["pass"]
    written = [
        _in_place(change, new) if in_place else change.format(new=new)
        for new in _chosen(pick, state.later)
    ]
    changes += written
    if pick.often(30):
        changes.append(
            changes[pick.integer(0, len(changes) - 1)]
        )  # no change, or back to an earlier one
    functions = "".join(f"def change{i}():\n    {c}\n" for i, c in enumerate(changes))
    rest = "rest" if holder == "object as an argument" else "()"
    rounds = ", ".join(f"(change{i}, {rest})" for i in range(len(changes)))
    source = f"x = np.array([0.3, -0.7, 1.2, 0.9])\n{made}{functions}rounds = [{rounds}]\n"
    ways = tuple(dict.fromkeys(pick.of(_WAYS) for _ in range(2)))
    return Calls(source, ways, (state.name, holder), is_made_once=pick.often(60))


def _chosen(pick: Pick, later: tuple[str, ...]) -> list[str]:
    first = pick.of(later)
    return [first, pick.of(later)] if pick.often(30) else [first]


def _in_place(change: str, new: str) -> str:
    """Write into the array instead of putting another in its place."""
    if change.startswith("put("):
        return change.format(new=new)
    if change.startswith("globals"):
        return f"s[...] = {new}"
    return f"{change.split(' = ', maxsplit=1)[0]}[...] = {new}"


def draw(recorded: Recorded, longest: int) -> Calls:
    """A case of this kind."""
    del longest
    return objects(recorded.integer)
