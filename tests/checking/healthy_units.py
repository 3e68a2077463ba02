"""Quantities in SI units, tables and mixed precision without a fault: nothing must be found."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import vector

GRID = np.linspace(0.0, 1.0, 5, dtype=np.float32)
TABLE = np.sin(GRID).astype(np.float32)


def lennard_jones(distance: Any, depth: Any) -> Any:
    """In joules, of a distance in meters, by way of a ratio without unit."""
    ratio = (3.4e-10 / distance) ** 6
    return jnp.sum(4.0 * depth * (ratio**2 - ratio))


def planck(wavelength: Any, temperature: Any) -> Any:
    """Spectral radiance; h c / k is 0.01439 m K."""
    return jnp.sum(
        1.191e-16 / (wavelength * 1e6) ** 5 / jnp.expm1(0.01439 / (wavelength * temperature))
    )


def mixed_network(parameters: Any, x: Any) -> Any:
    """Weights and activations in bfloat16 throughout, and a loss of the same dtype."""
    hidden = jnp.tanh(parameters["w"] @ x + parameters["b"])
    return jnp.sum(hidden * hidden)


def functions() -> dict[str, tuple[Any, ...]]:
    """Functions by name, each with its arguments."""
    half = np.array([0.3, 0.5], np.float16)
    low = np.array([0.5, 1.5], jnp.bfloat16)
    weights = np.array([[0.5, -0.25], [1.0, 0.75]], jnp.bfloat16)

    return {
        # SI units
        "a Lennard-Jones potential in joules": (
            lennard_jones,
            vector(4e-10, 5e-10),
            np.float32(1.6e-21),
        ),
        "Coulomb's law in newtons": (
            lambda r: jnp.sum(2.307e-28 / r * (1.0 / r)),
            vector(1e-10, 3e-10),
        ),
        "a photon's energy in joules": (lambda f: jnp.sum(6.626e-34 * 1e20 * f), vector(5e14, 6e14)),
        "a period of the Moon in seconds": (
            lambda r: jnp.sum(2 * jnp.pi * r * jnp.sqrt(r / 3.986e14)),
            vector(3.8e8),
        ),
        "the ideal gas law": (lambda t, v: jnp.sum(8.314 * t / v), vector(300.0), vector(0.0224)),
        "the ideal gas law, by volume": (
            lambda v, t: jnp.sum(8.314 * t / v),
            vector(0.0224),
            vector(300.0),
        ),
        "Planck's law": (planck, vector(5e-7, 1e-6), np.float32(5800.0)),
        "Arrhenius' law": (lambda t: jnp.sum(1e13 * jnp.exp(-8e4 / (8.314 * t))), vector(300.0, 400.0)),
        "a diode in amperes": (lambda v: jnp.sum(1e-12 * jnp.expm1(v / 0.02585)), vector(0.3, 0.6)),
        "a capacitor of picofarads": (
            lambda c: jnp.sum(5.0 * (1 - jnp.exp(-1e-9 / (1e3 * c)))),
            vector(1e-12, 2e-12),
        ),
        "a beam in pascals": (lambda e: jnp.sum(1e3 * 8.0 / (3.0 * e * 1e-6)), vector(2.1e11)),
        "hertz and nanoseconds": (lambda f: jnp.sum(jnp.sin(2 * jnp.pi * f * 1e-9)), vector(1e8, 2e8)),
        "decibels": (lambda p: jnp.sum(10.0 * jnp.log10(p / 1e-12)), vector(1e-6, 1e-3)),
        "a pH": (lambda c: jnp.sum(-jnp.log10(c)), vector(1e-7, 1e-3)),
        "kelvin and degrees": (lambda t: jnp.sum((t - 273.15) ** 2), vector(300.0, 250.0)),
        "a logarithm of an amount in moles": (
            lambda n: jnp.sum(n * jnp.log(n / 1e-3)),
            vector(1e-6, 2e-3),
        ),
        "parameters of different units": (
            lambda p: p["mass"] * jnp.exp(-p["length"] / 1e-9) * p["rate"],
            {"mass": np.float32(1e-26), "length": np.float32(2e-9), "rate": np.float32(1e12)},
        ),
        # tables
        "a table between its knots": (lambda x: jnp.sum(jnp.interp(x, GRID, TABLE)), vector(0.3, 0.6)),
        "the entries of a table": (lambda t: jnp.sum(jnp.interp(vector(0.3, 0.6), GRID, t)), TABLE),
        "the knots of a table": (lambda g: jnp.interp(0.3, g, TABLE), GRID),
        "an image between its pixels (jax#3024)": (
            lambda x: jax.scipy.ndimage.map_coordinates(
                TABLE[:4].reshape(2, 2), [x[:1], x[1:]], order=1
            ),
            vector(0.3, 0.6),
        ),
        "a table in two columns": (
            lambda x: jnp.interp(x, GRID, TABLE) * jnp.interp(1.0 - x, GRID, TABLE**2),
            np.float32(0.55),
        ),
        "a polynomial by Horner's rule": (
            lambda x: jnp.polyval(jnp.array([1.0, -2.0, 3.0]), x),
            np.float32(0.7),
        ),
        "a polynomial by powers (jax#14397)": (
            lambda x: jnp.sum(x ** jnp.arange(3.0)),
            np.float32(0.7),
        ),
        "an embedding of words": (
            lambda t: jnp.sum(t[jnp.array([0, 2, 2])] ** 2),
            vector(1.0, 2.0, 3.0),
        ),
        "sums over segments (jax#8634)": (
            lambda x: jax.ops.segment_sum(x, jnp.array([0, 1, 1]), num_segments=2)[1] ** 2 + x[0],
            vector(1.0, 2.0, 3.0),
        ),
        # mixed precision
        "a network in bfloat16": (
            mixed_network,
            {"w": weights, "b": low},
            low,
        ),
        "a softmax in float16": (lambda x: jax.nn.softmax(x)[0], half),
        "a logsumexp in bfloat16": (jax.nn.logsumexp, low),
        "float16 that is widened": (lambda x: jnp.sum(x.astype(jnp.float32) ** 2), half),
        "bfloat16 that is summed in float32": (lambda x: jnp.sum(x * x, dtype=jnp.float32), low),
        "a product in bfloat16 with a sum in float32": (
            lambda w, x: jnp.sum(jnp.matmul(w, x, preferred_element_type=jnp.float32) ** 2),
            weights,
            low,
        ),
        "gradients of bfloat16 weights in float32 (jax#30337)": (
            lambda w, x: jnp.sum(jnp.tanh(w.astype(jnp.float32) @ x.astype(jnp.float32))),
            weights,
            low,
        ),
        "a scaled loss in float16": (lambda x: jnp.sum(x * x) * jnp.float16(128.0), half),
        "a norm in float16": (jnp.linalg.norm, half),
    }
