"""Functions with one direction of their own: custom_vjp forward, and both kinds in one function."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental.ode import odeint
from jax.sharding import PartitionSpec

import jaxcalc
from jaxcalc.call.options import Options
from jaxcalc.call.request import Request
from jaxcalc.planning.choose import prepare
from tests.in_numpy import in_numpy
from tests.thinned import thinned

X = jnp.array([0.3, 1.2, 2.0])
W = jnp.arange(9.0).reshape(3, 3) / 9
FORMATS = ("dense", "bcoo", "structured")


def with_rule(f, backward):
    """f with a backward rule, from its input and a cotangent."""
    wrapped = jax.custom_vjp(f)
    wrapped.defvjp(lambda *xs: (f(*xs), xs), lambda xs, g: backward(*xs, g))
    return wrapped


def dense(result, kind):
    return (
        result if kind == "dense" else jax.tree.map(lambda r: r.todense(), result, is_leaf=_is_sparse)
    )


def _is_sparse(x):
    return hasattr(x, "todense")


def counted(step, x, times):
    """A loop that has no reverse mode, though it takes a known number of steps."""
    return lax.while_loop(lambda c: c[0] < times, lambda c: (c[0] + 1, step(c[1])), (0, x))[1]


sine = with_rule(jnp.sin, lambda x, g: (g * jnp.cos(x),))
double = partial(counted, lambda x: 2 * x, times=3)


def product(x):
    return sine(x) * counted(lambda c: 2 * c, x, 3)


SLOPE = np.diag(8 * X * np.cos(X) + 8 * np.sin(X))
CURVE = np.diag(16 * np.cos(X) - 8 * X * np.sin(X))


def require_slope(J, kind):
    np.testing.assert_allclose(dense(J, kind), SLOPE, rtol=1e-6, err_msg=kind)
    if kind != "dense":
        assert J.nse == 3 if kind == "bcoo" else J.nnz == 3, kind


@pytest.mark.parametrize("mode", ["auto", "forward"])
def test_a_function_that_jax_differentiates_in_neither_mode(mode):
    def under_all(kind):
        f = jaxcalc.jacobian(product, format=kind, mode=mode)
        both = jax.vmap(lambda x: dense(f(x), kind))
        again = jax.jacfwd(lambda x: dense(f(x), kind).sum(1))
        return lambda x: (f(x), both(jnp.stack([x, x])), again(x))

    found = jax.jit(lambda x: {kind: under_all(kind)(x) for kind in FORMATS})(X)
    for kind, (J, both, again) in found.items():
        require_slope(J, kind)
        np.testing.assert_allclose(both, [SLOPE, SLOPE], rtol=1e-6, err_msg=kind)
        np.testing.assert_allclose(again, CURVE, rtol=1e-5, atol=1e-5, err_msg=kind)


@pytest.mark.eager
@pytest.mark.parametrize("kind", FORMATS)
def test_it_step_by_step(kind):
    f = jaxcalc.jacobian(product, format=kind)
    require_slope(f(X), kind)
    if kind == "structured":
        both = jax.vmap(lambda x: f(x).values)(jnp.stack([X, X]))
        np.testing.assert_allclose(both, [np.diag(SLOPE)] * 2, rtol=1e-6)
        again = jax.jacfwd(lambda x: f(x).values)(X)
        np.testing.assert_allclose(again, CURVE, rtol=1e-5, atol=1e-5)


def require_curve(H, kind):
    np.testing.assert_allclose(dense(H, kind), CURVE, rtol=1e-5, atol=1e-5, err_msg=kind)
    if kind == "structured":
        assert H.nnz == 3


def total(x):
    return jnp.sum(product(x))


def test_its_hessian():
    found = jax.jit(lambda x: {kind: jaxcalc.hessian(total, format=kind)(x) for kind in FORMATS})(X)
    for kind, H in found.items():
        require_curve(H, kind)


@pytest.mark.eager
@pytest.mark.parametrize("kind", ["dense", "structured"])
def test_its_hessian_step_by_step(kind):
    require_curve(jaxcalc.hessian(total, format=kind)(X), kind)


def test_its_pattern_its_kind_and_its_value():
    assert jaxcalc.sparsity(product, X).todense().tolist() == np.eye(3, dtype=bool).tolist()
    assert jaxcalc.sparsity(lambda x: product(x).sum(), X, order=2).nnz == 3
    assert jaxcalc.classify(product, X).name == "Jacobian"

    @jax.jit
    def values(x):
        of_jacobian = [jaxcalc.value_and_jacobian(product, format=kind)(x)[0] for kind in FORMATS]
        return product(x), of_jacobian, jaxcalc.value_gradient_and_hessian(total)(x)[:2]

    expected, found, (value, slope) = values(X)
    for kind, each in zip(FORMATS, found, strict=True):
        np.testing.assert_array_equal(each, expected, err_msg=kind)
    np.testing.assert_allclose(value, np.sum(expected), rtol=1e-6)
    np.testing.assert_allclose(slope, np.diag(SLOPE), rtol=1e-6)


def test_its_derivative_in_reverse_where_that_exists():
    # the outer derivative in reverse: there is no loop in the way of it
    f = lambda x: jnp.sum(jaxcalc.jacobian(sine, mode="forward")(x) ** 2)  # noqa: E731
    for g in (jax.jit(jax.grad(f)), jax.grad(jax.jit(f))):
        np.testing.assert_allclose(g(X), -2 * np.cos(X) * np.sin(X), rtol=1e-5)


def _nondiff():
    @partial(jax.custom_vjp, nondiff_argnums=(0, 2))
    def f(n, x, g, i):
        return g(x) * n * i

    def backward(n, g, saved, ct):
        x, i = saved
        return jax.vjp(g, x)[1](ct)[0] * n * i, None

    f.defvjp(lambda n, x, g, i: (f(n, x, g, i), (x, i)), backward)
    return f


def _symbolic_zeros():
    f = jax.custom_vjp(lambda x, y: x * y)

    def forward(x, y):
        saved = (x.value if y.perturbed else None, y.value if x.perturbed else None)
        return x.value * y.value, saved

    def backward(saved, g):
        x, y = saved
        return (None if y is None else g * y), (None if x is None else g * x)

    f.defvjp(forward, backward, symbolic_zeros=True)
    return f


def _tree():
    f = lambda p: {"s": jnp.sin(p["a"]) * p["b"], "n": p["k"] + 1}  # noqa: E731

    def backward(p, g):
        b = jnp.sum(g["s"] * jnp.sin(p["a"]))
        return ({"a": g["s"] * jnp.cos(p["a"]) * p["b"], "b": b, "k": None},)

    return with_rule(f, backward)


nondiff, symbolic_zeros, tree = _nondiff(), _symbolic_zeros(), _tree()


def closes_over_a_result(x):
    c = jnp.sin(jnp.ones(3))
    inner = jax.custom_vjp(lambda y: y * c)
    inner.defvjp(lambda y: (y * c, None), lambda _, g: (g * c,))
    return inner(x)


def converted(x):
    h, consts = jax.closure_convert(lambda y: y * x.sum(), x)

    @partial(jax.custom_vjp, nondiff_argnums=(0,))
    def apply(fn, y, *c):
        return fn(y, *c)

    apply.defvjp(lambda fn, y, *c: (fn(y, *c), (y, c)), lambda fn, r, g: jax.vjp(fn, r[0], *r[1])[1](g))
    return apply(h, x, *consts)


def scanned(x):
    return lax.scan(lambda c, a: (c * a, c + a), x[0], x)[1]


def whiled(x):
    return jnp.tanh(W @ x)


def whiled_back(x, g):
    pulled = W.T @ (g * (1 - jnp.tanh(W @ x) ** 2))
    return (counted(lambda c: c / 2, 8 * pulled, 3),)


solve = with_rule(
    lambda b: jnp.linalg.solve(W + jnp.eye(3), b),
    lambda b, g: (jnp.linalg.solve((W + jnp.eye(3)).T, g),),
)
transposed_solve = with_rule(
    lambda b: jnp.linalg.solve((W + jnp.eye(3)).T, b),
    lambda b, g: (jnp.linalg.solve(W + jnp.eye(3), g),),
)
# not symmetric: a matrix that is not transposed shows
TURNED = jnp.eye(3) * 4 + jnp.arange(9.0).reshape(3, 3) / 9
iterative = jax.scipy.sparse.linalg


def solved_by(pull):
    """The solution of a system, whose backward rule solves the transposed one by `pull`."""
    return with_rule(lambda b: jnp.linalg.solve(TURNED, b), lambda b, g: (pull(TURNED.T, g),))


def by_gmres(A, g):
    return iterative.gmres(lambda v: A @ v, g, solve_method="incremental")[0]


def by_cg(A, g):
    """Of the normal equations, as the matrix is not symmetric."""
    return iterative.cg(lambda v: A.T @ (A @ v), A.T @ g, maxiter=30)[0]


def by_one_way_solve(A, g):
    return lax.custom_linear_solve(lambda v: A @ v, g, lambda _, b: jnp.linalg.solve(A, b))


def by_both_ways(A, g):
    def solve(v, b):
        return jnp.linalg.inv(jnp.stack([v(e) for e in jnp.eye(3)], 1)) @ b

    return lax.custom_linear_solve(lambda v: A @ v, g, solve, transpose_solve=solve)


def by_jacobi(A, g):
    D = jnp.diag(A)
    return counted(lambda c: (g - A @ c + D * c) / D, 0 * g, 60)


PLACES = jnp.array([2, 0, 0])
MESH = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
SPEC = PartitionSpec("i")


def printing(x, g):
    jax.debug.print("back {}", g)
    return (2 * g,)


RULES = {
    "elementwise": sine,
    "nondiff_argnums, integers, None": lambda x: nondiff(2, x, jnp.sin, 3),
    "a traced integer": lambda x: lax.fori_loop(0, 3, lambda i, c: nondiff(2, c, jnp.sin, i + 1), x),
    "symbolic zeros": lambda x: (
        symbolic_zeros(x, X) * symbolic_zeros(jnp.arange(3.0), x) + symbolic_zeros(x, x)
    ),
    "pytrees and an integer output": lambda x: (
        tree({"a": x, "b": x[0], "k": jnp.arange(3)})["s"] * tree({"a": x, "b": 2.0, "k": 1})["n"]
    ),
    "a closure over a constant": with_rule(
        lambda x: jnp.tanh(W @ x), lambda x, g: (W.T @ (g * (1 - jnp.tanh(W @ x) ** 2)),)
    ),
    "a closure over a result": closes_over_a_result,
    "jax.closure_convert": converted,
    "several outputs": lambda x: jnp.multiply(
        *with_rule(lambda y: (y, jnp.sum(y)), lambda y, g: (g[0] + g[1],))(x)
    ),
    "a scan in the rule": with_rule(scanned, lambda x, g: jax.vjp(scanned, x)[1](g)),
    "a branch in the rule": with_rule(
        lambda x: jnp.where(x > 1, jnp.sin(x), x),
        lambda x, g: (
            lax.cond(x[0] > 0, lambda g: jnp.where(x > 1, jnp.cos(x), 1) * g, lambda g: g, g),
        ),
    ),
    "a solver in the rule": solve,
    "a rule that calls another": with_rule(
        lambda x: 2 * solve(x), lambda x, g: (2 * transposed_solve(g),)
    ),
    "cg in the rule": solved_by(by_cg),
    "gmres in the rule": solved_by(by_gmres),
    "bicgstab in the rule": solved_by(lambda A, g: iterative.bicgstab(lambda v: A @ v, g)[0]),
    "a solve without a transpose in the rule": solved_by(by_one_way_solve),
    "a solve with one in the rule": solved_by(by_both_ways),
    "Jacobi's iteration in the rule": solved_by(by_jacobi),
    "a move of several arrays in the rule": with_rule(
        lambda x: 2 * x, lambda x, g: (sum(jax.device_put([g, X])) + g - X,)
    ),
    "a gather": with_rule(lambda x: x[PLACES], lambda x, g: (jnp.zeros(3).at[PLACES].add(g),)),
    "printing in the rule": with_rule(lambda x: 2 * x, printing),
    "a loop in the rule": with_rule(whiled, whiled_back),
    "a callback in the rule": with_rule(
        lambda x: 2 * x,
        lambda x, g: (jax.pure_callback(lambda g: 2 * np.asarray(g), g, g, vmap_method="sequential"),),
    ),
    "bfloat16": lambda x: sine(x.astype(jnp.bfloat16)).astype(jnp.float32),
    "in jit": jax.jit(lambda x: sine(x) * 2),
    "in checkpoint": jax.checkpoint(lambda x: sine(x) * 2),
    "in scan": lambda x: lax.scan(lambda c, a: (sine(c) * a, sine(a)), x, jnp.stack([x, x]))[1],
    "in cond": lambda x: lax.cond(x[0] > 0, sine, jnp.cos, x),
    "in vmap": jax.vmap(sine),
    "in the matrix of a solver": lambda x: jax.scipy.sparse.linalg.cg(lambda v: (2 + sine(x)) * v, x)[
        0
    ],
    "in shard_map": jax.shard_map(
        lambda x: sine(x) * lax.psum(x, "i"), mesh=MESH, in_specs=SPEC, out_specs=SPEC
    ),
    "a number": lambda x: sine(x[0]),
    "no elements": lambda x: sine(x[:0]),
}


def beside_a_loop(f):
    """JAX has no reverse mode of the loop: now the rules have to be transposed one by one."""
    return lambda x: f(counted(lambda c: c * 1, x, 2))


def variants(name):
    """Functions with the same derivative, and the format that it is asked for in."""
    f = RULES[name]
    found = {"dense": (f, "dense"), "structured": (f, "structured")}
    if name != "a closure over a result":  # a rule that reads what f computes needs all of f
        found["structured, with a loop"] = (beside_a_loop(f), "structured")
    return found


def require_transpose(found, expected, what):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=what)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), what


def forward(f, kind):
    return lambda x: dense(jaxcalc.jacobian(f, format=kind, mode="forward")(x), kind)


@pytest.mark.parametrize("name", thinned(RULES, 3))
def test_forward_mode_is_the_transpose_of_the_reverse_rule(name):
    asked = variants(name)

    @jax.jit
    def everything(x):
        return jax.jacrev(RULES[name])(x), {what: forward(*each)(x) for what, each in asked.items()}

    expected, found = everything(X)
    for what in asked:
        require_transpose(found[what], expected, what)


@pytest.mark.eager
@pytest.mark.parametrize("what", ["dense", "structured", "structured, with a loop"])
@pytest.mark.parametrize("name", ["elementwise", "a loop in the rule", "in cond"])
def test_forward_mode_step_by_step(name, what):
    expected = jax.jit(jax.jacrev(RULES[name]))(X)
    require_transpose(forward(*variants(name)[what])(X), expected, what)


def in_formats(f, **options):
    """Its Jacobian in each format, made dense, in one program."""

    @jax.jit
    def everything(x):
        return {k: dense(jaxcalc.jacobian(f, format=k, **options)(x), k) for k in FORMATS}

    return everything


def test_in_while_loop():
    x = np.asarray(X)
    expected = np.diag(np.cos(np.sin(np.sin(x))) * np.cos(np.sin(x)) * np.cos(x))
    for kind, J in in_formats(lambda x: counted(sine, x, 3))(X).items():
        np.testing.assert_allclose(J, expected, rtol=1e-6, atol=1e-7, err_msg=kind)


def test_a_rule_that_is_not_the_derivative_is_what_counts():
    straight = with_rule(lambda x: x.round(), lambda x, g: (g,))
    expected = np.diag(8 * np.asarray(X) + 8 * np.round(X))
    for kind, J in in_formats(lambda x: straight(x) * double(x))(X).items():
        np.testing.assert_allclose(J, expected, rtol=1e-6, err_msg=kind)


def test_a_rule_that_is_not_linear_takes_a_pass_for_each_output():
    clipped = with_rule(lambda x: x, lambda x, g: (jnp.clip(g, -0.5, 0.5),))
    tripled = lambda x: 3 * clipped(x)  # noqa: E731
    wide = lambda x: jnp.tile(3 * clipped(x), 8)  # noqa: E731

    @jax.jit
    def everything(x):
        return in_formats(tripled, mode="forward")(x), in_formats(tripled)(x), in_formats(wide)(x)

    forwards, automatic, wides = everything(X)
    for kind in FORMATS:
        np.testing.assert_allclose(forwards[kind], 1.5 * np.eye(3), err_msg=kind)
        # in automatic mode reverse mode decides, as in JAX
        np.testing.assert_allclose(automatic[kind], 0.5 * np.eye(3), err_msg=kind)
        np.testing.assert_allclose(wides[kind], np.tile(0.5 * np.eye(3), (8, 1)), err_msg=kind)
        with pytest.raises(NotImplementedError, match=r"^jaxcalc.jacobian: .*custom_vjp.*strict=True"):
            jaxcalc.jacobian(clipped, format=kind, mode="forward", strict=True)(X)


def test_what_was_done_is_told():
    clipped = with_rule(lambda x: x, lambda x, g: (jnp.clip(g, -0.5, 0.5),))
    options = Options("jaxcalc.jacobian", False, False, False, "structured", "forward", None, False)
    f = lambda x: 3 * clipped(x)  # noqa: E731
    told = prepare(Request.of(f, options, 0, None, (X,), {}), "jacobian").derivative.fallbacks
    assert len(told) == 1
    assert told[0].startswith("custom_vjp_call (test_one_way_functions.py:")
    for name in ("elementwise", "a loop in the rule"):
        request = Request.of(RULES[name], options, 0, None, (X,), {})
        assert not prepare(request, "jacobian").derivative.fallbacks


def test_a_loop_in_a_rule_keeps_samples_apart():
    f = RULES["a loop in the rule"]
    batch = np.stack([X, 2 * X, 3 * X, 4 * X])

    @jax.jit
    def both(batch):
        J = jaxcalc.jacobian(jax.vmap(f), format="structured", mode="forward")(batch)
        assert J.nnz == 4 * 8  # W has one zero
        return J.todense(), jax.jacrev(jax.vmap(f))(batch)

    found, expected = both(batch)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


TIME = 0.5


def solved(y):
    """The logistic equation, in two components that share the solver's steps."""
    return odeint(lambda y, t: y * (1 - y), y, jnp.array([0.0, TIME]), rtol=1e-6, atol=1e-6)[-1]


