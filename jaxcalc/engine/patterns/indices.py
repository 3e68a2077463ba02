"""Rows and columns of entries as arrays of integers: checked, ordered, compared."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def index_dtype(shape: tuple[int, int]) -> Any:
    """int32 where it can count the rows and the columns, each alone; else int64."""
    return np.int32 if max(shape) <= np.iinfo(np.int32).max else np.int64


def as_index(given: Any, name: str, bound: int, dtype: Any) -> np.ndarray:
    """A read-only index array `[nnz]`, checked.

    Raises:
        TypeError: the array does not hold integers.
        ValueError: it has another rank than one, or leaves its range.
    """
    array = np.asarray(given)
    if array.size == 0:
        array = array.astype(dtype)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} must be integers, got {array.dtype}.")
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {list(array.shape)}.")
    if array.size and not (array.min() >= 0 and array.max() < bound):
        raise ValueError(
            f"{name} must be at least 0 and below {bound}, got {array.min()} to {array.max()}."
        )
    array = np.ascontiguousarray(array, dtype).view()
    array.flags.writeable = False
    return array


def row_major_order(rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """The permutation that sorts entries by row, then column; None when they are sorted.

    Raises:
        ValueError: an entry occurs twice.
    """
    if shape[0] * shape[1] <= np.iinfo(np.int64).max:
        key = rows.astype(np.int64) * shape[1] + cols
        steps = np.diff(key)
        if (steps > 0).all():
            return None
        # the engine's entries are a few sorted runs, which a merge sort finds
        order = np.argsort(key, kind="stable")
        repeated = (np.diff(key[order]) == 0).any()
    else:
        order = np.lexsort((cols, rows))  # stable: without repetitions, sorted entries stay
        repeated = ((np.diff(rows[order]) == 0) & (np.diff(cols[order]) == 0)).any()
    if repeated:
        raise ValueError("an entry occurs twice; rows and columns must be unique pairs.")
    if np.array_equal(order, np.arange(order.size)):
        return None
    return order.astype(index_dtype((rows.size, 1)))


def digest(rows: np.ndarray, cols: np.ndarray) -> bytes:
    """A fingerprint of the entries, equal for equal arrays."""
    fingerprint = hashlib.blake2b(digest_size=16)
    for array in (rows, cols):
        fingerprint.update(str(array.dtype).encode())
        fingerprint.update(array.data if array.size else b"")
    return fingerprint.digest()
