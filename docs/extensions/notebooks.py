"""Copies of the notebooks, which live beside the documentation and not in it, for the build to read.

Their links to `../docs/` are those of the site there.
"""

import json
import re
from pathlib import Path

from sphinx.application import Sphinx

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
INDEX = """# Notebooks

To run and to change them: `pip install ".[notebooks]"`, then `jupyter lab notebooks`. What they show is
what came out when they were run.

```{{toctree}}
:maxdepth: 1

{names}
```
"""
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
    names = [path.stem for path in found.values()]
    (target / "index.md").write_text(INDEX.format(names="\n".join(names)), "utf-8")
    for name, path in found.items():
        text = path.read_text("utf-8").replace("](../docs/", "](../")
        copy = target / name
        if not copy.exists() or copy.read_text("utf-8") != text:
            copy.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Copy before the build looks for its sources."""
    app.connect("builder-inited", copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
