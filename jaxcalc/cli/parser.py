"""What can be typed: the commands, their options and their help."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches

import jaxcalc
from jaxcalc.call.memory import in_bytes
from jaxcalc.call.options import FORMATS

_DESCRIPTION = """\
Exact derivatives of JAX functions. Without a command: a tour of all concepts, from a difference
quotient to a trained network, that checks itself (about half a minute).
"""

EXAMPLES = """\
examples:
  jaxcalc derivative "2*x**3 + 5" --at 2
  jaxcalc derivative "4*x**4 * z**3" --at x=1 z=2 --wrt x
  jaxcalc gradient "4*x**4 * z**3" --at x=1 z=2 --json
  jaxcalc jacobian "[x[0]*x[1], sin(x[2])]" --at x=1,2,3
  jaxcalc hessian my_module:loss --at 1,2,3
  jaxcalc explain my_module:residuals --args "float32[1000]"
  jaxcalc check my_module:loss --at 1,2,3
  jaxcalc diagnose my_module:loss --at 1,2,3

exit codes: 0 all went well, 1 a check or a diagnosis found a fault, 2 a mistake in what was typed
"""

_MEANT = {  # what people type for a command
    "grad": "gradient",
    "jac": "jacobian",
    "jacfwd": "jacobian",
    "jacrev": "jacobian",
    "hess": "hessian",
    "diff": "derivative",
    "deriv": "derivative",
    "d": "derivative",
    "plan": "explain",
    "doctor": "diagnose",
    "kind": "classify",
}

_TARGET = """\
TARGET is an expression or module:function.

An expression uses + - * / ** @, comparisons, x[0], [a, b], the constants pi, e and tau, and the
functions of the list below. Every other name is a variable. In module:function, the function is
imported from the current directory or from what is installed; it takes JAX arrays.

Values: 2, pi/2, 1,2,3 (a vector), [[1,2],[3,4]] (a matrix), '{"w": [1,2], "b": 0}' (a pytree);
for classify and explain, a shape such as float32[1000] will do.
"""

_COMMANDS = {
    "classify": "say which kind of derivative a function has, without evaluating it",
    "derivative": "derivative with respect to a scalar; a partial one when there are other arguments",
    "gradient": "gradient of a scalar function",
    "jacobian": "Jacobian, for outputs and inputs of any shape",
    "hessian": "second derivatives of a scalar function",
    "explain": "say how a derivative is computed, what it costs, and which line of the source costs it",
    "check": "compare the derivative with finite differences, in both modes; exit code 1 if wrong",
    "diagnose": "say which line makes NaN, inf or a zero gradient; exit code 1 if one does",
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="jaxcalc",
        description=_DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"jaxcalc {jaxcalc.__version__}")
    parser.set_defaults(traceback=False)
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    tour = commands.add_parser("tour", help="the tour, as without a command", allow_abbrev=False)
    tour.set_defaults(traceback=False)
    for name, summary in _COMMANDS.items():
        _add_command(commands, name, summary)
    return parser


def unknown_command(words: Sequence[str]) -> str:
    """What to say of a first word that is no command; empty where it is one, or an option."""
    known = ["tour", *_COMMANDS]
    if not words or words[0].startswith("-") or words[0] in known:
        return ""
    word = words[0]
    meant = _MEANT.get(word.lower()) or next(iter(get_close_matches(word.lower(), known, 1)), "")
    start = f"there is no command {word!r}; "
    if meant:
        return f"{start}did you mean {meant}?"
    return f"{start}it can be {', '.join(known)}, as in: jaxcalc derivative '2*x**3 + 5' --at 2"


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
) -> None:
    command = commands.add_parser(
        name,
        help=summary,
        usage=f"jaxcalc {name} TARGET --at VALUE [VALUE ...] [options]",
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{_TARGET}",
        epilog=_functions(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(parser=command)
    command.add_argument("target", metavar="TARGET", nargs="?", help="'2*x**3 + 5' or module:function")
    command.add_argument(
        "--at",
        "--args",
        dest="at",
        metavar="VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="where: 2, x=2, x=1,2,3, x=1 z=2",
    )
    command.add_argument(
        "--wrt",
        metavar="NAMES",
        help="arguments to differentiate with respect to, x or x,z (default: all)",
    )
    command.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float64",
        help="precision of the values (default: float64)",
    )
    if name == "derivative":
        command.add_argument("--order", type=int, default=1, metavar="N", help="differentiate N times")
    if name in {"check", "explain"}:
        command.add_argument(
            "--order", type=int, choices=(1, 2), default=1, help="1 for the Jacobian, 2 for the Hessian"
        )
    if name == "explain":
        _add_explain(command)
    if name == "check":
        command.add_argument(
            "--tolerance",
            type=float,
            metavar="SHARE",
            help="relative difference to tolerate (default: fits the dtype)",
        )
    if name in {"jacobian", "hessian", "explain"}:
        command.add_argument(
            "--mode",
            choices=("auto", "forward", "reverse"),
            default="auto",
            help="direction of differentiation (default: auto)",
        )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument(
        "--traceback", action="store_true", help="show the full traceback of a mistake"
    )


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=FORMATS[::-1],
        default="structured",
        help="format of the result (default: structured)",
    )
    command.add_argument(
        "--memory-limit",
        type=_bytes,
        metavar="BYTES",
        help="workspace that is allowed: 1000000, 256MiB, 1GiB (default: a share of the memory)",
    )
    command.add_argument(
        "--analyze", action="store_true", help="also run it, and show the time and the memory it took"
    )


def _bytes(text: str) -> int:
    """A number of bytes, with a unit or without."""
    size = in_bytes(text)
    if size is None:
        raise argparse.ArgumentTypeError(
            f"expected a positive number of bytes, such as 1000000, 256MiB or 1GiB, got {text!r}"
        )
    return size


def _functions() -> str:
    from jaxcalc.cli.vocabulary import FUNCTIONS

    names = textwrap.fill(" ".join(sorted(FUNCTIONS)), 88, initial_indent="  ", subsequent_indent="  ")
    return f"functions:\n{names}"
