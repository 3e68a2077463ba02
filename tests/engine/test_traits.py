"""The one table of primitives: its names are JAX's, and its traits hold."""

from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcalc.engine.jaxprs import traits
from jaxcalc.engine.rules.coverage import coverage

# what earlier versions of JAX call other primitives by
_FORMER = {"copy_p", "expand_dims", "pjit"} | {
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
    x = jnp.array([0.3, 0.6, 0.9])
    tried = []
    for name, f in _of_one_number("elementwise").items():
        try:
            slopes = np.asarray(jax.jacfwd(f)(x + 1 if name == "acosh" else x))
        except (TypeError, ValueError):  # of other operands
            continue
        tried.append(name)
        assert not slopes[~np.eye(3, dtype=bool)].any(), name
    assert len(tried) > 30


def test_piecewise_constant_functions_have_no_slope():
    tried = _of_one_number("piecewise_constant")
    assert {"floor", "sign"} <= tried.keys()
    for name, f in tried.items():
        assert float(jax.jvp(f, (0.3,), (1.0,))[1]) == 0, name


def test_singular_functions_have_a_point_without_a_slope(x64):
    points = jnp.array([0.0, 1.0, -1.0])
    for name in sorted(traits.having("singular")):
        f = {
            "pow": lambda x: lax.pow(x, 0.5),
            "atan2": lambda x: lax.atan2(x, 0.0 * x),
            "div": lambda x: 1.0 / x,
            "integer_pow": lambda x: lax.integer_pow(x, -1),
            "log2": jnp.log2,
        }.get(name) or getattr(lax, name)
        slopes = jax.vmap(lambda x, f=f: jax.jvp(f, (x,), (1.0,))[1])(points)
        assert not np.isfinite(slopes).all(), name
