"""The code of a documentation page: its fenced blocks, in order, and the outputs shown below them.

A `python` block is run, and a `text` block below it is what it prints. Numbers with a decimal point are
compared to within what compilers and processors make of float32. All blocks of a page are one program,
`example.py`, which is what the lines in explanations and diagnoses refer to. A `console` block holds
commands (`$ jaxcalc ...`) with their outputs. An HTML comment above a block says more:

    <!-- needs: cyipopt -->                run it where this package is installed
    <!-- alone: XLA_FLAGS=... -->          run it as a program of its own, with these variables
    <!-- varies -->                        numbers of this output depend on the machine: compare words

An output whose last line is `...` goes on after it.
"""

import ast
import contextlib
import io
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
GENERATED = ("notebooks/", "extensions/", "static/")
PAGES = sorted(
    page for page in DOCS.rglob("*.md") if not page.relative_to(DOCS).as_posix().startswith(GENERATED)
)

_BLOCK = re.compile(
    r"^(?:<!-- (?P<option>needs|alone|varies)(?:: (?P<value>[^\n]*))? -->\n+)?"
    r"^```(?P<language>[a-z]+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)

_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d*)?(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block, the line of its first line of code, and how it is run."""

    language: str
    code: str
    line: int
    needs: str = ""
    alone: str | None = None
    varies: bool = False


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    for match in _BLOCK.finditer(text):
        options = {match["option"]: match["value"] or True} if match["option"] else {}
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(match["language"], match["code"], line, **options))
    return found


def failures(text: str, folder: Path) -> Iterator[str]:
    """What a page shows that is not so, line by line; `folder` is where its program is written."""
    blocks = blocks_of(text)
    program = Program(folder / "example.py")
    for number, block in enumerate(blocks):
        below = blocks[number + 1] if number + 1 < len(blocks) else None
        shown = below if below is not None and below.language == "text" else Block("text", "", 0)
        if block.language == "python" and not (block.needs and find_spec(block.needs) is None):
            yield from _differences(block, shown, program.run(block))
        elif block.language == "console":
            yield from _commands(block)
        elif block.language == "text" and (number == 0 or blocks[number - 1].language != "python"):
            yield f"line {block.line}: an output without the code that prints it"


def _differences(block: Block, shown: Block, printed: str) -> Iterator[str]:
    if not is_same(shown.code, printed, varies=shown.varies):
        yield f"line {block.line}: prints\n{printed}\nbut shown is\n{shown.code}"


def is_same(shown: str, printed: str, *, varies: bool = False) -> bool:
    """Whether two outputs have the same words, and numbers that are the same but for rounding."""
    if shown.endswith("\n...\n"):
        shown = shown.removesuffix("...\n")
        printed = "".join(printed.splitlines(keepends=True)[: shown.count("\n")])
    if varies:
        shown, printed = (" ".join(re.sub("─+", "", text).split()) for text in (shown, printed))
    words, numbers = _NUMBER.split(shown), _NUMBER.findall(shown)
    if words != _NUMBER.split(printed):
        return False
    pairs = zip(numbers, _NUMBER.findall(printed), strict=True)
    return varies or all(a == b or _is_close(a, b) for a, b in pairs)


def _is_close(a: str, b: str) -> bool:
    if not (set(".e") & set(a) and set(".e") & set(b)):  # whole numbers are counts
        return False
    return math.isclose(float(a), float(b), rel_tol=1e-3, abs_tol=1e-6)


def _commands(block: Block) -> Iterator[str]:
    from jaxcalc.cli import main

    for command, expected in re.findall(r"^\$ (.*)\n((?:[^$].*\n|\n)*)", block.code, re.MULTILINE):
        name, *words = shlex.split(command)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = main(words)
        if name != "jaxcalc":
            yield f"line {block.line}: {command} is no command of jaxcalc"
        if code == 2:
            yield f"line {block.line}: {command} is not understood"
        yield from _differences(block, Block("text", expected, block.line), printed.getvalue())


class Program:
    """The python blocks of a page, run one after the other in one namespace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = ""
        self.names: dict[str, Any] = {"__name__": "example"}

    def run(self, block: Block) -> str:
        """What the block prints; a line in a traceback is the line of the whole program."""
        if block.alone is not None:
            return self._run_alone(block.code, block.alone)
        before = self.source.count("\n")
        self.source += block.code + "\n"
        self.path.write_text(self.source, "utf-8")
        tree = ast.parse(block.code)
        ast.increment_lineno(tree, before)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, str(self.path), "exec"), self.names)
        return printed.getvalue()

    def _run_alone(self, code: str, variables: str) -> str:
        path = self.path.with_name("alone.py")
        path.write_text(code, "utf-8")
        settings = dict(each.split("=", 1) for each in shlex.split(variables))
        shown = subprocess.run(
            [sys.executable, "-W", "error", str(path)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **settings},
        )
        return shown.stdout + shown.stderr
