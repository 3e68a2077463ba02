"""The line of the user's code that an equation or an error belongs to."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.extend.core import ClosedJaxpr, JaxprEqn

import jaxcalc
from jaxcalc.engine.jaxprs import bodies, equations, source
from jaxcalc.engine.jaxprs.source import Place, raised_at, source_place

_CODE = """\
import jax.numpy as jnp


def f(x):
    return jnp.sin(x)


def fails(x):
    return float(x)


def g(x):
    return jnp.sqrt(x)
"""


def imported(directory: Path) -> ModuleType:
    directory.mkdir(parents=True)
    file = directory / "model_of_a_user.py"
    file.write_text(_CODE)
    spec = importlib.util.spec_from_file_location("model_of_a_user", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["code", "jax", "jaxcalc", "jaxlib"])
def test_a_directory_of_the_name_of_jax_may_hold_code_of_a_user(tmp_path: Path, name: str) -> None:
    module = imported(tmp_path / name)
    (eqn,) = jax.make_jaxpr(module.f)(1.0).eqns
    assert source_place(eqn) == Place(str(tmp_path / name / "model_of_a_user.py"), 5)


def test_the_line_of_a_user_comes_before_that_of_an_installed_library() -> None:
    def f(x):
        return optax.tree.norm({"a": x, "b": 2 * x})

    first = f.__code__.co_firstlineno
    places = [source_place(eqn) for eqn in jax.make_jaxpr(f)(jnp.ones(2)).eqns]
    assert len(places) > 2
    assert {place[:2] for place in places} == {(__file__, first + 1)}
    assert {place.inside.split(":")[0] for place in places[1:]} == {"_tree_math.py"}
    assert str(places[-1]).startswith(f"test_source.py:{first + 1} (_tree_math.py:")


def test_the_line_of_a_call_comes_before_that_of_what_a_package_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = imported(tmp_path / "package")
    package = f"{tmp_path / 'package'}{os.sep}"
    monkeypatch.setattr(source, "_INSTALLED", (package,))
    monkeypatch.setattr(source, "_SITE", (package,))
    compiled = jax.jit(module.f)
    compiled(jnp.ones(2))  # its equations know no other line from now on than the package's

    def f(x):
        return jnp.sqrt(jnp.pad(compiled(x), 1))

    line = f"test_source.py:{f.__code__.co_firstlineno + 1}"
    lines = jaxcalc.explain(f, jnp.ones(2)).lines
    assert [x.place for x in lines] == [f"{line} (model_of_a_user.py:5)", line]
    assert jaxcalc.diagnose(f, jnp.zeros(2)).findings[0].place == line
    (finding,) = jaxcalc.diagnose(lambda x: 2.0 * module.g(x), jnp.zeros(2)).findings
    assert finding.place == f"test_source.py:{f.__code__.co_firstlineno + 7} (model_of_a_user.py:13)"


@pytest.mark.parametrize("of_jax", [jax.nn.softplus, jax.nn.relu, jax.scipy.special.entr])
def test_what_a_function_of_jax_does_inside_has_no_line_of_a_call(of_jax) -> None:
    """JAX may keep the inside of the function for other calls of it."""

    @jax.jit
    def own(x):
        return jnp.sin(x)

    def f(x):
        return own(of_jax(x))

    *called, last = jax.make_jaxpr(f)(jnp.ones(3)).eqns
    line = Place(__file__, f.__code__.co_firstlineno + 1)
    assert {source_place(eqn) for eqn in (*called, last)} == {line}
    inside = [inner for eqn in called for body in programs(eqn) for inner in body.jaxpr.eqns]
    assert inside
    assert {source_place(eqn) for eqn in inside} == {None}
    (sine,) = bodies.bodies(last)[0].jaxpr.eqns
    assert source_place(sine) == Place(__file__, own.__wrapped__.__code__.co_firstlineno + 2)


def programs(eqn: JaxprEqn) -> list[ClosedJaxpr]:
    """What a call runs, of `jax.jit` or of `jax.custom_jvp`."""
    custom = equations.linear_map(eqn)
    return bodies.bodies(eqn) if custom is None else [custom.program]


def test_the_line_at_which_an_error_leaves_the_code_of_a_user(tmp_path: Path) -> None:
    module = imported(tmp_path / "jax")
    with pytest.raises(jax.errors.ConcretizationTypeError) as caught:
        jax.make_jaxpr(module.fails)(1.0)
    assert raised_at(caught.value) == Place(str(tmp_path / "jax" / "model_of_a_user.py"), 9)
    assert raised_at(ValueError("raised nowhere")) is None


@pytest.mark.parametrize(("file", "shown"), [("/kernel/81.py", "In[3]:2"), ("/mine/f.py", "f.py:2")])
def test_a_line_of_a_notebook_goes_by_the_number_of_its_cell(
    monkeypatch, file: str, shown: str
) -> None:
    cells = {"/kernel/81.py": ("Cell", "In[3]")}
    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=cells.get))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert str(Place(file, 2)) == shown


def test_where_ipython_is_imported_but_runs_nothing_files_have_their_own_names(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert str(Place("/mine/f.py", 2)) == "f.py:2"
