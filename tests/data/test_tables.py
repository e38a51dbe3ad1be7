# SPDX-License-Identifier: BSD-3-Clause
"""Tables before anyone knows which side is genes."""

import numpy as np
import pandas as pd
import pytest

from pydgd.data.tables import Table, compact, unique_labels


def table(blocks):
    n_rows = sum(map(len, blocks))
    rows = [f"r{i}" for i in range(n_rows)]
    return Table(rows, ["a", "b"], "", pd.DataFrame({"kind": rows}), list(blocks))


@pytest.mark.parametrize("cuts", [[], [2], [1, 4]])
@pytest.mark.parametrize("turned", [False, True])
def test_blocks_become_one_matrix_in_row_order(cuts, turned):
    """However it was cut, and turned round on request."""
    whole = np.arange(10, dtype=np.int32).reshape(5, 2)
    parts = table(np.split(whole, cuts)).to_parts(genes_in_rows=turned)
    assert np.array_equal(parts.matrix, whole.T if turned else whole)
    assert parts.matrix.flags.c_contiguous
    labels = parts.var if turned else parts.obs
    assert labels.index.tolist() == labels.kind.tolist() == [f"r{i}" for i in range(5)]
    assert (parts.obs if turned else parts.var).index.tolist() == ["a", "b"]


def test_the_widest_type_of_the_blocks_wins():
    """A fraction in the last block makes the matrix float64 and loses nothing."""
    parts = table([np.array([[1, 2]], np.int32), np.array([[2**40, 4]]), np.array([[0.5, 1]])]).to_parts(
        genes_in_rows=False
    )
    assert parts.matrix.tolist() == [[1, 2], [2**40, 4], [0.5, 1]]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], np.int32),
        ([1.0, -2.0], np.int32),
        ([2**31 - 1], np.int32),
        ([2**31], np.int64),
        ([2.0**31], np.float64),
        ([0.5], np.float64),
        ([np.nan], np.float64),
        ([np.inf], np.float64),
    ],
)
def test_numbers_shrink_only_without_loss(values, dtype):
    """int32 where every value fits exactly."""
    block = compact(np.array(values))
    assert block.dtype == dtype
    assert np.array_equal(block, values, equal_nan=True)


def test_labels_get_names_of_their_own():
    """Also where the new name is taken already."""
    assert unique_labels(["a", "a_2", "a", "", ""]) == ["a", "a_2", "a_3", "column", "column_2"]
