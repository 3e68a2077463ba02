"""What is decided for a derivative, without running it: methods, entries, equations, runs of f."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

import jaxcalc
from jaxcalc.engine.jaxprs import equations

Record = dict[str, Any]
_PLACE = re.compile(r" \(\S+:\d+\)")  # lines of this file move
_TRANSFORMS = {1: jaxcalc.jacobian, 2: jaxcalc.hessian}


@dataclass(frozen=True)
class Case:
    """A derivative that is asked for.

    Attributes:
        f: the function.
        args: its arguments.
        order: 1 for the Jacobian, 2 for the Hessian.
        options: of the transformation.
        explained: whether `explain` has these options too.
        around: what stands around the derivative, such as `shard_map`.
        x64: whether 64-bit types are on.
    """

    f: Callable[..., Any]
    args: tuple[Any, ...]
    order: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    explained: bool = True
    around: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda derivative: derivative
    x64: bool = False


def record(case: Case) -> Record:
    """What is found for each format."""
    formats = [case.options["format"]] if "format" in case.options else ["structured", "dense"]
    if not case.explained:
        formats = ["dense"]
    with warnings.catch_warnings(), jax.enable_x64(case.x64):
        warnings.simplefilter("ignore")
        return {
            name: {**_explained(case, name), **_traced(case, name)}
            for name in ("structured", "dense", "bcoo")
            if name in formats
        }


class _Counted:
    """A function that counts its runs; it has no arguments, so that it is as any other."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.runs = 0

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.runs += 1
            return f(*args, **kwargs)

        self.f = counted


def _explained(case: Case, form: str) -> Record:
    if not case.explained:
        return {}
    counted = _Counted(case.f)
    options = {**case.options, "format": form}
    try:
        found = jaxcalc.explain(counted.f, *case.args, order=case.order, **options)
    except Exception as error:  # noqa: BLE001
        return {"explain": _in_words(error)}
    result: Record = {
        "ways": [
            [w.name, w.products, w.block, w.blocks, _PLACE.sub("", w.note)] for w in found.methods
        ],
        "chosen": found.chosen.name,
        "parts": [[p.inputs, p.outputs, p.direction] for p in found.parts],
        "fallbacks": len(found.fallbacks),
        "runs in explain": counted.runs,
    }
    if found.pattern is not None:
        result["pattern"] = [found.pattern.nnz, _digest(found.pattern.rows, found.pattern.cols)]
    return result


def _traced(case: Case, form: str) -> Record:
    counted = _Counted(case.f)
    options = {**case.options, "format": form}
    derivative = _TRANSFORMS[case.order](counted.f, **options)
    try:
        program = jax.make_jaxpr(case.around(partial(_leaves, derivative)))(*case.args)
    except Exception as error:  # noqa: BLE001
        return {"trace": _in_words(error)}
    return {"equations": sum(1 for _ in _equations(program.jaxpr)), "runs in a trace": counted.runs}


def _leaves(derivative: Callable[..., Any], *args: Any) -> list[Any]:
    """The arrays of a derivative; what is no array, such as aux, is left out."""
    return [x for x in jax.tree.leaves(derivative(*args)) if isinstance(x, jax.Array | np.ndarray)]


def _equations(program: Any) -> Iterator[Any]:
    for eqn in program.eqns:
        yield eqn
        for inner in equations.programs(eqn):
            yield from _equations(inner)


def _digest(*arrays: Any) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.asarray(array, np.int64).tobytes())
    return found.hexdigest()[:12]


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
