"""What holds for every picture: whose axes it is drawn on, what it changes, and what it needs."""

import builtins
import subprocess
import sys

import jax
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcalc import visual
from tests.visual.examples import CALLS

THREE_DIMENSIONAL = {"partial_slices"}


def projection_of(name):
    return "3d" if name in THREE_DIMENSIONAL else None


def test_there_is_an_example_of_each():
    assert sorted(CALLS) == visual.__all__


@pytest.mark.parametrize("name", CALLS)
def test_a_new_figure_keeps_its_parts_apart(name):
    ax = CALLS[name]()
    assert isinstance(ax, Axes)
    assert len(plt.get_fignums()) == 1
    assert type(ax.figure.get_layout_engine()).__name__ == "ConstrainedLayoutEngine"
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", CALLS)
def test_given_axes_are_drawn_on_and_nothing_is_shown(name, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("no figure is made or shown when axes are given")

    ax = Figure().add_subplot(projection=projection_of(name))  # of no window
    for function in ("figure", "subplots", "show", "gca", "gcf", "sca"):
        monkeypatch.setattr(plt, function, forbidden)
    assert CALLS[name](ax=ax) is ax
    assert ax.has_data() or ax.patches
    assert not plt.get_fignums()
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", CALLS)
def test_what_is_set_for_all_figures_stays(name):
    before = dict(mpl.rcParams)
    with mpl.rc_context({"axes.facecolor": "0.2", "lines.linewidth": 5.0, "font.size": 16.0}):
        during = dict(mpl.rcParams)
        CALLS[name]().figure.canvas.draw()
        assert dict(mpl.rcParams) == during
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", CALLS)
def test_axes_that_do_not_fit_are_refused(name):
    call, other = CALLS[name], None if name in THREE_DIMENSIONAL else "3d"
    with pytest.raises(
        TypeError, match=rf"jaxcalc\.visual\.{name}: ax must be one matplotlib Axes, got 3"
    ):
        call(ax=3)
    with pytest.raises(TypeError, match=rf"jaxcalc\.visual\.{name}: ax must .* got several of them"):
        call(ax=np.array([plt.figure().add_subplot()]))
    with pytest.raises(TypeError, match=rf"jaxcalc\.visual\.{name}: ax must have the projection '"):
        call(ax=plt.figure().add_subplot(projection=other))


@pytest.mark.parametrize("name", CALLS)
def test_without_matplotlib_the_error_says_what_to_install(name, monkeypatch):
    real = builtins.__import__

    def without(imported, *args, **kwargs):
        if imported.split(".")[0] == "matplotlib":
            raise ImportError(imported)
        return real(imported, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    message = rf'^jaxcalc\.visual\.{name} needs matplotlib.*: pip install "jaxcalc\[plot\]"$'
    with pytest.raises(ImportError, match=message):
        CALLS[name]()


def test_matplotlib_is_imported_when_a_picture_is_drawn():
    code = (
        "import sys, jaxcalc; from jaxcalc import visual; visual.spy; "
        "assert 'matplotlib' not in sys.modules; import jax.numpy as jnp; "
        "visual.spy(jaxcalc.sparsity(jnp.sin, jnp.ones(3))); assert 'matplotlib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"MPLBACKEND": "Agg", "PATH": ""})


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_the_strict_settings_of_jax_change_nothing(name, x64):
    with (
        jax.enable_x64(x64),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
        jax.debug_nans(True),
    ):
        CALLS[name]()
