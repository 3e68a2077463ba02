"""The command line: a tour with no arguments, and one command for each derivative."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from jaxcalc.cli.errors import UsageError
from jaxcalc.cli.parser import make_parser, unknown_command

_MISTAKE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_PIPE_CLOSED = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments after the program's name; those of the process when left out.

    Returns:
        0 when all went well, 1 when a check found a disagreement, 2 for a mistake in what was typed,
        told on stderr.

    Raises:
        SystemExit: after `--help` and `--version`, and with code 2 for options that make no sense.

    Example:
        >>> from jaxcalc.cli import main
        >>> main(["derivative", "2*x**3 + 5", "--at", "2"])
        24.0
        0
    """
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    unknown = unknown_command(words)
    if unknown:
        parser.error(unknown)
    options = parser.parse_args([_shielded(word) for word in words])
    try:
        code = _run(options)
        sys.stdout.flush()  # a closed pipe shows here, not when the interpreter exits
    except UsageError as error:
        if options.traceback:
            raise
        name = " ".join(filter(None, ("jaxcalc", options.command)))
        print(f"{name}: error: {error}", file=sys.stderr)
        return _MISTAKE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # the reader went away (`| head`): nothing more can be written, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    return code


def _run(options: object) -> int:
    # the tour needs rich and tqdm, the commands need JAX: each is imported when it is used
    if getattr(options, "command", None) in {None, "tour"}:
        from jaxcalc.cli.tour import run_tour

        return run_tour()
    from jaxcalc.cli.commands import run_command

    return run_command(options)


def _shielded(word: str) -> str:
    """A word such as -1,2 or -x**2 is a value, not options; a leading blank tells argparse so."""
    single = word.startswith("-") and not word.startswith("--") and word not in {"-", "-h"}
    return f" {word}" if single else word
