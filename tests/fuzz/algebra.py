"""Linear algebra on well-conditioned small matrices, transforms and complex numbers, in float64."""

from __future__ import annotations

from tests.fuzz.scope import Scope
from tests.fuzz.table import operation

_SQUARE = {
    "cholesky": "jnp.linalg.cholesky({p})",
    "inverse": "jnp.linalg.inv({p})",
    "determinant": "jnp.linalg.det({p})",
    "log_determinant": "jnp.linalg.slogdet({p})[1]",
    "eigenvalues": "jnp.linalg.eigvalsh({p})",
    "eigenvectors": "(lambda e: (e[1] * e[0][..., None, :] ** 2) @ e[1].mT)(jnp.linalg.eigh({p}))",
    "singular_values": "jnp.linalg.svd({p}, compute_uv=False)",
    "singular_vectors": "(lambda u, d, vt: (u * jnp.sqrt(d)[..., None, :]) @ vt)(*jnp.linalg.svd({p}))",
    "qr": "(lambda q, r: jnp.tanh(q) @ r)(*jnp.linalg.qr({p}))",
    "lu": "jnp.sin(lax.linalg.lu({p})[0])",
    "solved": "jnp.linalg.solve({p}, jnp.sin({m}))",
    "solved_by_cholesky": "jax.scipy.linalg.cho_solve((jnp.linalg.cholesky({p}), True), jnp.sin({m}))",
    "triangular": "jax.scipy.linalg.solve_triangular(jnp.tril({p}), jnp.cos({m}), lower=True)",
    "triangular_right": "lax.linalg.triangular_solve(jnp.triu({p}), jnp.cos({m}))",
    "triangular_transposed": (
        "lax.linalg.triangular_solve({p}, jnp.cos({m}), left_side=True, lower=True, transpose_a=True)"
    ),
    "matrix_power": "jnp.linalg.matrix_power(0.2 * {p}, 3)",
    "pseudo_inverse": "jnp.linalg.pinv({p})",
    "matrix_exponential": "jax.scipy.linalg.expm(0.1 * {p})",
}


def _of_matrix(name: str, text: str) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(
            lambda v: (
                v.rank in {2, 3}
                and v.is_double
                and v.shape[-1] in {1, 2, 3}
                and v.shape[-2] >= v.shape[-1]
            )
        )
        if v is None:
            return None
        if name in {"cholesky", "triangular", "inverse"} and s.pick.often(20):  # a known matrix
            matrix = s.constant((v.shape[-2], v.shape[-2]))
            return f"jnp.linalg.solve({matrix} @ {matrix}.T + np.eye({v.shape[-2]}), {v.name})"
        n = v.shape[-1]
        m = f"{v.name}[..., :{n}, :]"
        # symmetric, with eigenvalues that are apart
        p = f"(0.1 * jnp.tanh({m} + jnp.swapaxes({m}, -1, -2)) + jnp.diag(jnp.arange(1.0, {n + 1})))"
        return text.format(p=p, m=m)

    build.__name__ = name
    operation("algebra")(build)


for _name, _text in _SQUARE.items():
    _of_matrix(_name, _text)


def _of_signal(name: str, text: str) -> None:
    def build(s: Scope) -> str | None:
        v = s.value(lambda v: v.rank > 0 and v.size > 0 and v.is_double)
        return v and text.format(v=v.name, n=v.shape[-1])

    build.__name__ = name
    operation("algebra")(build)


_SIGNALS = {
    "fft": "jnp.abs(1.5 + jnp.fft.fft({v})) ** 2",
    "real_fft": "jnp.real(jnp.fft.rfft({v})) + jnp.imag(jnp.fft.rfft(jnp.sin({v})))",
    "fft_and_back": "jnp.fft.irfft(jnp.fft.rfft({v}) * jnp.exp(0.3j), n={n})",
    "inverse_fft": "jnp.imag(jnp.fft.ifft({v} * (1 + 2j)))",
    "fft_of_two_axes": "jnp.real(jnp.fft.fftn({v}) * jnp.fft.fftn(jnp.sin({v})))",
    "complex_product": "jnp.real(lax.complex({v}, jnp.sin({v})) * (0.3 + 1.2j))",
    "complex_square": "jnp.imag(lax.complex({v}, jnp.cos({v})) ** 2)",
    "complex_size": "jnp.abs(lax.complex({v}, 1.5 + {v} * {v}))",
    "complex_conjugate": "jnp.real(jnp.conj(lax.complex({v}, {v} ** 2)) * jnp.exp(1j * {v}))",
    "complex_angle": "jnp.angle(lax.complex(2 + jnp.sin({v}), {v}))",
    "complex_exp": "jnp.imag(jnp.exp(lax.complex(jnp.tanh({v}), {v})))",
    "complex_sum": "jnp.sum(lax.complex({v}, -{v}) * jnp.exp(1j * {v}), axis=-1).real",
    "polynomial": "jnp.polyval(jnp.array([0.3, -1.0, 0.5]), {v})",
}
for _name, _text in _SIGNALS.items():
    _of_signal(_name, _text)


@operation("algebra")
def tridiagonal(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and v.size > 2 and v.is_double)
    if v is None:
        return None
    return (
        f"lax.linalg.tridiagonal_solve(0.3 * jnp.tanh({v.name}).at[0].set(0), 2 + jnp.sin({v.name}), "
        f"0.3 * jnp.tanh({v.name}).at[-1].set(0), jnp.cos({v.name})[:, None])"
    )


@operation("algebra")
def known_solve(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank in {1, 2} and v.is_double and 0 < v.shape[0] <= 5 and v.size > 0)
    if v is None:
        return None
    n = v.shape[0]
    matrix = s.constant((n, n))
    return f"jnp.linalg.solve({matrix} @ {matrix}.T + np.eye({n}), {v.name})"


@operation("algebra")
def conjugate_gradients(s: Scope) -> str | None:
    v = s.value(lambda v: v.rank == 1 and v.is_double and 0 < v.size <= 4)
    if v is None:
        return None
    return (
        f"lax.custom_linear_solve(lambda t: (2 + jnp.sin({v.name})) * t, {v.name} ** 2, "
        f"lambda matvec, b: b / matvec(jnp.ones_like(b)), symmetric=True)"
    )
