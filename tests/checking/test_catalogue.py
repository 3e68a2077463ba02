"""Every fault of the catalogue is found with its cause and line, and no healthy function is accused."""

import jax
import pytest

import jaxcalc
from tests.checking.catalogue import FAULTS, HEALTHY, reported
from tests.checking.faults import Fault, matches
from tests.thinned import thinned

BY_NAME = {f.name: f for f in FAULTS}


def test_the_catalogue_is_large_enough_and_names_are_unique() -> None:
    names = [f.name for f in FAULTS]
    assert len(set(names)) == len(names) >= 220
    assert len(HEALTHY) >= 170
    assert reported(names) >= 35
    assert reported(HEALTHY) >= 35
    kinds = {f.kind for f in FAULTS}
    assert kinds == {"value", "derivative", "zero gradient", "kink", "scale", "precision"}


@pytest.mark.parametrize("name", thinned(BY_NAME, 7))
def test_a_fault_is_found_with_its_cause_and_line(name: str) -> None:
    f = BY_NAME[name]
    found = jaxcalc.diagnose(f.function, *f.args, **f.options)
    matching = [x for x in found.findings if matches(f, x)]
    assert matching, f"line {f.line} wanted:\n{found}"
    assert matching[0].file == (f.function.__code__.co_filename if f.line else "")
    assert found.healthy == (f.severity == "note")


@pytest.mark.parametrize("name", thinned(HEALTHY, 7))
def test_nothing_is_found_in_a_healthy_function(name: str) -> None:
    f, *args = HEALTHY[name]
    found = jaxcalc.diagnose(f, *args)
    assert not found.findings, str(found)


@pytest.mark.parametrize("package", ["diffrax", "optimistix"])
def test_programs_of_solvers_are_in_the_catalogue(package: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed: its programs are left out")
    assert any(package in name for name in HEALTHY)


@pytest.mark.parametrize("f", FAULTS[::20], ids=lambda f: f.name)
def test_faults_are_found_under_an_outer_jit(f: Fault) -> None:
    found = jaxcalc.diagnose(jax.jit(f.function), *f.args, **f.options)
    assert any(matches(f, x) for x in found.findings), str(found)
