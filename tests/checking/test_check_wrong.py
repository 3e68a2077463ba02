"""Wrong rules of different kinds: each is caught, and said to be what and where it is."""

from typing import Any

import jax
import pytest
from wrong_rules import WRONG, in_dtype

import jaxcalc
from tests.checking.wrong_rules_in_dtypes import IN_DTYPES
from tests.thinned import thinned

IN_FLOAT64 = [name for name in WRONG if "1" in name or "transpose" in name or "Hessian" in name]

# a third, for the time of the tests: `python -m tests.reliability` takes all of them
SOME = list(IN_DTYPES)[::3]


def require_caught(case: Any, args: Any) -> None:
    report = jaxcalc.check(case.f, *args, **case.options)
    assert not report.passed
    assert any(
        finding.kind == case.kind and case.input in finding.input and case.output in finding.output
        for finding in report.findings
    ), str(report)


@pytest.mark.parametrize("name", thinned(WRONG, 3))
def test_a_wrong_rule_is_caught_in_float32(name: str) -> None:
    require_caught(WRONG[name], in_dtype(WRONG[name].args, "float32"))


@pytest.mark.parametrize("name", thinned(IN_FLOAT64, 3))
def test_a_wrong_rule_is_caught_in_float64(name: str) -> None:
    with jax.enable_x64(True):
        require_caught(WRONG[name], in_dtype(WRONG[name].args, "float64"))


@pytest.mark.parametrize("name", thinned(SOME, 3))
def test_a_wrong_rule_is_caught_in_its_dtype(name: str) -> None:
    with jax.enable_x64("float64" in name):
        require_caught(IN_DTYPES[name], IN_DTYPES[name].args)


def test_there_are_seventy() -> None:
    assert len(WRONG) + len(IN_DTYPES) >= 70
    for dtype in ("float16", "bfloat16", "float32", "float64", "complex64"):
        assert sum(name.startswith(f"{dtype}:") for name in IN_DTYPES) >= 7
