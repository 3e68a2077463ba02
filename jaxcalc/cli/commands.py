"""One function for each command: from the parsed options to an answer, printed as text or JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

import jaxcalc
from jaxcalc.cli.errors import UsageError, in_shell_words, users_mistakes
from jaxcalc.cli.output import as_json, by_name, text
from jaxcalc.cli.remarks import remarks
from jaxcalc.cli.target import Target, read_target


@dataclass(frozen=True)
class Answer:
    """What a command found: for people, for programs, and for the shell; remarks go to stderr."""

    text: str
    record: dict[str, Any]
    code: int = 0
    remarks: Callable[[], Sequence[str]] = tuple


def run_command(options: Any) -> int:
    """Run a command and print its answer on stdout; returns the exit code.

    Raises:
        UsageError: a mistake in the target, in the values, or inside the user's function.
    """
    _move_target(options)
    with jax.enable_x64(options.dtype == "float64"):
        target = read_target(options.target, options.at, options.wrt, options.dtype)
        _require_values(target, options.command)
        with users_mistakes("the function raised"):
            answer = _COMMANDS[options.command](target, options)
        _print(answer, target, options)
        sys.stdout.flush()  # the answer is there before the point is looked into
        for remark in answer.remarks():
            print(f"jaxcalc {options.command}: note: {remark}", file=sys.stderr)
    return answer.code


def _print(answer: Answer, target: Target, options: Any) -> None:
    if not options.json:
        print(in_shell_words(answer.text))
        return
    header = {
        "command": options.command,
        "target": target.text.strip(),
        "at": dict(zip(target.names, map(_shown, target.values), strict=True)),
        "wrt": list(target.chosen_names),
        "dtype": options.dtype,
    }
    print(as_json(header | answer.record))


def _require_values(target: Target, command: str) -> None:
    """Refuse a shape where the function has to be evaluated."""
    for name, value in zip(target.names, target.values, strict=True):
        if isinstance(value, jax.ShapeDtypeStruct) and command not in {"classify", "explain"}:
            raise UsageError(
                f"--at {name}: {_shown(value)} is a shape; jaxcalc {command} needs values, such as "
                "1,2,3"
            )


def _shown(value: Any) -> Any:
    """A value as JSON can hold it: a shape is written as it was typed."""
    if not isinstance(value, jax.ShapeDtypeStruct):
        return value
    return f"{value.dtype}[{','.join(map(str, value.shape))}]"


def _move_target(options: argparse.Namespace) -> None:
    """`--at 2 "x**2"`: the option took every word after it, and the last one is the target."""
    if options.target is None and len(options.at) > 1:
        options.target = options.at.pop()
    if options.target is None:
        options.parser.error("give a TARGET: an expression such as '2*x**3 + 5', or module:function")


def _classify(target: Target, options: Any) -> Answer:
    del options
    kind = jaxcalc.classify(target.call, *target.values, argnums=_argnums(target))
    record = {"name": kind.name, "map": kind.map, "spaces": kind.spaces, "call": kind.call}
    return Answer(str(kind), record | {"shapes": kind.shapes})


def _derivative(target: Target, options: Any) -> Answer:
    if len(target.chosen) != 1 and options.wrt is None:
        raise UsageError(
            f"the function has the arguments {', '.join(target.names)}; choose one with --wrt "
            f"{target.names[0]}, or use jaxcalc gradient"
        )
    if len(target.chosen) == 1:
        transformed = jaxcalc.derivative(target.call, target.chosen[0], order=options.order)
    elif options.order == 1:
        transformed = jaxcalc.partial_derivative(target.call, target.chosen)
    else:
        raise UsageError("--order goes with one argument; write a mixed one as --wrt x,x,z")
    return _evaluated(target, transformed(*target.values), 0)


def _gradient(target: Target, options: Any) -> Answer:
    del options
    return _evaluated(target, jaxcalc.gradient(target.call, _argnums(target))(*target.values), 1)


def _jacobian(target: Target, options: Any) -> Answer:
    transformed = jaxcalc.jacobian(target.call, _argnums(target), mode=options.mode)
    return _evaluated(target, transformed(*target.values), 1)


def _hessian(target: Target, options: Any) -> Answer:
    transformed = jaxcalc.hessian(target.call, _argnums(target), mode=options.mode)
    return _evaluated(target, transformed(*target.values), 2)


def _evaluated(target: Target, result: Any, levels: int) -> Answer:
    """An answer of which the derivative has `levels` levels of chosen arguments in it."""
    value = target.call(*target.values)
    arguments = [target.values[i] for i in target.chosen]
    named = by_name(result, value, arguments, target.chosen_names, levels)
    record = {"value": value, "result": named}
    return Answer(text(named), record, 0, partial(remarks, target, result))


def _explain(target: Target, options: Any) -> Answer:
    found = jaxcalc.explain(
        target.call,
        *target.values,
        argnums=_argnums(target),
        order=options.order,
        format=options.format,
        mode=options.mode,
        memory_limit=options.memory_limit,
        analyze=options.analyze,
    )
    return Answer(str(found), found.to_dict())


def _check(target: Target, options: Any) -> Answer:
    found = jaxcalc.check(
        target.call,
        *target.values,
        argnums=_argnums(target),
        order=options.order,
        tolerance=options.tolerance,
    )
    return Answer(str(found), found.to_dict(), 0 if found.passed else 1)


def _diagnose(target: Target, options: Any) -> Answer:
    del options
    found = jaxcalc.diagnose(target.call, *target.values, argnums=_argnums(target))
    return Answer(str(found), found.to_dict(), 0 if found.healthy else 1)


def _argnums(target: Target) -> int | tuple[int, ...]:
    return target.chosen[0] if len(target.chosen) == 1 else target.chosen


_COMMANDS: dict[str, Callable[[Target, Any], Answer]] = {
    "classify": _classify,
    "derivative": _derivative,
    "gradient": _gradient,
    "jacobian": _jacobian,
    "hessian": _hessian,
    "explain": _explain,
    "check": _check,
    "diagnose": _diagnose,
}
