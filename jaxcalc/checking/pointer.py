"""The call of `jaxcalc.diagnose` that looks at the derivative which a check found not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jaxcalc.call.arguments import Argnames, Argnums, positional_names


def choice(
    names: Sequence[str],
    f: Callable[..., Any],
    argnums: Argnums | None,
    argnames: Argnames | None,
    *,
    has_aux: bool,
) -> str:
    """What the options of the check are, or make explicit of its default, for `names` that it chose."""
    known = positional_names(f)
    if argnums is not None:
        chosen = f", argnums={argnums!r}"
    elif argnames is not None:
        chosen = f", argnames={argnames!r}"
    elif list(names) == known[:1] or list(names) == ["argument 0"]:
        chosen = ""
    elif all(map(str.isidentifier, names)):
        chosen = f", argnames={tuple(names)!r}"
    else:  # the signature of f is not known
        chosen = f", argnums={tuple(int(name.split()[-1]) for name in names)!r}"
    return chosen + (", has_aux=True" if has_aux else "")


def pointer(name: str, chosen: str, derivative: str) -> str:
    """The call, for f itself or for its `derivative`, a function such as `jaxcalc.gradient`."""
    looked_at = f"{derivative}({name}{chosen})" if derivative else name
    return f"jaxcalc.diagnose({looked_at}, ...{chosen})"
