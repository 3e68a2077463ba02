"""`<picture>` with a light and a dark image, as GitHub shows it, for a theme that readers can switch.

A browser chooses between the sources by the system's mode, and not by the switch on the page. So both
become images of the site, of which furo shows the one that fits.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

DARK = re.compile(r'<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">')
LIGHT = re.compile(r'<img alt="([^"]*)"[^>]*? src="([^"]+)"')


class Pictures(SphinxTransform):
    """Replace each `<picture>` that has a source for dark mode by two images."""

    default_priority = 200

    def apply(self) -> None:
        """Look at all HTML in the page."""
        for raw in list(self.document.findall(nodes.raw)):
            text = raw.astext()
            dark, light = DARK.search(text), LIGHT.search(text)
            if text.startswith("<picture>") and dark and light:
                alt, source = light.groups()
                raw.replace_self(
                    [
                        nodes.image(uri=source, alt=alt, classes=["only-light"]),
                        nodes.image(uri=dark.group(1), alt=alt, classes=["only-dark"]),
                    ]
                )


def setup(app: Sphinx) -> dict[str, bool]:
    """Images are collected after the transforms."""
    app.add_transform(Pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
