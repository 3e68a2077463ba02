"""The tour: every concept at work, from a difference quotient to a trained network, and checked."""

from __future__ import annotations

import io
import sys

import jax
from rich.console import Console

import jaxcalc
from jaxcalc.cli.tour.ladder import show_kinds, show_limit, show_rungs
from jaxcalc.cli.tour.report import Report
from jaxcalc.cli.tour.training import show_training


def run_tour(console: Console | None = None) -> int:
    """Print the tour; returns 0 when everything it shows holds, else 1.

    Cost: about a quarter of a minute on two cores, most of it compiling.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the symbols of calculus
    report = Report(console or Console())
    device = jax.devices()[0].platform
    report.console.print(
        f"[bold]jaxcalc {jaxcalc.__version__}[/], JAX {jax.__version__}, {device}", highlight=False
    )
    with jax.enable_x64(True):
        show_limit(report)
        show_rungs(report)
        show_kinds(report)
    with jax.enable_x64(False):
        show_training(report)
    return report.verdict()
