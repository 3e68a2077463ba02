"""How the documentation is built; CONTRIBUTING.md has the command."""

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import jaxcalc

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "jaxcalc"
author = "the jaxcalc developers"
copyright = "the jaxcalc developers"
version = release = jaxcalc.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",
    "gallery",
    "mathml",
    "notebooks",
    "outputs",
    "pictures",
]
exclude_patterns = ["extensions"]

# Pages
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks hold their outputs
html_math_renderer = "mathml"

# The reference
default_role = "code_or_link"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the text says what each argument is
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Strict: a link that leads nowhere fails the build, with -W.
nitpicky = True
nitpick_ignore_regex = [("py:class", r"(collections\.abc|jax|numpy|optax)\..*")]  # types of others

# How it looks
html_theme = "furo"
html_title = "jaxcalc"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """Diagrams that code hosts draw stand as their text here."""
    app.add_lexer("mermaid", TextLexer)
