"""Run the notebooks from a clean kernel, and write them with clean outputs.

    python -m tests.notebooks                       all of them
    python -m tests.notebooks notebooks/1*.ipynb    some of them
    python -m tests.notebooks --dry-run             run, and write nothing

The exit code is 1 if a cell fails, or if what comes out is not clean.
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from tests.notebooks.clean import NOTEBOOKS, cleaned, faults, written

_SECONDS = 600  # for one cell, on a slow machine


def executed(path: Path) -> str:
    """The text of the notebook with the outputs of a new kernel, which runs where the file is."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook, timeout=_SECONDS, kernel_name="python3", record_timing=False, resources=where
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = lighter(output.data["image/png"])
    return written(cleaned(notebook))


def lighter(png: str) -> str:
    """A picture with the 256 colors that it needs most, a third of the size; base64, as given."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    buffer = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> int:
    """Run what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.notebooks", description=__doc__.split("\n")[0]
    )
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, help="default: all")
    parser.add_argument("--dry-run", action="store_true", help="run, and write nothing")
    options = parser.parse_args()
    failed = False
    for path in options.notebooks:
        start = time.perf_counter()
        try:
            text = executed(path)
        except CellExecutionError as error:
            print(f"{path.name}: FAILED\n{error}", file=sys.stderr)
            failed = True
            continue
        print(f"{path.name}: {time.perf_counter() - start:.0f} s, {len(text.encode()) / 1000:.0f} kB")
        for fault in faults(text):
            print(f"{path.name}: {fault}", file=sys.stderr)
            failed = True
        if not options.dry_run:
            path.write_text(text, "utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
