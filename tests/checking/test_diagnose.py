"""The doctor's machinery: what it evaluates is what JAX does, and how a diagnosis reads."""

import json
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.checking.doctor.pullback import pull_back, push_forward
from jaxcalc.checking.doctor.runner import Runner
from jaxcalc.checking.doctor.tape import Tape
from jaxcalc.heuristics import tuned
from tests.checking import faults_in_one_direction
from tests.checking.faults import Fault


def run(f, *args) -> Tape:
    return Runner().start(jax.make_jaxpr(f)(*args), args)


def loop(x):
    return jax.lax.scan(lambda c, t: (c * jnp.sin(t), c + t**2), 1.5, x)


def backward_loop(x):
    carry, ys = jax.lax.scan(lambda c, t: (c + t * c, c * t), 0.5, x, reverse=True)
    return carry * jnp.sum(ys * jnp.arange(ys.size))


def branch(x):
    return jax.lax.cond(x[0] > 0, lambda x: jnp.sum(x**2), jnp.sum, x)


@jax.custom_jvp
def doubled(x):
    return jnp.sum(x**2)


@doubled.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return doubled(x), 4 * jnp.sum(x * t)


PROGRAMS = {
    "elementwise": lambda x: jnp.sum(jnp.tanh(x) * jnp.exp(x) / (1 + x**2)),
    "scan": lambda x: loop(x)[0] + jnp.sum(loop(x)[1]),
    "backward scan": backward_loop,
    "while": lambda x: jax.lax.fori_loop(0, 3, lambda i, y: jnp.sin(y) + i, x).sum(),
    "cond": branch,
    "vmapped cond": lambda x: jax.vmap(lambda t: jax.lax.cond(t > 0.5, jnp.sin, jnp.cos, t))(x).sum(),
    "jit and remat": jax.jit(jax.checkpoint(lambda x: jnp.sum(jnp.sort(x) * jnp.arange(3)))),
    "custom_jvp": lambda x: doubled(jnp.cos(x)),
    "linear algebra": lambda x: jnp.linalg.slogdet(jnp.outer(x, x) + jnp.diag(x))[1],
    "solve": lambda x: jnp.linalg.solve(jnp.eye(3) + jnp.outer(x, x), x)[0],
    "norm and max": lambda x: jnp.linalg.norm(x) + jnp.max(x) + jax.nn.logsumexp(x),
    "indices": lambda x: x[jnp.argsort(x)][0] + x.at[1].set(3.0)[2] + jnp.cumsum(x)[1],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_record_has_the_values_and_the_gradient_of_jax(name: str, x64: None) -> None:
    f, x, tangent = PROGRAMS[name], np.array([0.4, 0.7, 1.1]), np.array([0.3, -1.0, 2.0])
    exact = jax.jit(lambda x: (f(x), jax.grad(f)(x), jax.jvp(f, (x,), (tangent,))[1]))(x)
    tape = run(f, jnp.asarray(x))
    np.testing.assert_allclose(tape.values[tape.outputs[0]], exact[0], rtol=1e-12)
    pullback = pull_back(tape, {tape.outputs[0]: np.ones(())})
    np.testing.assert_allclose(pullback.of_value[tape.leaves[0]], exact[1], rtol=1e-9, atol=1e-12)
    pushed = push_forward(tape, {tape.leaves[0]: jnp.asarray(tangent)})[tape.outputs[0]]
    np.testing.assert_allclose(pushed, exact[2], rtol=1e-9, atol=1e-12)


def test_a_diagnosis_is_text_html_and_plain_values() -> None:
    found = jaxcalc.diagnose(lambda x: jnp.sum(jnp.sqrt(x)), jnp.zeros(2))
    assert not found.healthy
    (finding,) = found.findings
    text = str(found)
    assert "1 error" in text
    assert f"{finding.place}: sqrt has an infinite derivative at 0" in text
    assert finding.file == __file__
    assert json.loads(json.dumps(found.to_dict()))["findings"][0]["line"] == finding.line
    assert "sqrt has an infinite" in found._repr_html_()
    healthy = jaxcalc.diagnose(jnp.sin, 1.0)
    assert healthy.healthy
    assert not healthy.findings
    assert "healthy, nothing found" in str(healthy)
    assert "healthy" in healthy._repr_html_()


def test_a_diagnosis_is_true_when_f_is_healthy() -> None:
    assert not jaxcalc.diagnose(jnp.log, -1.0)
    noted = jaxcalc.diagnose(jnp.abs, 0.0)
    assert [finding.severity for finding in noted.findings] == ["note"]
    assert noted
    assert "true when f is healthy" in (jaxcalc.checking.Diagnosis.__doc__ or "").splitlines()[0]


def test_every_way_to_choose_arguments() -> None:
    def f(parameters, x, *, scale=1.0):
        return jnp.sum(jnp.floor(parameters["w"]) * x) * scale

    parameters, x = {"w": jnp.ones(2) * 1.5, "b": jnp.ones(1)}, jnp.ones(2)
    found = jaxcalc.diagnose(f, parameters, x)
    assert [x.argument for x in found.findings] == ["parameters['b']", "parameters['w']"]
    assert jaxcalc.diagnose(f, parameters, x, argnums=1).healthy
    assert jaxcalc.diagnose(f, parameters, x, argnames="scale", scale=2.0).healthy
    assert len(jaxcalc.diagnose(f, parameters, x, argnums=(0, 1)).findings) == 2
    aux = jaxcalc.diagnose(lambda x: (jnp.sum(x), {"log": jnp.log(0 * x)}), x, has_aux=True)
    assert not aux.findings


def test_an_output_that_is_no_number_is_looked_at_element_by_element() -> None:
    assert not jaxcalc.diagnose(jax.nn.softmax, jnp.arange(3.0)).findings  # its sum has no gradient
    found = jaxcalc.diagnose(lambda x: {"a": x, "b": jnp.sqrt(x - 1.0)}, jnp.ones(2))
    assert [f.operation for f in found.findings] == ["sqrt"]


def test_settings_of_jax_change_nothing() -> None:
    def f(x):
        return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), jnp.zeros_like(x)) + jax.nn.relu(x) + jnp.abs(x))

    x = jnp.array([0.0, 1.0])
    found = jaxcalc.diagnose(f, x)
    assert len(found.findings) == 3
    with (
        jax.debug_nans(True),
        jax.debug_infs(True),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
    ):
        assert jaxcalc.diagnose(f, x) == found
    with jax.enable_x64(True):
        double = jaxcalc.diagnose(f, jnp.array([0.0, 1.0]))
    assert [x.line for x in double.findings] == [x.line for x in found.findings]


