"""A rule, a method and a format are each one definition, and a name in one table."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

import jaxcalc
from jaxcalc.call import options
from jaxcalc.engine.jaxprs import traits
from jaxcalc.engine.rules import registry
from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.methods.base import Figures, Outcome
from jaxcalc.methods.problem import DirectProblem
from jaxcalc.planning import choose
from jaxcalc.results import formats
from tests.in_numpy import in_numpy

X = np.linspace(0.5, 2.0, 6, dtype=np.float32)


def stencil(x):
    return jnp.sin(x[1:]) * x[:-1]


# a rule


def every_other_of(x):
    return x[::2] * 2


every_other_p = Primitive("every_other_for_tests")
every_other_p.def_impl(lambda x: every_other_of(np.asarray(x)))  # not to be followed
every_other_p.def_abstract_eval(lambda x: jax.core.ShapedArray((-(-x.shape[0] // 2),), x.dtype))
mlir.register_lowering(every_other_p, mlir.lower_fun(every_other_of, multiple_results=False))
ad.deflinear2(every_other_p, lambda ct, x: [jnp.zeros(x.aval.shape, ct.dtype).at[::2].set(2 * ct)])
batching.defvectorized(every_other_p)


def doubled_slice(eqn, operands):
    """y_i = 2 t_2i: of each group every other place, and twice its coefficients."""
    (tangent,) = operands

    def sliced(array):  # an axis of size one stands for all places
        return array[:, ::2] if array.shape[1] > 1 else array

    groups = [Group(2 * sliced(group.data), sliced(group.index)) for group in tangent.groups]
    return Lanes(eqn.outvars[0].aval.shape, tangent.dtype).with_groups(groups)


def test_a_rule_is_a_function_under_the_name_of_its_primitive(monkeypatch):
    options = {"format": "structured", "mode": "forward", "strict": True}
    with pytest.raises(NotImplementedError, match="every_other_for_tests"):
        jaxcalc.jacobian(lambda x: every_other_p.bind(x**2), **options)(X)
    monkeypatch.setitem(registry._RULES, "every_other_for_tests", doubled_slice)  # as `rule` does
    found = jaxcalc.jacobian(lambda x: every_other_p.bind(x**2), **options)(X)
    assert found.nnz == 3
    np.testing.assert_allclose(found.toarray(), np.diag(4 * X)[::2], rtol=1e-6)


def test_traits_of_a_primitive_are_one_line(monkeypatch):
    name, declared = "every_other_for_tests", traits.Traits(free=True)
    monkeypatch.setitem(traits._KNOWN, name, declared)  # as `_declare` does
    assert name in traits.having("free")


# a method


@dataclass(frozen=True, eq=False)
class OneProduct:
    """The Jacobian of an elementwise function: one product with ones gives its diagonal."""

    problem: DirectProblem

    name = "dense, one product"
    words = "one product"
    note = "every operation is elementwise"
    is_optional = True
    parts = ()
    figures = Figures(products=1, work=1.0, workspace=0)

    def run(self):
        flat, x = self.problem.flat, jnp.asarray(self.problem.leaves[0])
        y, slopes, aux = jax.jvp(lambda x: _single(flat([x])), (x,), (jnp.ones_like(x),), has_aux=True)
        return Outcome(flat.value([y]), None, aux, flat.jacobian([[jnp.diag(slopes)]], [y.shape]))

    def branches(self):
        return []


def _single(found):
    (y,), aux = found
    return y, aux


def one_product(problem):
    names = {eqn.primitive.name for eqn in problem.jaxpr.eqns}
    return OneProduct(problem) if names <= traits.having("elementwise") else None


def test_a_method_is_a_class_and_a_name(monkeypatch):
    monkeypatch.setattr(choose, "COMPOSED", (one_product, *choose.COMPOSED))
    f, x = lambda x: jnp.sin(x) * x, X[:3]
    assert jaxcalc.explain(f, x, format="dense").chosen.name == "dense, one product"
    assert "every operation is elementwise" in str(jaxcalc.explain(f, x, format="dense"))
    for found in (jaxcalc.jacobian(f)(x), jax.jit(jaxcalc.jacobian(f))(x)):
        np.testing.assert_allclose(found, in_numpy(jax.jacfwd(f))(x), rtol=1e-6)
    value, found = jaxcalc.value_and_jacobian(f)(x)
    np.testing.assert_allclose(value, np.sin(x) * x, rtol=1e-6)
    assert jaxcalc.explain(stencil, x, format="dense").chosen.name != "dense, one product"


# a format


def test_a_format_is_a_function_and_a_name(monkeypatch):
    with pytest.raises(ValueError, match="unknown format 'triplets'; it can be 'bcoo'"):
        jaxcalc.jacobian(stencil, format="triplets")
    monkeypatch.setattr(options, "FORMATS", (*options.FORMATS, "triplets"))
    monkeypatch.setitem(
        formats.SPARSE,
        "triplets",
        lambda J: {
            (i, j): J.values[k]
            for k, (i, j) in enumerate(zip(J.rows.tolist(), J.cols.tolist(), strict=True))
        },
    )
    wanted = in_numpy(jax.jacfwd(stencil))(X)
    transformed = jaxcalc.jacobian(stencil, format="triplets")
    for found in (transformed(X), transformed(X), jax.jit(transformed)(X)):
        assert len(found) == 10
        for place, value in found.items():
            np.testing.assert_allclose(value, wanted[place], rtol=1e-6)
    curve = jaxcalc.hessian(lambda x: jnp.sum(x**3), format="triplets")(X)
    np.testing.assert_allclose([curve[i, i] for i in range(6)], 6 * X, rtol=1e-6)
    assert jaxcalc.explain(stencil, X, format="triplets").chosen.name.startswith("structured")