def exact_slope(y):
    """Of the solution y / (y + (1 - y) exp(-t)), component by component."""
    decay = np.exp(-TIME)
    return decay / (y + (1 - y) * decay) ** 2


def exact_curve_of_square(y):
    decay = np.exp(-TIME)
    below = y + (1 - y) * decay
    return 2 * exact_slope(y) ** 2 - 4 * y * decay * (1 - decay) / below**4


@pytest.mark.slow
def test_an_ode_solver_forward():
    """The structured one in numpy: a solver in a rule takes long to compile, and few steps to run."""
    batch = np.array([[0.2, 0.6], [0.5, 0.4]], np.float32)

    @in_numpy
    def structured(batch):
        J = jaxcalc.jacobian(jax.vmap(solved), format="structured", mode="forward")(batch)
        assert J.nnz == 2 * 4  # samples stay apart
        return J.todense()

    expected = np.diag(exact_slope(batch.ravel())).reshape(2, 2, 2, 2)
    np.testing.assert_allclose(structured(batch), expected, rtol=1e-4, atol=1e-5)
    found = jax.jit(jaxcalc.jacobian(solved, mode="forward"))(batch[0])
    np.testing.assert_allclose(found, expected[0, :, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_hessian_of_an_ode_solver_which_calls_itself_in_its_rule():
    y = np.array([0.2, 0.6], np.float32)
    hessian = jaxcalc.hessian(lambda y: jnp.sum(solved(y) ** 2), format="structured")
    found = in_numpy(lambda y: hessian(y).todense())(y)
    np.testing.assert_allclose(found, np.diag(exact_curve_of_square(y)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loops", [False, True], ids=["transposed", "materialized"])
def test_complex_parts_of_a_real_function(loops):
    through = (lambda g: counted(lambda c: c / 2, 4 * g, 2)) if loops else (lambda g: g)
    turn = with_rule(
        lambda x: jnp.exp(1j * x), lambda x, g: (jnp.real(through(g * 1j * jnp.exp(1j * x))),)
    )
    square = with_rule(lambda z: jnp.abs(z) ** 2, lambda z, g: (through(2 * g * jnp.conj(z)),))
    for f in (
        lambda x: jnp.real(turn(x)) * 3 + jnp.imag(turn(x) ** 2),
        lambda x: square(x * (1 + 2j) + 1j * x**2),
    ):
        both = jax.jit(lambda x, f=f: (jax.jacrev(f)(x), in_formats(f, mode="forward")(x)))
        expected, found = both(X)
        for kind, J in found.items():
            np.testing.assert_allclose(J, expected, rtol=1e-5, atol=1e-5, err_msg=kind)


def test_under_the_strictest_settings():
    through = partial(counted, lambda c: c / 2)
    mixed = with_rule(
        lambda x, y: jnp.sin(x) * y.astype(x.dtype),
        lambda x, y, g: (
            through(4 * g * jnp.cos(x) * y.astype(x.dtype), 2),
            through(4 * jnp.sum(g * jnp.sin(x)).astype(y.dtype).reshape(1), 2),
        ),
    )
    f = lambda x, y: {"a": mixed(x, y), "b": product(x)}  # noqa: E731
    y = jnp.array([0.5], jnp.bfloat16)
    # dense, jax.jacfwd itself takes no mixed dtypes under strict promotion
    for kind, promotion in (("structured", "strict"), ("dense", "standard")):
        with jax.numpy_dtype_promotion(promotion), jax.debug_nans(True):
            J = jaxcalc.jacobian(f, (0, 1), format=kind, mode="forward")(X, y)
            J = J if kind == "dense" else J.todense()
        np.testing.assert_allclose(J["a"][0], np.diag(0.5 * np.cos(X)), rtol=1e-6)
        np.testing.assert_allclose(J["a"][1][:, 0], np.sin(X), rtol=1e-2)
        np.testing.assert_allclose(J["b"][0], SLOPE, rtol=1e-6)
    with jax.numpy_rank_promotion("raise"):
        J = jaxcalc.jacobian(RULES["a loop in the rule"], format="structured", mode="forward")(X)
        np.testing.assert_allclose(J.todense(), jax.jit(jax.jacrev(whiled))(X), rtol=1e-5, atol=1e-6)


def test_double_precision(x64):
    x = np.linspace(0.1, 2.0, 5)
    for J in in_formats(product)(x).values():
        np.testing.assert_allclose(J, np.diag(8 * x * np.cos(x) + 8 * np.sin(x)), rtol=1e-14)
        assert J.dtype == np.float64


def test_many_outputs_are_differentiated_forward():
    f = lambda x: jnp.sin(jnp.outer(sine(x), jnp.arange(100.0))).reshape(-1)  # noqa: E731
    expected, found = jax.jit(lambda x: (jax.jacrev(f)(x), in_formats(f)(x)))(X)
    for kind, J in found.items():
        np.testing.assert_allclose(J, expected, rtol=1e-5, atol=1e-4, err_msg=kind)
    counts = []

    def backward(x, g):
        jax.debug.callback(lambda _: counts.append(1), g[0])
        return (g * jnp.cos(x),)

    g = lambda x: jnp.tile(with_rule(jnp.sin, backward)(x), 50)  # noqa: E731
    jax.block_until_ready(jaxcalc.jacobian(g)(X))
    jax.effects_barrier()
    assert not counts  # no pass of the backward rule


def test_aux_and_printing_of_f(capsys):
    def f(x):
        jax.debug.print("f")
        return product(x), {"name": "aux", "value": x.sum()}

    for kind in FORMATS:
        J, aux = jaxcalc.jacobian(f, format=kind, has_aux=True, mode="forward")(X)
        np.testing.assert_allclose(dense(J, kind), SLOPE, rtol=1e-6)
        assert aux["name"] == "aux"
        np.testing.assert_allclose(aux["value"], X.sum())
    jax.effects_barrier()
    assert capsys.readouterr().out.count("f\n") >= 1


def test_what_has_no_forward_mode_says_so():
    both = lambda x: closes_over_a_result(double(x))  # noqa: E731
    with pytest.raises(TypeError, match=r"^jaxcalc.jacobian: .*read a value that f computes.*argument"):
        jaxcalc.jacobian(both, mode="forward")(X)
