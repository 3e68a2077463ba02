"""`check`: its report, its options, its errors, and what it tells kinks and jumps from."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.checking import CheckReport, DerivativeError, assert_derivatives

x = jnp.array([0.5, 1.0, 1.5])


@jax.custom_jvp
def off(x: jax.Array) -> jax.Array:
    return jnp.sin(x)


off.defjvp(lambda x, t: (off(*x), (jnp.cos(x[0]) * t[0]).at[1].multiply(1.01)))


@pytest.fixture(scope="module")
def failed() -> CheckReport:
    return jaxcalc.check(off, x)


def test_a_finding_says_where_by_how_much_and_how_sure(failed: CheckReport) -> None:
    (found,) = failed.findings
    assert (found.kind, found.output, found.input) == ("wrong derivative", "output[1]", "x[1]")
    assert found.other == pytest.approx(float(np.cos(1.0)), abs=3 * found.error)
    assert found.exact == pytest.approx(1.01 * float(np.cos(1.0)), rel=1e-5)
    assert found.difference == pytest.approx(0.01 * float(np.cos(1.0)), rel=1e-2)
    assert found.error < 1e-4
    assert found.times > 10
    assert found.fails


def test_a_report_prints_and_converts(failed: CheckReport) -> None:
    text = str(failed)
    assert "Jacobian: float32[3] -> float32[3]: FAILED" in text
    assert "output[1] with respect to x[1]" in text
    assert "0.01 of it" in text
    record = json.loads(json.dumps(failed.to_dict()))
    assert record["passed"] is False
    assert record["findings"][0]["input"] == "x[1]"
    html = failed._repr_html_()
    assert "<td style='text-align:left" in html
    assert "output[1] with respect to x[1]" in html
    good = jaxcalc.check(jnp.sin, x)
    assert str(good).startswith("Jacobian: float32[3] -> float32[3]: passed")
    names = " ".join(comparison.name for comparison in good.comparisons)
    for ways in ("forward against reverse", "structured against dense", "random", "entry by entry"):
        assert ways in names
    assert all(comparison.worst <= 1 for comparison in good.comparisons)


def test_a_report_is_true_when_it_passed(failed: CheckReport) -> None:
    assert not failed
    assert jaxcalc.check(jnp.abs, jnp.zeros(1))  # a kink is a remark, and fails nothing
    assert "true when it passed" in (CheckReport.__doc__ or "").splitlines()[0]


def test_a_failure_raises_when_asked(failed: CheckReport) -> None:
    with pytest.raises(AssertionError, match=r"output\[1\] with respect to x\[1\]") as raised:
        failed.raise_if_failed()
    assert isinstance(raised.value, DerivativeError)
    assert raised.value.report is failed
    with pytest.raises(DerivativeError):
        jaxcalc.check(off, x, raises=True)
    with pytest.raises(AssertionError):
        assert_derivatives(off, x)
    good = jaxcalc.check(jnp.sin, x, raises=True)
    assert good.raise_if_failed() is good


def test_a_leaf_of_a_pytree_is_named() -> None:
    parameters = {"a": x, "layers": [jnp.ones(2), x + 1]}

    def f(parameters: dict, y: jax.Array) -> jax.Array:
        return {"out": off(parameters["layers"][1]) * y}

    (found,) = jaxcalc.check(f, parameters, x).findings
    assert (found.output, found.input) == ("output['out'][1]", "parameters['layers'][1][1]")


def test_a_tolerance_of_the_users_own() -> None:
    assert jaxcalc.check(off, x, tolerance=0.02).passed
    assert not jaxcalc.check(off, x, tolerance=1e-3).passed


def test_entries_are_looked_at_when_asked() -> None:
    def one_of_many(x: jax.Array) -> jax.Array:
        @jax.custom_jvp
        def f(x: jax.Array) -> jax.Array:
            return jnp.sum(jnp.sin(x))

        f.defjvp(lambda x, t: (f(*x), jnp.sum((jnp.cos(x[0]) * t[0]).at[33].multiply(1.02))))
        return f(x)

    y = jnp.linspace(0.1, 1.0, 40)
    report = jaxcalc.check(one_of_many, y, entries=True)
    assert [found.input for found in report.findings if found.fails] == ["x[33]"]
    assert not any("entry" in c.name for c in jaxcalc.check(one_of_many, y, entries=False).comparisons)


def test_a_kink_is_told_with_the_slopes_on_both_sides() -> None:
    report = jaxcalc.check(jax.nn.relu, jnp.array([0.0, 1.0]))
    (found,) = report.findings
    assert (found.kind, found.input, found.fails) == ("kink", "x[0]", False)
    assert found.exact == 0
    assert found.other - found.error == pytest.approx(0, abs=1e-4)
    assert found.other + found.error == pytest.approx(1, abs=1e-4)


def test_a_kink_of_one_number_has_its_own_slopes() -> None:
    (found,) = jaxcalc.check(jnp.abs, 0.0).findings
    assert (found.kind, found.output, found.input, found.exact) == ("kink", "output", "x", 1.0)
    assert found.other - found.error == pytest.approx(-1, abs=1e-4)
    assert found.other + found.error == pytest.approx(1, abs=1e-4)


def test_modes_that_disagree_are_told_beside_arrays_of_one_element() -> None:
    clipped = jax.custom_vjp(lambda w: w)
    clipped.defvjp(lambda w: (w, None), lambda _, ct: (jnp.clip(ct, -1, 1),))

    def loss(p: dict) -> jax.Array:
        return p["scale"] * jnp.sum(5 * clipped(p["w"]) ** 2)

    p = {"scale": 1.0, "w": jnp.array([1.0, 0.01, 0.02, 0.015])}  # w[0] alone is clipped
    kinds = {(found.kind, found.input) for found in jaxcalc.check(loss, p).findings}
    assert ("modes disagree", "p['w'][0]") in kinds
    assert {name for _, name in kinds} == {"p['w'][0]"}


def test_modes_of_one_number_that_disagree_are_told() -> None:
    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (jnp.clip(ct, -0.1, 0.1) * jnp.cos(x),))
    kinds = {(found.kind, found.output, found.input) for found in jaxcalc.check(f, 0.5).findings}
    assert ("modes disagree", "output", "x") in kinds


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (lambda c, ct: (c,), "one of the results does not depend on the tangents"),
        (lambda c, ct: (c * ct + 1,), "add .*is not linear"),
        (lambda c, ct: (c * ct * jnp.abs(ct),), "abs .*is not linear"),
    ],
)
def test_a_backward_rule_that_is_not_linear_is_named(rule: object, reason: str) -> None:
    swell = jax.custom_vjp(jnp.sin)
    swell.defvjp(lambda x: (jnp.sin(x), jnp.cos(x)), rule)
    findings = jaxcalc.check(lambda x: 2 * swell(x), x).findings
    (found,) = [found for found in findings if found.kind == "not linear"]
    assert "the backward rule of sin (test_check.py:" in found.message
    assert re.search(reason, found.message)


def test_a_wrong_rule_beside_a_kink_is_still_caught() -> None:
    report = jaxcalc.check(lambda x: jax.nn.relu(off(x)) + jnp.abs(x - 0.5), x)
    kinds = {found.input: found.kind for found in report.findings}
    assert kinds["x[1]"] == "wrong derivative"
    assert kinds["x[0]"] == "kink"


def test_a_value_outside_the_slopes_of_a_kink_is_wrong() -> None:
    f = jax.custom_jvp(jnp.abs)
    f.defjvp(lambda x, t: (f(*x), 3 * jnp.sign(x[0]) * t[0] + 2 * (x[0] == 0) * t[0]))
    report = jaxcalc.check(f, jnp.array([0.3, -2.0]))
    assert {found.kind for found in report.findings} == {"wrong derivative"}


def test_a_jump_is_told() -> None:
    (found,) = jaxcalc.check(lambda x: jnp.floor(x) + x, jnp.array([1.0, 0.5])).findings
    assert (found.kind, found.input) == ("discontinuity", "x[0]")


def test_what_is_not_finite_fails() -> None:
    found = jaxcalc.check(jnp.sqrt, jnp.array([0.0, 1.0])).findings[0]
    assert (found.kind, found.output, found.input) == ("not finite", "output[0]", "x[0]")
    assert "while f(x) is finite" in found.message
    assert "f(x) is not finite" in str(jaxcalc.check(jnp.log, jnp.array([0.0, 1.0])))


def test_what_is_not_finite_for_a_large_cotangent_is_not_put_down_to_one_output() -> None:
    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (jnp.where(abs(ct) > 2, jnp.inf, ct) * jnp.cos(x),))
    found = next(found for found in jaxcalc.check(f, x).findings if found.kind == "not finite")
    assert found.output == "the output"


def growth(x: jax.Array) -> jax.Array:
    return jnp.where(x == 0, 1.0, jnp.expm1(x) / jnp.where(x == 0, 1.0, x))  # slope 1/2 at 0


@pytest.mark.parametrize(
    ("f", "at", "place", "slope"),
    [
        (growth, jnp.array([0.0, 1.0]), "x[0]", 0.5),
        (lambda x: growth(x - 1), 1.0, "x", 0.5),
        (lambda x: jnp.where(x == 2, 4.0, x**2) + jnp.abs(x[::-1] - 3), jnp.array([2.0, 3]), "x[0]", 4),
    ],
)
def test_a_branch_for_x_alone_is_wrong_where_f_is_smooth(
    f: object, at: object, place: str, slope: float
) -> None:
    found = jaxcalc.check(f, at).findings[0]
    assert (found.kind, found.input, found.exact) == ("wrong derivative", place, 0.0)
    assert found.other == pytest.approx(slope, abs=1e-3)
    assert "at x alone" in found.message
    assert "as in jnp.where(x == 0, ...)" in found.message


def test_a_tie_whose_slopes_on_both_sides_agree_is_no_accusation() -> None:
    report = jaxcalc.check(jnp.median, jnp.ones(3))
    assert {found.kind for found in report.findings} == {"kink"}
    assert any("where f is not smooth" in found.message for found in report.findings)


def test_modes_that_lack_are_told() -> None:
    loop = lambda x: jax.lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] ** 2), (0, x))[1]  # noqa: E731
    report = jaxcalc.check(loop, x)
    assert report.passed
    notes = {comparison.name: comparison.note for comparison in report.comparisons}
    assert notes["forward against reverse"] == "f has no reverse mode"


def test_not_holomorphic_is_found_by_the_equations_alone() -> None:
    z = jnp.array([1.0 + 2j, 0.5j])
    assert jaxcalc.check(jnp.conj, z).passed
    report = jaxcalc.check(jnp.conj, z, holomorphic=True)
    assert {found.kind for found in report.findings} == {"not holomorphic"}
    assert jaxcalc.check(jnp.sin, z, holomorphic=True).passed
    with pytest.raises(TypeError, match="holomorphic=True requires complex"):
        jaxcalc.check(jnp.sin, x, holomorphic=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_few_digits_are_no_excuse_for_one_percent(dtype: str) -> None:
    report = jaxcalc.check(off, x.astype(dtype))
    assert any(c.name.startswith("in float32, ") for c in report.comparisons)
    assert [found.input for found in report.findings if found.fails] == ["x[1]"]


def test_the_directions_depend_on_the_seed_alone() -> None:
    one, two, other = (jaxcalc.check(jnp.sin, x, seed=seed).to_dict() for seed in (0, 0, 1))
    assert one == two
    assert one != other


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: jaxcalc.check(3, x), TypeError, "jaxcalc.check: expected a function"),
        (lambda: jaxcalc.check(jnp.sin, x, order=3), ValueError, "order must be 1 .* got 3"),
        (lambda: jaxcalc.check(jnp.sin, x, tolerance=0.0), ValueError, "tolerance must be positive"),
        (lambda: jaxcalc.check(jnp.sin, x, tolerance="x"), TypeError, "tolerance must be a positive"),
        (
            lambda: jaxcalc.check(jnp.sin, x, entries=1),
            TypeError,
            "entries must be True, False or None",
        ),
        (lambda: jaxcalc.check(jnp.sin, x, seed=-1), TypeError, "seed must be an integer from 0"),
        (lambda: jaxcalc.check(jnp.sin, jnp.arange(3)), TypeError, "x is int32"),
        (lambda: jaxcalc.check(jnp.sin, "a"), TypeError, "expected an array"),
        (lambda: jaxcalc.check(jnp.sin, x, argnums=1), ValueError, "position 1"),
        (lambda: jaxcalc.check(lambda x: "a", x), TypeError, "must return arrays or numbers"),
        (
            lambda: jaxcalc.check(jnp.sin, jax.ShapeDtypeStruct((3,), jnp.float32)),
            TypeError,
            "a shape alone",
        ),
        (lambda: jax.jit(lambda x: jaxcalc.check(jnp.sin, x))(x), TypeError, "outside of jit"),
    ],
)
def test_bad_calls(call: object, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("at", [[1e-7, 1.0, 1e5], [1e-10, 1.0, 1e12]])
def test_elements_have_their_own_scales(at: list[float], dtype: str) -> None:
    wrong = jax.custom_jvp(lambda x: 1 / x)
    wrong.defjvp(lambda x, t: (wrong(*x), -1.01 / x[0] ** 2 * t[0]))
    with jax.enable_x64(True):
        here = jnp.asarray(at, dtype)
        report = jaxcalc.check(lambda x: {"right": 1 / x, "wrong": wrong(x)}, here)
        assert all("['wrong']" in found.output for found in report.findings), str(report)
        accused = {found.input for found in report.findings if found.fails}
        assert accused == {f"x[{i}]" for i in range(len(at))}


def test_every_argument_is_looked_at_unless_told_otherwise() -> None:
    product = jax.custom_vjp(lambda x, y: x * y)
    product.defvjp(lambda x, y: (x * y, (x, y)), lambda r, ct: (ct * r[1], 2 * ct * r[0]))

    def f(x: jax.Array, options: dict, count: int, name: str, *, scale: float = 1.0) -> jax.Array:
        assert name == "sum"
        return product(x, options["y"]) * count * scale

    call = x, {"y": x + 1, "kind": "dense"}, 3, "sum"
    report = jaxcalc.check(f, *call, scale=2.0)
    assert report.arguments == ("x", "options", "scale")
    assert "FAILED (with respect to x, options, scale)" in str(report)
    assert {found.input[:12] for found in report.findings if found.fails} == {"options['y']"}
    assert jaxcalc.check(f, *call, argnums=0).passed
    static = lambda x, p: x**p if p > 1 else x  # noqa: E731
    assert jaxcalc.check(static, x, 2.0).arguments == ("x",)
    assert jaxcalc.diagnose(lambda x, y: jnp.sin(x) * y, x, 2.0).arguments == ("x", "y")


def test_samplers_with_implicit_derivatives_are_noted() -> None:
    key = jax.random.key(3)
    wrong = jax.custom_jvp(jnp.sin)
    wrong.defjvp(lambda x, t: (wrong(*x), 1.1 * jnp.cos(x[0]) * t[0]))

    def draw(shape: jax.Array, scale: jax.Array) -> dict:
        sample = jax.random.gamma(key, shape)
        return {"right": scale * sample, "wrong": wrong(scale) * sample}

    report = jaxcalc.check(draw, x, 2.0)  # one program, which takes long to compile
    notes = [comparison.note for comparison in report.comparisons]
    assert any("jax.random.gamma" in note and "with respect to shape" in note for note in notes)
    failures = [found for found in report.findings if found.fails]
    assert {found.input for found in failures} == {"scale"}
    assert all("['wrong']" in found.output for found in failures), str(report)


@pytest.mark.parametrize(
    ("f", "args", "options", "call"),
    [
        (lambda x: x**1.5, (0.0,), {"order": 2}, "diagnose(jaxcalc.gradient(f), ...)"),
        (
            lambda a, b: (a * b**1.5, a),
            (1.0, 0.0),
            {"order": 2, "argnums": 1},
            "diagnose(jaxcalc.jacobian(f, argnums=1), ..., argnums=1)",
        ),
        (lambda a, b: a * jnp.sqrt(b), (1.0, 0.0), {}, "diagnose(f, ..., argnames=('a', 'b'))"),
    ],
)
def test_the_call_that_it_points_to_finds_the_cause(
    f: object, args: tuple, options: dict, call: str
) -> None:
    found = next(g for g in jaxcalc.check(f, *args, **options).findings if g.kind == "not finite")
    assert f"jaxcalc.{call} says where" in found.message
    words = call.replace("...", ", ".join(map(str, args)))
    assert not eval("jaxcalc." + words, {"jaxcalc": jaxcalc, "f": f}).healthy


def test_digits_that_are_lost_inside_widen_what_is_tolerated() -> None:
    def worst_sharpness(f: object) -> float:
        report = jaxcalc.check(f, x)
        assert report.passed
        return max(c.sharpness for c in report.comparisons if c.name == "forward against reverse")

    coarse = worst_sharpness(lambda x: jnp.sin(x.astype(jnp.bfloat16)).astype(jnp.float32))
    assert coarse > 0.05
    beside = jnp.sum(jnp.ones(3, jnp.bfloat16))  # is not on the way from x
    assert worst_sharpness(lambda x: jnp.sin(x) + beside.astype(jnp.float32)) < 1e-3
    assert worst_sharpness(lambda x: (jnp.sin(x), x.astype(jnp.bfloat16))[0]) < 1e-3


@pytest.mark.parametrize(
    ("f", "at", "order"),
    [
        (lambda x: np.float32(2e38) * x, np.array([1.0, 0.5], np.float32), 1),
        (lambda x: np.float16(3e4) * x, np.array([1.0, 0.5], np.float16), 1),
        (lambda x: np.float32(2e38) * (x[:3] - x[1:]), np.arange(4.0, dtype=np.float32), 1),
        (jnp.log, np.array([3e-5], np.float16), 1),
        (lambda x: 2 * jnp.arctan2(x, x) / x, np.float16(-0.12), 2),  # jax#37909
    ],
)
def test_derivatives_near_the_largest_number(f: object, at: object, order: int) -> None:
    report = jaxcalc.check(f, at, order=order)
    assert not [found for found in report.findings if found.kind == "not finite"], str(report)
    assert report.passed
    assert not jaxcalc.check(lambda x: jnp.sqrt(f(x) * 0), at)  # an infinity is told all the same


def test_what_is_not_finite_is_told_under_debug_nans() -> None:
    with jax.debug_nans(True), jax.debug_infs(True):
        assert jaxcalc.check(jnp.sin, x)
        (found,) = jaxcalc.check(jnp.sqrt, jnp.zeros(1)).findings
    assert found.kind == "not finite"


def test_a_derivative_just_above_the_largest_number_is_not_finite() -> None:
    """It would be finite along a shorter direction."""
    report = jaxcalc.check(lambda x: jnp.exp(100 * x), jnp.array([0.886, 0.1]))
    kinds = {found.kind for found in report.findings}
    assert "not finite" in kinds
