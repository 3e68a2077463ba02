"""Bad inputs give a clear error of a documented type, odd ones the right answer; none hangs."""

import faulthandler
import re

import jax
import numpy as np
import pytest

from tests.reliability.bad_inputs import BAD, ODD

SECONDS = 120  # a call that takes longer hangs: the run is ended, and says where


@pytest.fixture(autouse=True)
def _no_call_hangs():
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def said(error: BaseException) -> str:
    """The text of an error, with its notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_is_a_clear_error(name):
    bad = BAD[name]
    with pytest.raises(bad.error) as caught:
        bad.call()
    text = said(caught.value)
    assert re.search(bad.text, text, re.DOTALL | re.MULTILINE), text
    of_its_own = bad.text.startswith("^") or "operand" in bad.text
    assert of_its_own or re.search(r"^jaxcalc\.", text, re.MULTILINE), text


@pytest.mark.parametrize("name", ODD)
def test_an_odd_input_has_its_answer(name):
    odd = ODD[name]
    found = odd.call()
    if isinstance(odd.answer, list | np.ndarray | jax.Array):
        np.testing.assert_allclose(np.asarray(found), np.asarray(odd.answer), rtol=1e-6)
        return
    assert jax.tree.structure(found) == jax.tree.structure(odd.answer)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(odd.answer), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_there_are_many():
    assert len(BAD) >= 80
