"""Whole explanations against texts that were read: `python -m tests.transforms.golden` makes them.

They are made with the newest JAX that is tested. Others trace some functions to other operations, so
that estimates, and what each line of the source does, differ there.
"""

import re

import jax
import pytest

from jaxcalc.engine.jaxprs.params import NEWEST_TESTED
from tests.transforms.golden.functions import FOLDER, GOLDEN, text_of


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    expected = (FOLDER / f"{name}.txt").read_text("utf-8")
    found = text_of(name)
    if jax.__version__ != NEWEST_TESTED:
        expected, found = essentials(expected), essentials(found)
    assert found == expected, "if this is right, run `python -m tests.transforms.golden`"


def essentials(text):
    """An explanation without estimates, and without the table of steps."""
    text = re.sub(r"1e-?\d+ s|2\^\d+ B|\d+ blocks of \d+", "?", text)
    return re.sub(r"\nsteps[^\n]*\n.*?(\n\n\n|$)", "", text, flags=re.DOTALL)


def test_what_is_left_of_an_explanation_without_estimates():
    text = "plan  dense\n\n\nsteps\n\n line  lanes\n a.py:1  3\n\n\ncontrol flow\n\n scan  2^9 B\n"
    assert essentials(text) == "plan  dense\n\ncontrol flow\n\n scan  ?\n"


def test_nothing_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(GOLDEN)
    assert len(GOLDEN) >= 10
