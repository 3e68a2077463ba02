"""The one table of primitives: its names are JAX's, and its traits hold."""

from contextlib import suppress
from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcalc.engine.jaxprs import traits
from jaxcalc.engine.rules.coverage import coverage
from tests.in_numpy import in_numpy

# names of primitives in earlier versions of JAX
_FORMER = {"checkpoint", "copy_p", "core_call", "expand_dims", "pjit"} | {
    f"scatter_{how}" for how in ("add", "max", "min", "mul", "sub")
}


def test_every_name_is_a_primitive_of_jax():
    known = {entry.primitive for entry in coverage()} | _FORMER
    assert sorted(traits._KNOWN.keys() - known) == []


def test_every_trait_is_of_some_primitive():
    for field in fields(traits.Traits):
        assert traits.having(field.name) or traits.values(field.name), field.name


def test_a_name_is_declared_once():
    with pytest.raises(ValueError, match="traits of sin are declared twice"):
        traits._declare("sin", elementwise=True)


def _of_one_number(trait):
    found = {name: getattr(lax, name, None) for name in sorted(traits.having(trait))}
    return {name: f for name, f in found.items() if f is not None}


def test_elementwise_functions_are_so(x64):
    x, found = np.array([0.3, 0.6, 0.9]), {}
    for name, f in _of_one_number("elementwise").items():
        with suppress(TypeError, ValueError):  # of other operands
            found[name] = in_numpy(jax.jacfwd(f))(x + 1 if name == "acosh" else x)
    assert len(found) > 30
    for name, slopes in found.items():
        assert not slopes[~np.eye(3, dtype=bool)].any(), name


def test_piecewise_constant_functions_have_no_slope():
    tried = _of_one_number("piecewise_constant")
    assert {"floor", "sign"} <= tried.keys()
    slope = lambda f: lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]  # noqa: E731
    slopes = jax.jit(lambda x: {name: slope(f)(x) for name, f in tried.items()})(np.float32(0.3))
    assert {name: float(found) for name, found in slopes.items()} == dict.fromkeys(tried, 0.0)


def test_singular_functions_have_a_point_without_a_slope(x64):
    others = {
        "pow": lambda x: lax.pow(x, 0.5),
        "atan2": lambda x: lax.atan2(x, 0.0 * x),
        "div": lambda x: 1.0 / x,
        "integer_pow": lambda x: lax.integer_pow(x, -1),
        "log2": jnp.log2,
    }
    names = sorted(traits.having("singular"))
    functions = {name: others.get(name) or getattr(lax, name) for name in names}

    @jax.jit
    def slopes(points):
        return {
            name: jax.vmap(lambda x, f=f: jax.jvp(f, (x,), (1.0,))[1])(points)
            for name, f in functions.items()
        }

    for name, found in slopes(np.array([0.0, 1.0, -1.0])).items():
        assert not np.isfinite(found).all(), name
