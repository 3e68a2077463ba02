"""Functions whose derivatives are right: none is accused, and none gets a remark without a reason."""

import pytest
from right_functions import RIGHT

import jaxcalc


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_function_is_not_accused(name: str) -> None:
    case = RIGHT[name]
    report = jaxcalc.check(case.f, *case.args, **case.options)
    assert report.passed, str(report)
    assert {finding.kind for finding in report.findings} <= case.remarks, str(report)


def test_there_are_a_hundred() -> None:
    assert len(RIGHT) >= 100
