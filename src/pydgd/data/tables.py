# SPDX-License-Identifier: BSD-3-Clause
"""A table read from a file: numbers with names on both sides, before anyone knows which side is genes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.data.counts import Parts

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Table:
    """Numeric columns in blocks of rows, and columns of text as annotation of the rows.

    Attributes:
        row_names: One per row, from the first column.
        column_names: One per numeric column, repeats and all.
        label: What the file calls the row names; may be empty.
        annotation: Columns without numbers, one row per row.
        blocks: Rows of numbers, in order.
    """

    row_names: list[str]
    column_names: list[str]
    label: str
    annotation: pd.DataFrame
    blocks: list[NDArray[Any]] = field(default_factory=list)

    def to_parts(self, *, genes_in_rows: bool) -> Parts:
        """Samples × genes; uses up the blocks, so that no more than one of them is held twice.

        Args:
            genes_in_rows: True turns the table round.
        """
        rows, columns = (
            self.annotation.set_axis(self.row_names, axis=0),
            pd.DataFrame(index=self.column_names),
        )
        matrix = self._take_matrix(transposed=genes_in_rows)
        return Parts(matrix, columns, rows) if genes_in_rows else Parts(matrix, rows, columns)

    def _take_matrix(self, *, transposed: bool) -> NDArray[Any]:
        if len(self.blocks) == 1:
            block = self.blocks.pop()
            return np.ascontiguousarray(block.T if transposed else block)
        shape = (len(self.row_names), len(self.column_names))
        dtype = np.result_type(*self.blocks) if self.blocks else np.int32
        matrix = np.empty(shape[::-1] if transposed else shape, dtype=dtype)
        by_row = matrix.T if transposed else matrix
        first = 0
        while self.blocks:
            block = self.blocks.pop(0)
            by_row[first : first + len(block)] = block
            first += len(block)
        return matrix


def compact(block: NDArray[Any]) -> NDArray[Any]:
    """The numbers as int32 if that loses nothing, else as they are.

    Args:
        block: Integers or floats.

    Example:
        >>> compact(np.array([1.0, 2.0])).dtype, compact(np.array([1.5])).dtype
        (dtype('int32'), dtype('float64'))
    """
    if block.dtype == np.int32 or not block.size:
        return block
    # A NaN makes the comparisons false.
    if not (block.min() >= -_INT32_MAX and block.max() <= _INT32_MAX):
        return block
    small = block.astype(np.int32)
    return small if block.dtype.kind in "iu" or np.array_equal(small, block) else block


def unique_labels(names: Sequence[str]) -> list[str]:
    """Names of annotation columns with a number added to repeats; unlike genes they are only labels.

    Args:
        names: Column names, perhaps empty or repeated.

    Example:
        >>> unique_labels(["tissue", "tissue", ""])
        ['tissue', 'tissue_2', 'column']
    """
    unique: list[str] = []
    for name in names:
        plain = candidate = name or "column"
        number = 1
        while candidate in unique:
            number += 1
            candidate = f"{plain}_{number}"
        unique.append(candidate)
    return unique
