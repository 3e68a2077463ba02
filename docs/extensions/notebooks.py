"""Copies of the notebooks, which live beside the documentation and not in it, for the build to read."""

import json
import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAME = re.compile(r"[1-9]-[a-z0-9-]+\.ipynb")


def is_readable(path: Path) -> bool:
    """Whether a file is a notebook with a title, and not one that is being written."""
    try:
        first = json.loads(path.read_text("utf-8"))["cells"][0]
    except (ValueError, KeyError, IndexError):
        return False
    return first.get("cell_type") == "markdown" and "".join(first["source"]).startswith("# ")


def copy_notebooks(app: Sphinx) -> None:
    """Bring `notebooks/` to `docs/notebooks/`, which git ignores; only what has changed."""
    target = Path(app.srcdir) / "notebooks"
    target.mkdir(exist_ok=True)
    found = {
        path.name: path
        for path in sorted(NOTEBOOKS.glob("*.ipynb"))
        if NAME.fullmatch(path.name) and is_readable(path)
    }
    for old in target.glob("*.ipynb"):
        if old.name not in found:
            old.unlink()
    for name, path in found.items():
        copy = target / name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            shutil.copyfile(path, copy)


def setup(app: Sphinx) -> dict[str, bool]:
    """Copy before the build looks for its sources."""
    app.connect("builder-inited", copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
