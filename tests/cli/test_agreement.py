"""Comparing exact with numerical values: what passes, what does not, and which entry is named."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.cli.agreement import compare, worst_entry

pytestmark = pytest.mark.usefixtures("x64")


def test_a_difference_within_the_estimated_error_passes() -> None:
    found = worst_entry(jnp.array([1.0, 2.0]), jnp.array([1.0, 2.001]), jnp.array([0.0, 1e-3]))
    assert found.passed
    assert (found.place, found.exact, found.numerical) == ("[1]", 2.0, 2.001)


def test_a_larger_difference_does_not() -> None:
    exact = {"a": jnp.ones((2, 2)), "b": jnp.zeros(())}
    other = {"a": jnp.ones((2, 2)).at[1, 0].set(1.01), "b": jnp.zeros(())}
    error = {"a": jnp.full((2, 2), 1e-9), "b": jnp.zeros(())}
    found = worst_entry(exact, other, error)
    assert not found.passed
    assert found.place == "a[1,0]"
    assert found.entries == 5
    assert found.difference == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("exact", "other", "error"),
    [
        (1.0, np.nan, 0.1),
        (np.nan, 1.0, 0.1),
        (np.inf, np.inf, 0.0),
        (1.0, 1.0, np.inf),
        (1.0, 1.0, np.nan),
    ],
)
def test_what_could_not_be_measured_does_not_pass(exact: float, other: float, error: float) -> None:
    assert not worst_entry(*(jnp.asarray(x) for x in (exact, other, error))).passed


def test_empty_derivatives_agree() -> None:
    empty = jnp.zeros((0, 3))
    assert worst_entry({"a": empty}, {"a": empty}, {"a": empty}).passed
    assert worst_entry((), (), ()).passed


def test_the_scale_is_that_of_the_derivative() -> None:
    exact, off = jnp.array([1e9, 1.0]), jnp.array([1e9, 2.0])
    assert worst_entry(exact, off, jnp.zeros(2)).passed
    assert not worst_entry(exact / 1e9, off / 1e9 + jnp.array([0, 1e-3]), jnp.zeros(2)).passed


def test_only_chosen_arguments_are_compared() -> None:
    def f(x: float, y: float) -> float:
        return jnp.sin(x) * jnp.floor(y + 0.5)

    values = {"x": jnp.asarray(1.0), "y": jnp.asarray(2.5)}
    assert compare(f, values, ["x"]).passed
    assert not compare(f, values, ["y"]).passed
