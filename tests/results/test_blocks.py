"""The per-sample blocks of a block-diagonal Jacobian, against vmap of dense JAX and numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jacobians import dense_of, filled, of_mask, struct


def sample(x):
    """One sample: pytrees on both sides."""
    hidden = jnp.tanh(x["a"] * x["b"])
    return {"p": jnp.outer(hidden, hidden)[:, :1], "q": jnp.sum(x["a"])}


def batched(order_of):
    """The Jacobian of vmap(sample) on 4 samples with all entries inside samples, in any order."""
    count, outputs, inputs = 4, 4, 6
    x = {"a": struct(count, 3), "b": struct(count, 3)}
    y = {"p": struct(count, 3, 1), "q": struct(count)}
    b, i, j = (
        a.ravel() for a in np.meshgrid(range(count), range(outputs), range(inputs), indexing="ij")
    )
    # rows: p has 3 numbers a sample, then q has one; columns: a and b have 3 each
    rows = np.where(i < 3, b * 3 + i, count * 3 + b)
    cols = np.where(j < 3, b * 3 + j, count * 3 + b * 3 + j - 3)
    order = order_of(rows, cols)
    return filled(rows[order], cols[order], x, y)


ORDERS = {
    "blocks": lambda rows, cols: slice(None),
    "shuffled": lambda rows, cols: np.random.default_rng(0).permutation(rows.size),
    "row-major": lambda rows, cols: np.lexsort((cols, rows)),
}


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_blocks_of_a_batch_are_the_samples_jacobians(order):
    jacobian = batched(ORDERS[order])
    dense = jacobian.todense()
    blocks = jacobian.blocks()
    assert blocks.shape == (4, 4, 6)
    for b in range(4):
        own = [
            [
                dense[k][leaf][(b, ..., b, slice(None))] if k == "q" else dense[k][leaf][b, :, 0, b]
                for leaf in "ab"
            ]
            for k in "pq"
        ]
        expected = np.block([[np.atleast_2d(part) for part in row] for row in own])
        np.testing.assert_array_equal(blocks[b], expected)
    np.testing.assert_array_equal(jax.jit(lambda J: J.blocks())(jacobian), blocks)


def test_blocks_that_are_not_full_have_zeros():
    jacobian = batched(lambda rows, cols: np.flatnonzero((rows + 2 * cols) % 3 == 0))
    full = batched(ORDERS["blocks"])
    marked = jax.tree.map(jnp.ones_like, full)
    assert jacobian.nnz < full.nnz
    blocks = jacobian.blocks()
    assert blocks.shape == marked.blocks().shape
    assert (np.asarray(blocks) != 0).sum() == jacobian.nnz
    np.testing.assert_allclose(np.abs(blocks).sum(), np.abs(jacobian.values).sum(), rtol=1e-6)


def test_values_in_lanes_become_blocks_without_a_gather():
    i, b, j = np.meshgrid(range(8), range(16), range(4), indexing="ij")
    jacobian = filled((b * 4 + j).ravel(), (b * 8 + i).ravel(), struct(16, 8), struct(16, 4))
    dense = dense_of(jacobian).reshape(16, 4, 16, 8)
    for k in range(16):
        np.testing.assert_allclose(jacobian.blocks()[k], dense[k, :, k], rtol=1e-7)
    jaxpr = jax.make_jaxpr(lambda J: J.blocks())(jacobian)
    assert jaxpr.consts == []
    assert not any(word in str(jaxpr) for word in ("gather", "scatter"))


def test_blocks_without_a_batch_axis():
    mask = np.kron(np.eye(4), np.ones((2, 3))).astype(bool)
    jacobian = of_mask(mask)
    dense = dense_of(jacobian).astype(np.float32)
    np.testing.assert_array_equal(
        jacobian.blocks(), [dense[2 * b : 2 * b + 2, 3 * b : 3 * b + 3] for b in range(4)]
    )
    np.testing.assert_array_equal(jacobian.blocks(count=2), [dense[:4, :6], dense[4:, 6:]])
    np.testing.assert_array_equal(jacobian.blocks(count=1), dense[None])
    # vectors of one length: their elements are coupled in pairs, so pairs are the blocks
    pairs = of_mask(np.kron(np.eye(3), np.ones((2, 2))).astype(bool))
    assert pairs.blocks().shape == (3, 2, 2)
    assert of_mask(np.eye(6, dtype=bool)).blocks().shape == (6, 1, 1)


def test_batches_of_size_zero_and_one():
    assert filled([], [], struct(0, 3), struct(0, 2)).blocks().shape == (0, 2, 3)
    jacobian = of_mask(np.ones((2, 3), bool), struct(1, 3), struct(1, 2))
    np.testing.assert_array_equal(jacobian.blocks()[0], jacobian.matrix())
    assert filled([], [], struct(5, 3), struct(5, 2)).blocks().tolist() == np.zeros((5, 2, 3)).tolist()


def test_coupled_samples_are_named():
    rows, cols = np.array([0, 3, 7]), np.array([0, 4, 2])
    lines = []

    def locate(row, col):
        lines.append((row, col))
        return "net.py:12 (batch_norm)"

    x, y = {"x": struct(4, 3)}, (struct(4, 2),)
    jacobian = filled(rows, cols, x, y, locate=locate)
    with pytest.raises(
        ValueError,
        match=r"blocks: samples 3 and 0 are coupled: output\[0\]\[3, 1\] of sample 3 depends on "
        r"input\['x'\]\[0, 2\] of sample 0 \(1 of 3 entries couple samples\)\. The line that couples "
        r"them: net\.py:12 \(batch_norm\)\. Use matrix\(\)",
    ):
        jacobian.blocks()
    assert lines == [(7, 2)]
    with pytest.raises(ValueError, match=r"couple samples\)\. Use matrix"):
        filled(rows, cols, x, y).blocks()


def test_locate_follows_a_transpose_and_a_leaf():
    asked = []

    def locate(row, col):
        asked.append((row, col))

    x, y = {"w": struct(2), "x": struct(4, 3)}, {"s": struct(1), "y": struct(4, 2)}
    jacobian = filled([1, 8], [2, 4], x, y, locate=locate)
    for part in (
        jacobian.block("y", "x"),
        jacobian.T.block("x", "y"),
        jacobian.block("y", "x").sorted(),
    ):
        with pytest.raises(ValueError, match="are coupled"):
            part.blocks()
    assert asked == [(8, 4)] * 3


def test_no_blocks():
    mask = np.random.default_rng(0).random((6, 8)) < 0.9
    with pytest.raises(
        ValueError, match=r"6 x 8 matrix is not made of equal blocks.*share no leading axis"
    ):
        of_mask(mask).blocks()
    with pytest.raises(ValueError, match="cannot be cut into 4 equal blocks"):
        of_mask(mask).blocks(count=4)
    with pytest.raises(ValueError, match="blocks 0 and 1 are coupled"):
        of_mask(np.ones((6, 8), bool)).blocks(count=2)
    tridiagonal = sum(np.eye(6, k=k) for k in (-1, 0, 1)).astype(bool)
    with pytest.raises(ValueError, match=r"samples \d and \d are coupled"):
        of_mask(tridiagonal).blocks()
    # a batch that was asked for is not cut in another way
    pairs = np.kron(np.eye(3), np.ones((2, 2))).astype(bool)
    with pytest.raises(ValueError, match=r"samples \d and \d are coupled"):
        of_mask(pairs).blocks(count=6)
