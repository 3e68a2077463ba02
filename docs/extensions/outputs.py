"""Blocks of text: Python sessions are colored, outputs that are no tables may break their lines."""

import re

from docutils import nodes
from sphinx.application import Sphinx

_OUTPUTS = ("text", "myst-ansi", "none")
_COLUMNS = re.compile(r"─|\S {3,}\S")


def mark_outputs(_app: Sphinx, document: nodes.document) -> None:
    """Name the language of sessions, and give outputs the class `wrap`, which the style sheet knows."""
    for block in document.findall(nodes.literal_block):
        if block.get("language") not in _OUTPUTS:
            continue
        if block.astext().startswith(">>> "):
            block["language"] = "pycon"
        elif not _COLUMNS.search(block.astext()):
            block["classes"].append("wrap")


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at every page that is read."""
    app.connect("doctree-read", mark_outputs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