def test_random_keys_go_through_loops() -> None:
    def f(x, key):
        def step(carry, k):
            return jax.random.split(carry)[0], (jnp.sum(x * jax.random.normal(k, x.shape)), k)

        return jax.lax.scan(step, key, jax.random.split(key, 3))[1][0]

    assert not jaxcalc.diagnose(f, jnp.ones(2), jax.random.key(0)).findings


@pytest.fixture
def few_equations() -> Iterator[None]:
    """Too few for a loop of 99 steps to be run one by one."""
    with tuned(most_diagnosed_equations=60):
        yield


def test_a_loop_that_is_too_long_is_a_note_and_no_fault(few_equations: None) -> None:
    scan = lambda x: jax.lax.scan(lambda c, t: (jnp.tanh(c + t), None), x, jnp.ones(99))[0]  # noqa: E731
    found = jaxcalc.diagnose(scan, 0.1)
    assert [f.kind for f in found.findings if f.kind == "limit"] == ["limit"]

    def loop(x):
        return jax.lax.while_loop(lambda s: s[0] < 99, lambda s: (s[0] + 1, 0.99 * s[1]), (0, x))[1]

    found = jaxcalc.diagnose(loop, 0.1)
    assert [f.kind for f in found.findings] == ["limit"]
    assert found.healthy


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: jaxcalc.diagnose(3, x), TypeError, "expected a function"),
        (lambda x: jaxcalc.diagnose(jnp.sin, "a"), TypeError, "x is 'a' of type str"),
        (
            jax.jit(lambda x: jaxcalc.diagnose(jnp.sin, x).healthy),
            TypeError,
            "outside of jit",
        ),
        (
            lambda x: jaxcalc.diagnose(jnp.sin, jax.ShapeDtypeStruct((3,), jnp.float32)),
            TypeError,
            "whose value is not known",
        ),
        (
            lambda x: jaxcalc.diagnose(lambda x: x if x[0] > 0 else -x, x),
            TypeError,
            "branches on values",
        ),
        (lambda x: jaxcalc.diagnose(np.sin, x), TypeError, "gives an array to numpy"),
        (lambda x: jaxcalc.diagnose(lambda x: float(x[0]), x), TypeError, "needs a number"),
        (lambda x: jaxcalc.diagnose(lambda x: x[x > 0], x), TypeError, "by truth values"),
        (lambda x: jaxcalc.diagnose(lambda x: None, x), TypeError, "returned no array"),
        (lambda x: jaxcalc.diagnose(lambda x: "a", x), TypeError, "the function returned 'a'"),
        (lambda x: jaxcalc.diagnose(jnp.sin, x, argnums=2), ValueError, "asks for position 2"),
        (lambda x: jaxcalc.diagnose(jnp.sin, x, has_aux=True), TypeError, "must return a pair"),
        (lambda x: jaxcalc.diagnose(lambda x: x, x, argnames="y"), ValueError, "no argument named 'y'"),
    ],
)
def test_mistakes_are_told(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=r"^jaxcalc\.diagnose: ") as caught:
        call(jnp.ones(3))
    assert words in str(caught.value)


