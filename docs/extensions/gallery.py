"""Under each function of `jaxcalc.visual`, the picture that the example of its docstring draws."""

import doctest
import inspect
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from sphinx.application import Sphinx

from jaxcalc import visual

FOLDER = "images/visual"  # beside the pages, ignored by git


def draw_examples(app: Sphinx) -> None:
    """Run each example, and keep what it has drawn."""
    target = Path(app.srcdir) / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    style = {"svg.hashsalt": "jaxcalc", "figure.figsize": (5.6, 4.0)}
    with mpl.rc_context(style), redirect_stdout(io.StringIO()):
        for name in visual.__all__:
            plt.close("all")
            names: dict[str, Any] = {}
            text = inspect.getdoc(getattr(visual, name)) or ""
            for example in doctest.DocTestParser().get_examples(text):
                exec(compile(example.source, f"example of {name}", "exec"), names)
            options = {"bbox_inches": "tight", "pad_inches": 0.15, "metadata": {"Date": None}}
            plt.gcf().savefig(target / f"{name}.svg", **options)
    plt.close("all")


def show(
    _app: Sphinx, _what: str, name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    """Add the picture to the docstring."""
    module, _, function = name.rpartition(".")
    if module == "jaxcalc.visual":
        lines += ["", f".. image:: /{FOLDER}/{function}.svg", "   :alt: what the example draws", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw before the build looks for images, and add them when napoleon is done."""
    mpl.use("agg")
    app.connect("builder-inited", draw_examples)
    app.connect("autodoc-process-docstring", show, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
