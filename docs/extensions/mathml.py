"""Formulas as MathML, which browsers draw themselves: no script and nothing to load.

LaTeX that the converter does not know fails the build.
"""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

# left over in the output where the converter did not understand its input
_NOT_CONVERTED = re.compile(r"<m[a-z]+[^>]*>(\\[A-Za-z]+|&)</m")


def formula(latex: str, node: nodes.Node, display: str) -> str:
    """The `<math>` element of a formula."""
    # the converter draws `aligned` as a single line, and `split`, which looks the same, as it should be
    latex = re.sub(r"\{aligned\}", "{split}", latex.strip())
    mathml = convert(latex, display=display)
    if unknown := _NOT_CONVERTED.search(mathml):
        logger.warning("no MathML for %s in: %s", unknown[1], latex, location=node, type="mathml")
    return mathml


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(formula(node.astext(), node, "inline"))
    raise nodes.SkipNode


def visit_displaymath(self: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="math-block">{formula(node.astext(), node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