def test_a_cast_is_told_once_and_not_again_at_the_sum_of_what_it_made() -> None:
    def f(x):
        low = x.astype(jnp.bfloat16)
        return jnp.sum(low * 2).astype(jnp.float32)

    (finding,) = jaxcalc.diagnose(f, jnp.ones(3)).findings
    assert finding.line == f.__code__.co_firstlineno + 1


def test_the_line_that_cannot_be_traced_is_named() -> None:
    def f(x):
        y = jnp.sin(x)
        return float(y)

    with pytest.raises(TypeError) as caught:
        jaxcalc.diagnose(f, 1.0)
    assert f"(test_diagnose.py:{f.__code__.co_firstlineno + 2})" in str(caught.value)


def test_errors_of_the_function_itself_come_through() -> None:
    def f(x):
        raise KeyError(x.shape)

    with pytest.raises(KeyError, match="3"):
        jaxcalc.diagnose(f, jnp.ones(3))


def test_what_has_no_derivative_is_named() -> None:
    def f(x):
        return jax.pure_callback(
            lambda v: np.asarray(v) * 2, jax.ShapeDtypeStruct((3,), x.dtype), x
        ).sum()

    (finding,) = jaxcalc.diagnose(f, jnp.ones(3)).findings
    assert finding.cause.startswith("JAX has no derivative of pure_callback")
    assert finding.severity == "error"


def test_a_custom_jvp_is_not_what_a_custom_jvp_lacks() -> None:
    square = jax.custom_jvp(lambda x: x**2)

    def rule(xs, ts):
        loop = jax.lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * 2, c[1] + 1), (ts[0], 0))[0]
        return square(*xs), loop / 4 * xs[0]

    square.defjvp(rule)
    (finding,) = jaxcalc.diagnose(lambda x: square(x).sum(), jnp.ones(3)).findings
    assert finding.cause.startswith("JAX has no reverse mode of custom_jvp_call")
    assert "jax.custom_jvp" not in finding.advice
    assert "differentiate forward" in finding.advice


def test_the_step_of_a_loop_is_named() -> None:
    def f(x):
        return jax.lax.scan(lambda c, k: (c + 1.0 / (x - k), None), 0.0, jnp.arange(5.0))[0]

    found = jaxcalc.diagnose(f, 3.0)
    assert found.findings[0].step == "step 3 of the scan"
    assert "step 3 of the scan" in str(found)


def test_the_conventions_at_kinks_are_those_of_jax() -> None:
    for f in (jnp.abs, jax.nn.relu, lambda x: jnp.maximum(x, 0.0), jax.nn.relu6, jax.nn.leaky_relu):
        (finding,) = (x for x in jaxcalc.diagnose(f, 0.0).findings if x.kind == "kink")
        taken = float(finding.cause.rsplit(" ", 1)[1])
        assert taken == float(jax.grad(f)(0.0))
        h = 1e-3
        below, above = ((f(s * h) - f(0.0)) / (s * h) for s in (-1, 1))
        assert f"are {below + 0.0:.3g} and {above:.3g}," in finding.cause


