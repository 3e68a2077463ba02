"""A JAX that lays out params differently is told from one that is known, and named in the error."""

import jax
import jax.numpy as jnp
import pytest
import test_equations
import test_indexing_params
from jax import lax
from test_equations import equation, find, without

import jaxcalc
from jaxcalc.engine.jaxprs import bodies, equations, indexing, params
from jaxcalc.engine.jaxprs.params import NEWEST_TESTED, UnknownLayoutError

X = jnp.array([0.5, 1.5, 2.5])
# these take all params as they are
PASSED_ON = {
    "implementation",
    "bcoo_dot_general",
    "programs",
    "parameters",
    "of_tangents",
    "without_promise",
}
READ = [
    (module, reader, contract)
    for module, table in (
        (equations, test_equations.CONTRACTS),
        (equations, test_equations.SINCE),
        (indexing, test_indexing_params.CONTRACTS),
        (equations, {"linear_map": test_indexing_params.LINEAR_MAPS}),
        (bodies, {"bodies": test_equations.CONTRACTS["programs"]}),
    )
    for reader, contracts in table.items()
    for contract in contracts
    if not PASSED_ON & {reader, contract.primitive}
]


class Other:
    """A param of a kind that nobody knows."""


def named(primitive):
    return rf"JAX {jax.__version__} .*'{primitive}'.*tested with is JAX {NEWEST_TESTED}"


@pytest.mark.parametrize(("module", "reader", "contract"), READ)
def test_a_param_that_is_gone_or_of_another_kind_is_an_error_or_not_read(module, reader, contract):
    eqn = equation(contract)
    if eqn is None:
        pytest.skip(f"JAX {jax.__version__} has no primitive {contract.primitive!r}")
    read = getattr(module, reader)
    known = read(eqn)
    for name in eqn.params:
        try:
            assert repr(read(without(eqn, name))) == repr(known), f"{name} is read, and not asked for"
        except UnknownLayoutError as error:
            assert "It has no '" in str(error)  # noqa: PT017
            assert contract.primitive in str(error)  # noqa: PT017
        changed = eqn.replace(params={**eqn.params, name: Other()})
        try:
            read(changed)
        except UnknownLayoutError as error:
            assert "Other" in str(error) or "no '" in str(error)  # noqa: PT017


def scanned(x):
    return lax.scan(lambda c, a: (c * a + x[0], c), x[1], x)[1]


def scan_equation():
    found = find(jax.make_jaxpr(scanned)(X).jaxpr, "scan")
    assert found is not None
    return found


def test_the_error_names_both_versions_the_primitive_and_what_to_do():
    with pytest.raises(UnknownLayoutError, match=named("scan")) as raised:
        equations.scan(without(scan_equation(), "jaxpr"))
    assert "It has no 'jaxpr', but" in str(raised.value)
    assert f"install jax<={NEWEST_TESTED}" in str(raised.value)


def test_a_body_that_takes_other_operands_is_not_followed():
    eqn = scan_equation()
    fewer = eqn.replace(invars=eqn.invars[:-1])
    with pytest.raises(UnknownLayoutError, match="does not take what it is given"):
        equations.scan(fewer)


@pytest.mark.parametrize("name", ["length", "jaxpr"])
@pytest.mark.parametrize("sparse", ["structured", "bcoo"])
def test_sparse_formats_raise(sparse, name, monkeypatch):
    known = equations.scan
    monkeypatch.setattr(equations, "scan", lambda eqn: known(without(eqn, name)))
    with pytest.raises(UnknownLayoutError, match=named("scan")):
        jaxcalc.jacobian(scanned, format=sparse)(X)


def test_a_program_keeps_its_constants():
    # in JAX 0.11 a program with constants and one without are of one class
    weights = jnp.arange(3.0) + 2
    closed = jax.make_jaxpr(lambda x: x * weights)(X)
    assert params.closed(closed) is closed
    (eqn,) = jax.make_jaxpr(jax.jit(lambda x: x * weights))(X).jaxpr.eqns
    inner = equations.called(eqn)
    assert len(inner.in_avals) == len(eqn.invars)
    assert len(inner.consts) == len(inner.jaxpr.constvars)
