"""Sizes in words, the memory there is, and what a program holds at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.call import memory
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.heuristics import tuned
from jaxcalc.methods.batched import products_with_basis


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "0.999 KiB"),
        (9.2 * 1024**2, "9.2 MiB"),
        (64 * 1024**3, "64 GiB"),
        (131072**2 * 4, "64 GiB"),
        (2e18, "1,818,989 TiB"),
    ],
)
def test_sizes_are_written_as_people_write_them(size, text):
    assert memory.in_words(size) == text


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (1000, 1000),
        (np.int64(7), 7),
        ("1000", 1000),
        ("640 B", 640),
        ("256MiB", 256 * 1024**2),
        (" 1.5 GiB ", 3 * 2**29),
        ("1gib", 2**30),
        ("2 GB", 2 * 10**9),
        ("3kB", 3000),
        ("1e9", 10**9),
        *[
            (wrong, None)
            for wrong in ("", "much", "GiB", "-1", "0", "1 Gbit", "0x10", 0, -5, True, [1])
        ],
    ],
)
def test_sizes_are_read_as_people_write_them(given, size):
    assert memory.in_bytes(given) == size


def test_a_limit_in_words_is_that_number_of_bytes():
    def f(x):
        return jnp.tanh(jnp.ones((300, 200)) @ x)

    x = jnp.ones(200)
    found, same = (jaxcalc.explain(f, x, memory_limit=limit) for limit in ("400KiB", 400 * 1024))
    assert str(found) == str(same)
    for transform in (jaxcalc.jacobian, jaxcalc.value_and_jacobian):
        with pytest.raises(ValueError, match=r"memory_limit=1024 \(1 KiB\) is less than the workspace"):
            transform(f, memory_limit="1KiB")(x)
        with pytest.raises(ValueError, match=r"memory_limit must .*, got 'much'; .*'256MiB' or '1GiB'"):
            transform(f, memory_limit="much")
    for transform in (jaxcalc.hessian, jaxcalc.value_gradient_and_hessian):
        transform(lambda x: x**2, memory_limit="1GiB")(1.0)
        with pytest.raises(ValueError, match="memory_limit must be a positive number of bytes"):
            transform(f, memory_limit="1 Gbit")


def test_the_default_is_a_share_of_what_there_is(tmp_path):
    assert 2**28 < memory.available_bytes() < 2**45
    assert memory.default_limit() == int(0.25 * memory.available_bytes())
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n")
    assert memory._allowed_bytes([str(limit)]) == 2**30
    limit.write_text("max\n")
    assert memory._allowed_bytes([str(limit)]) >= memory.available_bytes()
    with tuned(memory_bytes=100):
        assert (memory.available_bytes(), memory.default_limit()) == (100, 25)


def test_what_lives_at_one_time():
    def f(x):
        a = jnp.sin(x)
        b = jnp.cos(a)
        return jnp.exp(b)

    assert peak_bytes(jax.make_jaxpr(f)(jnp.ones(100)).jaxpr) == 2 * 400  # a and b
    both = jax.make_jaxpr(lambda x: jnp.sin(x) + jnp.cos(x) * jnp.exp(x))(jnp.ones(100)).jaxpr
    assert peak_bytes(both) == 4 * 400
    looped = jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, 9, lambda _, y: f(y), x))(jnp.ones(100))
    assert peak_bytes(looped.jaxpr) == 2 * 400 + 0
    assert peak_bytes(jax.make_jaxpr(lambda x: x)(jnp.ones(100)).jaxpr) == 0


def test_an_array_lives_as_long_as_it_does_by_another_name():
    def f(x):
        a = jnp.sin(x).reshape(10, 10)
        return jnp.exp(jnp.cos(jnp.cos(a)) * a)

    assert peak_bytes(jax.make_jaxpr(f)(jnp.ones(100)).jaxpr) == 3 * 400


@pytest.mark.parametrize("block", [1, 3, 4, 100])
def test_products_with_basis_vectors_a_block_at_a_time(block, x64):
    a, b = np.random.default_rng(0).normal(size=(2, 5, 4))

    def linear(xs):
        first, second = xs
        return [a @ jnp.concatenate([first, second.reshape(-1)]), b[:, :1] * first[0]]

    like = [jnp.ones(2), jnp.ones((1, 2))]
    wide, rest = products_with_basis(linear, like, block=block)
    np.testing.assert_allclose(wide, a.T)
    np.testing.assert_allclose(rest[:, :, 0], np.eye(4)[:, :1] * b[:, 0])
    chosen = products_with_basis(linear, like, np.array([3, 1]), block=block)
    np.testing.assert_allclose(chosen[0], a.T[[3, 1]])