def test_a_zero_that_an_overflow_divides_is_put_down_to_the_overflow() -> None:
    def softmax(x):
        e = jnp.exp(x)
        return e / jnp.sum(e)

    (found,) = jaxcalc.diagnose(
        lambda x: -jnp.log(softmax(x)[1]), jnp.array([1.0, 2.0, 100.0])
    ).findings
    assert "log(0) is -inf: the 0 is a division by an overflow of exp (test_diagnose.py:" in found.cause
    assert "jax.nn.log_softmax" in found.advice


def test_a_mean_of_exponentials_is_no_softmax() -> None:
    (found,) = jaxcalc.diagnose(lambda x: jnp.mean(jnp.exp(x)), jnp.array([1.0, 100.0])).findings
    assert "overflow in exp" in found.cause
    assert "softmax" not in found.advice


def underflowing(w, scale):
    activity = (w * 2.0).astype(jnp.float16)
    return jnp.sum(jnp.tanh(activity).astype(jnp.float32)) * scale


@pytest.mark.parametrize(("scale", "healthy"), [(1e-9, False), (1e-3, True)])
def test_a_gradient_that_underflows_is_no_stationary_point(scale: float, healthy: bool) -> None:
    report = jaxcalc.diagnose(underflowing, jnp.ones(3), jnp.float32(scale))
    assert report.healthy == healthy
    if not healthy:
        first = underflowing.__code__.co_firstlineno
        found = report.findings[0]
        assert (found.severity, found.kind, found.line) == ("warning", "zero gradient", first + 2)
        assert (
            "the gradient with respect to w underflows in convert_element_type: 1.0e-09 arrives"
            in found.cause
        )
        assert "too small for float16" in found.cause


def test_a_gradient_whose_parts_cancel_is_one() -> None:
    report = jaxcalc.diagnose(lambda x: x - x, 2.0)
    assert report.healthy
    assert "underflows" not in str(report)


def test_a_constant_written_into_a_mutable_array_is_refused_where_jax_fails() -> None:
    def f(t):
        held = jax.new_ref(jnp.ones(2) * t)
        held[0] = 0.0
        return jnp.sum(held[...])

    found = jaxcalc.diagnose(f, 2.0)
    try:
        jax.grad(f)(2.0)
    except AttributeError:  # JAX 0.9 to 0.11
        (finding,) = found.findings
        assert finding.cause.startswith(
            "JAX has no reverse mode of swap: a number that does not depend"
        )
        assert finding.line == f.__code__.co_firstlineno + 2
    else:
        assert found.healthy


def test_a_mutable_array_from_outside_keeps_what_it_holds() -> None:
    held = jax.new_ref(jnp.ones(2))

    def f(t):
        held[0] = t
        return jnp.sum(jnp.log(held[...]))

    assert [x.operation for x in jaxcalc.diagnose(f, 0.0).findings] == ["log"]
    np.testing.assert_array_equal(held[...], jnp.ones(2))


@pytest.mark.parametrize("f", faults_in_one_direction.FAULTY, ids=lambda f: f.name)
def test_the_direction_that_is_named_is_the_one_that_jax_has_no_number_in(f: Fault) -> None:
    finding = jaxcalc.diagnose(f.function, *f.args).findings[0]
    forward, reverse = (
        bool(np.isfinite(jax.jit(derivative(f.function))(*f.args)).all())
        for derivative in (jax.jacfwd, jax.jacrev)
    )
    assert (forward, reverse) == (
        "reverse mode alone" in finding.cause,
        "forward mode alone" in finding.cause,
    )


@pytest.mark.parametrize(
    "f",
    [
        lambda a: jnp.sum(jnp.linalg.inv(a) * a.T),  # JAX holds the factors of a constant inside
        lambda a: jnp.trace(jnp.linalg.solve(a, a)),
        lambda a: jnp.sum(jnp.sin(a) - jnp.sin(a)),
    ],
)
def test_parts_that_cancel_are_no_cut(f):
    (found,) = jaxcalc.diagnose(f, jnp.diag(jnp.array([2.0, 4.0]))).findings
    assert (found.kind, found.severity) == ("zero gradient", "note")
    assert "cancel" in found.cause
