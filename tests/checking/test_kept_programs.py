"""What `check` compiles, and what it keeps: never the derivative of another function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.checking import programs
from jaxcalc.heuristics import tuned

x = jnp.array([0.5, 1.0, 1.5])


def test_a_new_function_is_one_program(compilations: list[str]) -> None:
    jaxcalc.check(lambda x: jnp.sin(x) * 1.5, x)  # what makes slopes of values serves all functions
    compilations.clear()
    assert jaxcalc.check(lambda x: jnp.cos(x[::-1]) * x, x)
    assert len(compilations) == 1


@pytest.mark.parametrize("order", [1, 2])
def test_a_second_check_compiles_nothing(compilations: list[str], order: int) -> None:
    weights = np.array([1.0, 2.0, 3.0], np.float32)
    calls = []

    def make() -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            calls.append(1)
            return jax.nn.softmax(jnp.tanh(x * weights))

        return f

    assert jaxcalc.check(make(), x, order=order)
    compilations.clear()
    calls.clear()
    assert jaxcalc.check(make(), x, order=order)  # another function, which computes the same
    assert not compilations
    assert len(calls) == 1


def test_arrays_that_change_are_seen_in_what_is_compiled_later() -> None:
    """The Hessian is compiled when the first array is another one; it is wrong, and its value tells."""
    slope = with_rule(3.0)

    @jax.custom_jvp
    def cubed(x: Any) -> Any:
        return x**3

    cubed.defjvp(lambda x, t: (cubed(*x), 3 * slope(*x) * t[0]))
    weights, same = (np.array([1.0, 2.0, 3.0], np.float32) for _ in range(2))
    assert jaxcalc.check(lambda x: jnp.sum(cubed(x) * weights), x)
    weights[:] = 5.0
    report = jaxcalc.check(lambda x: jnp.sum(cubed(x) * same), x, order=2)
    numbers = [each.exact for each in report.findings if each.input == "x[0]"]
    assert numbers[0] == pytest.approx(9 * float(x[0]), rel=1e-3)


def with_rule(factor: float) -> Callable[[Any], Any]:
    @jax.custom_jvp
    def square(x: Any) -> Any:
        return x * x

    square.defjvp(lambda x, t: (square(*x), factor * x[0] * t[0]))
    return square


def with_backward_rule(factor: float) -> Callable[[Any], Any]:
    @jax.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, u: (factor * x * u,))
    return square


@pytest.mark.parametrize("make", [with_rule, with_backward_rule])
def test_functions_that_differ_in_their_rules_alone(make: Callable[[float], Any]) -> None:
    """Inside a loop as well, where the rule is in a program of its own."""
    for wrap in (
        lambda f: f,
        lambda f: lambda x: jax.lax.scan(lambda c, _: (f(c) - 0.5 * c, None), x, length=2)[0],
    ):
        passed = [bool(jaxcalc.check(wrap(make(factor)), x)) for factor in (2.0, 3.0, 2.0, 2.5)]
        assert passed == [True, False, True, False]


def test_a_rule_that_changes_is_seen() -> None:
    factor = [2.0]

    @jax.custom_jvp
    def square(x: Any) -> Any:
        return x * x

    square.defjvp(lambda x, t: (square(*x), factor[0] * x[0] * t[0]))
    assert jaxcalc.check(square, x)
    factor[0] = 3.0
    assert not jaxcalc.check(square, x)


def test_a_rule_that_reads_what_f_computed() -> None:
    def f(x: Any) -> Any:
        y = jnp.cos(jnp.arange(3.0))  # is traced too

        @jax.custom_vjp
        def scaled(z: Any) -> Any:
            return z * y

        scaled.defvjp(lambda z: (scaled(z), None), lambda _, u: (u * y * factor,))
        return scaled(x * x)

    factor = 1.0
    assert jaxcalc.check(f, x)
    factor = 1.5
    report = jaxcalc.check(f, x)
    assert not report
    assert report.findings[0].exact == pytest.approx(3 * float(x[0]), rel=1e-4)


def test_few_programs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with tuned(kept_checks=3):
        for power in range(5):
            jaxcalc.check(lambda x, power=power: x**power, 1.5)
    assert len(programs._kept) == 3
