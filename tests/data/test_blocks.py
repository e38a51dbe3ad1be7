# SPDX-License-Identifier: BSD-3-Clause
"""Rows in blocks."""

import numpy as np
import pytest
from scipy import sparse

from pydgd.data import blocks
from pydgd.data.blocks import LazyRows, by_rows, rounded, row_blocks

CONTAINERS = [np.asarray, np.asfortranarray] + [
    getattr(sparse, f"{kind}_{form}") for kind in ("csr", "csc", "coo") for form in ("matrix", "array")
]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_elements", [1, 7, 12, 10_000])
def test_blocks_put_together_are_the_matrix(container, n_elements):
    """In any format and for any block size, one row per block at least."""
    dense = np.arange(20).reshape(5, 4) % 3
    blocks = list(row_blocks(container(dense), n_elements=n_elements))
    assert np.array_equal(np.concatenate([block for _, block in blocks]), dense)
    assert [rows.start for rows, _ in blocks] == [0, *(rows.stop for rows, _ in blocks[:-1])]


def test_dense_blocks_are_views():
    """Going through a dense matrix copies nothing."""
    matrix = np.ones((5, 4))
    assert all(np.shares_memory(block, matrix) for _, block in row_blocks(matrix))


def test_an_empty_matrix_has_no_blocks():
    """Neither rows nor columns are needed."""
    assert list(row_blocks(np.empty((0, 3)))) == []
    assert [block.shape for _, block in row_blocks(np.empty((2, 0)), n_elements=1)] == [(1, 0), (1, 0)]


def test_only_formats_without_cheap_rows_are_copied():
    """Dense and CSR come back as they are."""
    for matrix in (np.eye(3), sparse.csr_matrix(np.eye(3)), sparse.csr_array(np.eye(3))):
        assert by_rows(matrix) is matrix
    assert by_rows(sparse.csc_array(np.eye(3))).format == "csr"


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_lazy_rows_are_read_slab_by_slab(container, monkeypatch):
    """And cut into blocks from there; the values are the same."""
    monkeypatch.setattr(blocks, "_SLAB_ELEMENTS", 8)
    matrix, read = container(np.arange(20).reshape(5, 4) % 3), []

    def fetch(rows):
        read.append(rows)
        return matrix[rows]

    found = list(row_blocks(LazyRows(fetch, (5, 4), matrix.dtype), n_elements=4))
    assert read == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert [(rows.start, rows.stop) for rows, _ in found] == [(i, i + 1) for i in range(5)]
    assert np.array_equal(np.concatenate([block for _, block in found]), np.arange(20).reshape(5, 4) % 3)


def test_lazy_rows_can_be_chosen_twice():
    """A choice among the chosen."""
    lazy = LazyRows.of(np.arange(12).reshape(6, 2)).take(np.array([1, 3, 5])).take(np.array([0, 2]))
    assert lazy.shape == (2, 2)
    assert lazy[:].tolist() == [[2, 3], [10, 11]]
    assert LazyRows.of(lazy) is lazy


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, LazyRows.of])
def test_rounded_leaves_the_original(container):
    """A copy, or on reading."""
    given = np.array([[0.4, 2.6], [1.0, 0.0]])
    result = rounded(container(given))
    values = result[:]
    assert np.array_equal(values.toarray() if sparse.issparse(values) else values, [[0, 3], [1, 0]])
    assert given[0, 1] == 2.6
