"""Formulas as MathML, which browsers draw themselves, with a font that is part of the site.

LaTeX that the converter does not know fails the build.
"""

import re
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_LIMITS = {"lim", "max", "min", "sup", "inf"}
_FONT = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"  # under the SIL Open Font License
# the converter wants braces, as in mathbb{R}
_BARE_ARGUMENT = re.compile(r"\\(math(?:bb|bf|cal|rm|sf|it)) *([A-Za-z0-9])")
# left over in the output where it did not understand its input
_NOT_CONVERTED = re.compile(r"<m[a-z]+[^>]*>(\\[A-Za-z]+|&)</m")


def formula(latex: str, node: nodes.Node, display: str) -> str:
    """The `<math>` element of a formula."""
    # the converter draws `aligned` as a single line, and `split`, which looks the same, as it should be
    latex = _BARE_ARGUMENT.sub(r"\\\1{\2}", latex.strip().replace("{aligned}", "{split}"))
    mathml = convert(latex, display=display)
    if unknown := _NOT_CONVERTED.search(mathml):
        logger.warning("no MathML for %s in: %s", unknown[1], latex, location=node, type="mathml")
        return mathml
    ET.register_namespace("", _NAMESPACE)
    root = ET.fromstring(mathml)
    _put_below(root)
    _lower_primes(root)
    return ET.tostring(root, encoding="unicode")


def _put_below(root: ET.Element) -> None:
    """What stands under a limit goes below it in a displayed formula, not beside it."""
    for subscript in root.iter(f"{{{_NAMESPACE}}}msub"):
        if subscript[0].text in _LIMITS:
            subscript.tag = f"{{{_NAMESPACE}}}munder"
            subscript[0].set("movablelimits", "true")


def _lower_primes(root: ET.Element) -> None:
    """A prime is drawn high by the font; as a superscript it would be far too high."""
    for power in root.iter(f"{{{_NAMESPACE}}}msup"):
        if set(power[1].text or " ") <= {"\N{PRIME}", "\N{DOUBLE PRIME}"}:
            power.tag = f"{{{_NAMESPACE}}}mrow"


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(formula(node.astext(), node, "inline"))
    raise nodes.SkipNode


def visit_displaymath(self: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="math-block">{formula(node.astext(), node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, and bring the font into the site."""
    app.config.html_static_path.append(str(_FONT))
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
