# SPDX-License-Identifier: BSD-3-Clause
"""Count matrices a few rows at a time, dense or sparse alike."""

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# 2**18 numbers (1 to 2 MiB) stay in the cache while several checks pass over them.
_BLOCK_ELEMENTS = 2**18


@runtime_checkable
class Matrix(Protocol):
    """Samples × genes: a NumPy array, a SciPy sparse matrix, or what else has a shape and rows to slice."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""

    def __getitem__(self, key: Any, /) -> Any: ...  # noqa: ANN401  # arrays and sparse formats share no index type


AnyMatrix: TypeAlias = Matrix | sparse.spmatrix | sparse.sparray
"""Also the sparse formats whose rows cannot be sliced, such as COO."""


def row_blocks(
    matrix: AnyMatrix, *, n_elements: int = _BLOCK_ELEMENTS
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Go through the rows of a matrix in dense blocks.

    Args:
        matrix: Two-dimensional; a sparse one in any format.
        n_elements: Numbers per block, roughly; a block has at least one row.

    Yields:
        The rows as a slice, and their values as an array of shape ``(rows, columns)``; of a dense matrix it
        is a view, not a copy.

    Example:
        >>> [(rows, block.shape) for rows, block in row_blocks(np.ones((5, 4)), n_elements=8)]
        [(slice(0, 2, None), (2, 4)), (slice(2, 4, None), (2, 4)), (slice(4, 5, None), (1, 4))]
    """
    sliceable = by_rows(matrix)
    n_rows, n_columns = sliceable.shape
    step = max(1, n_elements // max(1, n_columns))
    for first in range(0, n_rows, step):
        rows = slice(first, min(first + step, n_rows))
        block: Any = sliceable[rows]
        yield rows, np.asarray(block.toarray() if hasattr(block, "toarray") else block)


def by_rows(matrix: AnyMatrix) -> Matrix:
    """The matrix itself if its rows can be sliced cheaply (dense, CSR), else a CSR copy.

    Args:
        matrix: Dense or sparse of any format.

    Example:
        >>> by_rows(sparse.csc_matrix(np.eye(2))).format
        'csr'
    """
    given: Any = matrix
    rows_first: Matrix = given if not sparse.issparse(matrix) else given.tocsr()
    return rows_first
