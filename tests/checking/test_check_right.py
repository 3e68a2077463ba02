"""Functions whose derivatives are right: none is accused, and none gets a remark without a reason."""

import pytest
from right_functions import RIGHT, Case

import jaxcalc
from tests.checking.right_together import TOGETHER, names
from tests.thinned import thinned

# these take long to compile: `python -m tests.reliability` takes all of them
SOME = sorted({*TOGETHER} - {"float32", "float32, positive", "matrices"})


def require_right(case: Case) -> None:
    report = jaxcalc.check(case.f, *case.args, **case.options)
    assert report.passed, str(report)
    assert {finding.kind for finding in report.findings} <= case.remarks, str(report)


@pytest.mark.parametrize("name", thinned(RIGHT, 6))
def test_a_right_function_is_not_accused(name: str) -> None:
    require_right(RIGHT[name])


@pytest.mark.parametrize("name", thinned(SOME, 3))
def test_right_functions_together_are_not_accused(name: str) -> None:
    require_right(TOGETHER[name])


def test_there_are_two_hundred() -> None:
    assert len(RIGHT) + len(names()) >= 200
