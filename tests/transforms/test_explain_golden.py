"""Whole explanations against texts that were read: `python -m tests.transforms.golden` makes them."""

import pytest

from tests.transforms.golden.functions import FOLDER, GOLDEN, text_of


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    expected = (FOLDER / f"{name}.txt").read_text("utf-8")
    assert text_of(name) == expected, "if this is right, run `python -m tests.transforms.golden`"


def test_nothing_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(GOLDEN)
    assert len(GOLDEN) >= 10
