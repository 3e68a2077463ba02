"""What fails in the structure engine: dense derivatives are then plain JAX's, with one warning."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.params import NEWEST_TESTED, UnknownLayoutError
from jaxcalc.engine.rules import registry
from jaxcalc.engine.rules.registry import NoRuleError
from jaxcalc.methods import composite, mixed, problem
from jaxcalc.methods.failures import Failures
from jaxcalc.planning import choose, evaluate

X = jnp.linspace(0.1, 0.9, 200)
SOME = np.arange(0, 190, 2)
WHERE = r"finding the structure failed at mul \(test_fallback\.py:\d+\) in engine/[\w/]+\.py, \w+"
ERRORS = [KeyError("k"), AssertionError(), TypeError("t"), IndexError("i"), RuntimeError("r")]


def new_stencil():
    """A function that nothing is kept of."""
    return lambda x: jnp.sin(x[1:]) * x[:-1]


def exact(x):
    """Its Jacobian in closed form."""
    n = x.size
    found = np.zeros((n - 1, n), np.float32)
    rows = np.arange(n - 1)
    found[rows, rows] = np.sin(x[1:])
    found[rows, rows + 1] = np.cos(x[1:]) * x[:-1]
    return found


def new_loss():
    f = new_stencil()
    return lambda x: jnp.sum(f(x))


CURVE = np.zeros((X.size, X.size), np.float32)
_k = np.arange(X.size - 1)
CURVE[_k + 1, _k + 1] = -np.sin(X[1:]) * X[:-1]
CURVE[_k, _k + 1] = CURVE[_k + 1, _k] = np.cos(X[1:])

CALLS = {
    "jit": (lambda: jax.jit(jaxcalc.jacobian(new_stencil()))(X), exact(X)),
    "direct": (lambda: jaxcalc.jacobian(new_stencil())(X), exact(X)),
    "value": (lambda: jax.jit(jaxcalc.value_and_jacobian(new_stencil()))(X)[1], exact(X)),
    "hessian": (lambda: jax.jit(jaxcalc.hessian(new_loss()))(X), CURVE),
    "all three": (lambda: jaxcalc.value_gradient_and_hessian(new_loss())(X)[2], CURVE),
    "rows": (lambda: jax.jit(jaxcalc.jacobian(new_stencil(), rows=SOME))(X), exact(X)[SOME]),
    "columns": (lambda: jax.jit(jaxcalc.jacobian(new_stencil(), columns=SOME))(X), exact(X)[:, SOME]),
    "diagonal": (lambda: jaxcalc.jacobian(new_stencil(), diagonal=True)(X), np.diagonal(exact(X))),
    "has_aux": (
        lambda: jax.jit(jaxcalc.jacobian(lambda x: (jnp.sin(x) * x, x), has_aux=True))(X)[0],
        np.diag(np.cos(X) * X + np.sin(X)),
    ),
}


@pytest.fixture
def break_rule(monkeypatch):
    """Have the rule of products raise an error."""
    registry.registered()

    def broken(error):
        def rule(eqn, operands):
            raise error

        monkeypatch.setitem(registry._RULES, "mul", rule)
        registry._revisions[0] += 1

    yield broken
    registry._revisions[0] += 1


@pytest.mark.parametrize("name", CALLS)
def test_a_rule_that_fails(name, break_rule):
    call, expected = CALLS[name]
    break_rule(KeyError("k"))
    api = "value_and_jacobian" if name == "value" else "jacobian"
    api = {"hessian": "hessian", "all three": "value_gradient_and_hessian"}.get(name, api)
    match = rf"^jaxcalc\.{api}: {WHERE} \(KeyError: 'k'\)\. .* please report it"
    with pytest.warns(jaxcalc.JaxcalcWarning, match=match) as caught:
        found = call()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_any_error_counts(error, break_rule):
    break_rule(error)
    with pytest.warns(jaxcalc.JaxcalcWarning, match=type(error).__name__):
        found = jax.jit(jaxcalc.jacobian(new_stencil()))(X)
    np.testing.assert_allclose(found, exact(X), rtol=1e-5, atol=1e-6)
    for kind in ("structured", "bcoo"):
        with pytest.raises(type(error)):
            jaxcalc.jacobian(new_stencil(), format=kind)(X)


PLACES = {
    "the directions": (problem, "obstacles"),
    "the trace": (choose, "prepare_by"),
    "the costs": (choose, "attempts_for"),
    "the parts": (composite, "_chain_of"),
    "the shares": (mixed, "shares_of"),
    "the result": (evaluate, "column_blocks"),
}


@pytest.mark.parametrize("name", PLACES)
def test_wherever_it_fails(name, monkeypatch):
    def fail(*_, **__):
        raise LookupError(name)

    # one of whose structure is worth it, and one without any
    whole = lambda x: jnp.outer(x, jnp.cos(x)).reshape(-1) @ jnp.ones((400, 20))  # noqa: E731
    f, x = (new_stencil(), X) if name in {"the trace", "the costs", "the result"} else (whole, X[:20])
    if name == "the result":
        f = lambda x: jnp.sin(jnp.repeat(x, 2))  # noqa: E731 (forward)
    expected = jax.jacfwd(f)(x)
    monkeypatch.setattr(*PLACES[name], fail)
    with pytest.warns(jaxcalc.JaxcalcWarning, match=f"LookupError: {name}") as caught:
        found = jax.jit(jaxcalc.jacobian(f))(x)
    assert len(caught) == 1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_explain_shows_it(break_rule):
    break_rule(KeyError("k"))
    found = jaxcalc.explain(new_stencil(), X, format="dense")
    assert found.chosen.name == "dense, reverse"
    for way in found.methods:
        if way.name.startswith("structured"):
            assert not way.is_possible
            assert "finding the structure failed at mul (test_fallback.py:" in way.note
            assert way.note.endswith("please report it")


def test_explain_of_what_cannot_even_be_estimated(monkeypatch):
    def fail(*_):
        raise LookupError("unknown")

    monkeypatch.setattr("jaxcalc.methods.problem.obstacles", fail)
    found = jaxcalc.explain(new_stencil(), X, format="dense")
    assert found.chosen.name.startswith("dense")
    assert "LookupError: unknown" in found.chosen.note
    assert "LookupError: unknown" in str(found)
    with pytest.raises(LookupError):
        jaxcalc.explain(new_stencil(), X)


def test_where_plain_jax_fails_too_its_error_is_shown(break_rule):
    break_rule(KeyError("k"))

    @jax.custom_jvp
    def wrong(x):
        return x * x

    wrong.defjvp(lambda xs, ts: (xs[0] * xs[0], ts[0][:2]))
    with pytest.raises(TypeError, match="JVP rule"):  # and no warning, which would be an error
        jax.jit(jaxcalc.jacobian(lambda x: wrong(x) * x))(X)
    with pytest.raises(KeyError, match="of f"):
        jaxcalc.jacobian(lambda x: {}["of f"] * x)(X)


def test_an_error_of_f_while_it_is_traced_is_no_failure():
    def with_values(x):
        try:
            scale = 2.0 if x[0] > 0 else 1.0
        except TypeError:
            raise RuntimeError("only with values") from None
        return jnp.sin(x) * scale

    expected = np.diag(2 * np.cos(X))
    np.testing.assert_allclose(jaxcalc.jacobian(with_values)(X), expected, rtol=1e-5)
    with pytest.raises(RuntimeError, match="only with values"):
        jax.jit(jaxcalc.jacobian(with_values))(X)


def test_a_run_is_not_caught():
    def f(x):
        return jax.pure_callback(boom, x, x) + x * 0

    def boom(_):
        raise KeyError("in the callback")

    g = jax.custom_jvp(f)
    g.defjvp(lambda xs, ts: (g(*xs), 2 * ts[0]))
    with pytest.raises(Exception, match="in the callback"):
        jax.block_until_ready(jax.jit(jaxcalc.value_and_jacobian(g))(X))
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        jaxcalc.jacobian(lambda x: jnp.log(x - 1) * x)(X)
    with pytest.raises(MemoryError):
        Failures("jaxcalc.jacobian").prepare(lambda: _raise(MemoryError()), None)


def test_strict_refuses_as_before():
    with pytest.raises(NoRuleError):
        Failures("jaxcalc.jacobian").prepare(lambda: _raise(NoRuleError()), None)
    assert issubclass(NoRuleError, NotImplementedError)


def _raise(error):
    raise error


def test_what_jaxcalc_refuses_is_no_failure():
    failures = Failures("jaxcalc.jacobian")
    failures.prepare(lambda: _raise(ValueError("jaxcalc.jacobian: too dense")), None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failures.tell()
    assert not failures.failed


def test_the_only_place_that_takes_any_exception():
    package = inspect.getsourcefile(jaxcalc)
    assert package is not None
    from tests.test_public import SOURCES

    broad = [path.name for path in SOURCES if "except Exception" in path.read_text("utf-8")]
    assert broad == ["failures.py"]
    assert "BLE001" in inspect.getsource(Failures.prepare)


def test_params_that_no_tested_version_of_jax_has(monkeypatch):
    """As on a JAX newer than any tested: dense derivatives are plain JAX's, sparse ones raise."""

    def unknown(eqn):
        raise UnknownLayoutError(eqn, "It has no 'num_consts'")

    def f(x):
        return jax.lax.scan(lambda c, _: (jnp.sin(c) + x, None), x, None, length=3)[0]

    x = jnp.linspace(0.0, 1.0, 50)
    expected = jax.jacfwd(f)(x)
    monkeypatch.setattr(equations, "scan", unknown)
    message = rf"(?s){jax.__version__}.*'scan'.*{NEWEST_TESTED}"
    for derivative in (jaxcalc.jacobian(f), jax.jit(jaxcalc.jacobian(f))):
        with pytest.warns(jaxcalc.JaxcalcWarning, match=message) as caught:
            np.testing.assert_allclose(derivative(x), expected, rtol=1e-5, atol=1e-6)
        assert len(caught) == 1
    for kind in ("structured", "bcoo"):
        with pytest.raises(UnknownLayoutError, match=message):
            jaxcalc.jacobian(f, format=kind)(x)
