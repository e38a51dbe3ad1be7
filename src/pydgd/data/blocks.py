# SPDX-License-Identifier: BSD-3-Clause
"""Count matrices a few rows at a time, dense or sparse alike."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pydgd.data.memory import check_memory

# 2**18 numbers (1 to 2 MiB) stay in the cache while several checks pass over them.
_BLOCK_ELEMENTS = 2**18
# Read from a file at a time, some 64 MiB: a compressed file is cut into tiles of dozens of rows, and each
# read unpacks whole tiles.
_SLAB_ELEMENTS = 2**24


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


@dataclass(frozen=True, eq=False)
class LazyRows:
    """Samples × genes of which only the rows that are asked for come into memory.

    Attributes:
        fetch: Reads the rows of a slice, or of rising row numbers, as an array or in CSR format.
        shape: Rows and columns.
        dtype: Type of the numbers.
        rows: Numbers of the rows that count, rising; None for all.
        rounds: Whether to round what is read.
        row_bytes: Memory that a row takes as it is read, in the mean.
        source: File of the rows, for messages; "" if they are in memory.

    Example:
        >>> matrix = np.arange(6).reshape(3, 2)
        >>> LazyRows(matrix.__getitem__, matrix.shape, matrix.dtype).take(np.array([0, 2]))[1:]
        array([[4, 5]])
    """

    fetch: Callable[[slice | NDArray[np.intp]], Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: NDArray[np.intp] | None = None
    rounds: bool = False
    row_bytes: float = 0.0
    source: str = ""

    @classmethod
    def of(cls, matrix: Any) -> "LazyRows":  # noqa: ANN401  # also datasets of HDF5, which have no type
        """The rows of a matrix in memory, of an HDF5 dataset, or of a CSR group that anndata has opened.

        Args:
            matrix: Its rows can be sliced.
        """
        return matrix if isinstance(matrix, cls) else cls(matrix.__getitem__, matrix.shape, matrix.dtype)

    def check_memory(self) -> None:
        """Refuse to read all rows at once if they do not fit in memory.

        Raises:
            TooLargeError: With the file, what they take, and what there is.
        """
        n_rows, n_columns = self.shape
        check_memory(
            n_rows * self.row_bytes,
            f"{self.source}: reading counts of {n_rows:,} samples x {n_columns:,} genes",
            "give fewer samples (--where, or a smaller file), or a machine with more; pydgd train reads them "
            "part by part with --stream",
        )

    def __getitem__(self, key: slice, /) -> Any:  # noqa: ANN401  # array or CSR
        """The rows of a slice."""
        block = self.fetch(key if self.rows is None else self.rows[key])
        return rounded(block) if self.rounds else block

    def mapped(
        self, change: Callable[[Any, slice | NDArray[np.intp]], Any], *, n_columns: int, dtype: np.dtype[Any]
    ) -> "LazyRows":
        """The same rows, changed as they are read.

        Args:
            change: Takes rows as an array or in CSR format, and their slice or numbers in the file.
            n_columns: Columns after it.
            dtype: Type of the numbers after it.
        """
        fetch = self.fetch
        return replace(
            self,
            fetch=lambda rows: change(fetch(rows), rows),
            shape=(self.shape[0], n_columns),
            dtype=dtype,
        )

    def take(self, rows: NDArray[np.intp]) -> "LazyRows":
        """Some of the rows.

        Args:
            rows: Their numbers, rising.
        """
        chosen = rows if self.rows is None else self.rows[rows]
        return replace(self, rows=chosen, shape=(len(rows), self.shape[1]))


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
    for start, slab in _slabs(by_rows(matrix)):
        for rows in _row_slices(slab.shape, n_elements):
            block: Any = slab[rows]
            yield (
                slice(start + rows.start, start + rows.stop),
                np.asarray(block.toarray() if hasattr(block, "toarray") else block),
            )


def _slabs(matrix: Matrix) -> Iterator[tuple[int, Matrix]]:
    """What is in memory as it is; what is not, in parts that are."""
    if not isinstance(matrix, LazyRows):
        yield 0, matrix
        return
    for rows in _row_slices(matrix.shape, _SLAB_ELEMENTS):
        yield rows.start, by_rows(matrix[rows])


def _row_slices(shape: tuple[int, ...], n_elements: int) -> Iterator[slice]:
    n_rows, n_columns = shape
    step = max(1, n_elements // max(1, n_columns))
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


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


def rounded(matrix: Matrix) -> Matrix:
    """Counts rounded to whole numbers: a copy, or on reading where they are not in memory.

    Args:
        matrix: Dense, CSR or lazy.

    Example:
        >>> rounded(np.array([[0.4, 2.6]]))
        array([[0., 3.]])
    """
    if isinstance(matrix, LazyRows):
        return replace(matrix, rounds=True)
    if isinstance(matrix, np.ndarray):
        return np.rint(matrix)
    copied: Any = deepcopy(matrix)
    copied.sum_duplicates()
    np.rint(copied.data, out=copied.data)
    copied.eliminate_zeros()
    result: Matrix = copied
    return result
