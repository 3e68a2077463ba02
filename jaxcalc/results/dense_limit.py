"""The size from which a sparse matrix is not made dense by a conversion that nobody may have meant."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxcalc.heuristics import heuristics


def require_small(call: str, shape: tuple[int, int], dtype: Any, nnz: int) -> None:
    """Refuse to fill more than 4 GiB with mostly zeros.

    Raises:
        MemoryError: naming the sparse ways.
    """
    m, n = shape
    needed = m * n * np.dtype(dtype).itemsize
    if needed > heuristics().largest_dense_bytes:
        of_jacobian = ", or multiply by it as it is: J @ v, v @ J" if "Jacobian" in call else ""
        made = "J.to_scipy() or J.to_bcoo()" if "Jacobian" in call else "its rows and cols"
        raise MemoryError(
            f"{call}: the dense {m:,} x {n:,} matrix needs {needed / 2**30:,.1f} GiB for {nnz:,} "
            f"entries; take {made}{of_jacobian}."
        )
