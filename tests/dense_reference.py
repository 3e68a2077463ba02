"""Structured derivatives against dense ones of JAX, entry by entry."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc

BOTH = ("forward", "reverse")
TOLERANCE = {8: 1e-11, 4: 2e-5, 2: 4e-2}  # by bytes of a real number


class Case(NamedTuple):
    """A function with a known structure.

    Attributes:
        f: the function.
        shape: the shape of its argument.
        entries: how many entries its Jacobian has; "tight" for as many as are nonzero.
        ways: the directions that JAX has for it.
    """

    f: Any
    shape: tuple[int, ...]
    entries: Any = "tight"
    ways: tuple[str, ...] = BOTH


def normal(*shape: int, seed: int = 0, dtype: Any = np.float64) -> jax.Array:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        values = values + 1j * rng.normal(size=shape)
    return jnp.asarray(values, dtype)


def check(case: Case, x: Any = None, *, run: Any = jax.jit, **options: Any) -> None:
    """Both directions against `jax.jacfwd`, in one program, no primitive left to the fallback."""
    x = normal(*case.shape) if x is None else x
    check_together({"": case}, {"": x}, run=run, **options)


def check_together(
    cases: dict[str, Case], xs: Any = None, *, run: Any = jax.jit, **options: Any
) -> None:
    """The same for several cases, in one program for all of them; by `run`, compiled or in numpy."""
    xs = {name: normal(*case.shape) for name, case in cases.items()} if xs is None else xs

    def derivatives(case: Case, x: Any) -> Any:
        transform = jax.jacfwd if "forward" in case.ways else jax.jacrev
        structured = {
            way: jaxcalc.jacobian(case.f, format="structured", mode=way, strict=True, **options)(x)
            for way in case.ways
        }
        return transform(case.f)(x), structured

    @run
    def everything(xs: Any) -> Any:
        return {name: derivatives(case, xs[name]) for name, case in cases.items()}

    for name, (dense, structured) in everything(xs).items():
        for way, found in structured.items():
            assert_same(found, np.asarray(dense), cases[name].entries, f"{name} {way}".strip())


def check_hessian(
    f: Any, x: Any, entries: Any = "tight", *, strict: bool = True, run: Any = jax.jit
) -> None:
    structured = jaxcalc.hessian(f, format="structured", strict=strict)
    dense, found = run(lambda x: (jax.hessian(f)(x), structured(x)))(x)
    assert_same(found, np.asarray(dense), entries, "hessian")


def assert_same(found: Any, dense: np.ndarray, entries: Any, name: str) -> None:
    rows, cols, values = (np.asarray(a) for a in (found.rows, found.cols, found.values))
    shape = found.shape
    places = rows.astype(np.int64) * max(1, shape[1]) + cols
    assert np.unique(places).size == places.size, f"{name}: an entry occurs twice"
    assert values.dtype == dense.dtype, (name, values.dtype, dense.dtype)
    wide = np.complex128 if np.iscomplexobj(values) else np.float64
    matrix = np.zeros(shape, wide)
    matrix[rows, cols] = values
    dense = dense.astype(wide).reshape(shape)
    real = np.finfo(values.dtype).dtype if values.dtype.kind in "fc" else values.dtype
    tolerance = TOLERANCE[np.dtype(real).itemsize] * max(1.0, np.abs(dense).max(initial=0))
    np.testing.assert_allclose(matrix, dense, rtol=0, atol=tolerance, err_msg=name)
    expected = np.count_nonzero(dense) if entries == "tight" else entries
    if expected is not None:
        assert len(values) == expected, f"{name}: {len(values)} entries, not {expected}"
