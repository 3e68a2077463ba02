"""Wrong rules of different kinds: each is caught, and said to be what and where it is."""

import jax
import pytest
from wrong_rules import WRONG, in_dtype

import jaxcalc

IN_FLOAT64 = [name for name in WRONG if "1" in name or "transpose" in name or "Hessian" in name]


def require_caught(name: str, dtype: str) -> None:
    case = WRONG[name]
    report = jaxcalc.check(case.f, *in_dtype(case.args, dtype), **case.options)
    assert not report.passed
    assert any(
        finding.kind == case.kind and case.input in finding.input and case.output in finding.output
        for finding in report.findings
    ), str(report)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_caught_in_float32(name: str) -> None:
    require_caught(name, "float32")


@pytest.mark.parametrize("name", IN_FLOAT64)
def test_a_wrong_rule_is_caught_in_float64(name: str) -> None:
    with jax.enable_x64(True):
        require_caught(name, "float64")


def test_there_are_twenty() -> None:
    assert len(WRONG) >= 20
