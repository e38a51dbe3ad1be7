# SPDX-License-Identifier: BSD-3-Clause
"""What is a count and what is not."""

import logging
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from pydgd.data.validation import check_names, validate_counts
from pydgd.errors import CountsError, NamesError

SAMPLES, GENES = ["S1", "S2", "S3"], ["TP53", "MYC", "EGFR", "KRAS"]
CONTAINERS = [np.asarray, np.asfortranarray, sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix]


def good(dtype=np.float64):
    return np.arange(1, 13).reshape(3, 4).astype(dtype)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64, np.float32, np.float64])
def test_whole_numbers_of_any_type_pass_uncopied(container, dtype):
    """What comes in comes out, the very object."""
    matrix = container(good(dtype))
    assert validate_counts(matrix, SAMPLES, GENES) is matrix


@pytest.mark.parametrize("value", [0, 1e8, 3e9, 2.0**53])
@pytest.mark.parametrize("container", CONTAINERS)
def test_large_counts_pass(container, value):
    """Up to 2**53 every whole number is exact in float64."""
    matrix = good()
    matrix[1, 2] = value
    assert validate_counts(container(matrix), SAMPLES, GENES).max() == max(value, 12)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("value", "problem", "shown", "repair"),
    [
        (-4, "negative count", "-4", "give raw read counts"),
        (np.nan, "missing count", "nan", "write 0 for no reads"),
        (np.inf, "infinite count", "inf", "give raw read counts"),
        (-np.inf, "infinite count", "-inf", "give raw read counts"),
        (2.0**60, "count above 2**53", "1.15", "give raw read counts"),
        (0.5, "fractional counts: 1 of 12 values", "0.5", "--round"),
    ],
)
def test_an_impossible_value_is_named_with_its_place(container, value, problem, shown, repair):
    """The message names problem, sample, gene, value and repair."""
    matrix = good()
    matrix[1, 2] = value
    with pytest.raises(CountsError) as caught:
        validate_counts(container(matrix), SAMPLES, GENES)
    message = str(caught.value)
    assert problem in message
    assert f"sample 'S2', gene 'EGFR' has {shown}" in message
    assert repair in message


def test_fractions_are_counted_over_all_blocks():
    """The first is named, all are counted, and RSEM and salmon are mentioned."""
    matrix = np.ones((600, 1000))
    matrix[100, 3] = matrix[599, 999] = 0.25
    names = [f"S{i}" for i in range(600)], [f"G{i}" for i in range(1000)]
    with pytest.raises(
        CountsError, match="2 of 600,000 values, the first at sample 'S100', gene 'G3'"
    ) as caught:
        validate_counts(matrix, *names)
    assert "RSEM or salmon" in str(caught.value)
    assert "round_counts=True" in str(caught.value)


@pytest.mark.parametrize("container", CONTAINERS[:-1])
def test_fractions_are_rounded_on_request_in_a_copy(container, caplog):
    """Halves go to the even neighbour; how many were rounded is logged; the input stays."""
    given = np.array([[0.4, 3.0, 7.6, 2.5], [1, 2, 3, 4], [5, 6, 7, 8]])
    matrix = container(given.copy())
    with caplog.at_level(logging.INFO, logger="pydgd"):
        rounded = validate_counts(matrix, SAMPLES, GENES, round_counts=True)
    dense = rounded.toarray() if sparse.issparse(rounded) else rounded
    assert dense.tolist() == [[0, 3, 8, 2], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert type(rounded) is type(matrix)
    assert np.array_equal(matrix.toarray() if sparse.issparse(matrix) else matrix, given)
    assert "rounded 3 fractional values" in caplog.text


def test_whole_numbers_are_not_copied_when_rounding_is_allowed():
    """Rounding only acts where there is something to round."""
    matrix = good()
    assert validate_counts(matrix, SAMPLES, GENES, round_counts=True) is matrix


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("fill", [0.0, 0.4])
def test_a_sample_without_reads_is_named(container, fill):
    """Also if its reads vanish by rounding."""
    matrix = good()
    matrix[2] = fill
    with pytest.raises(CountsError, match=r"1 of 3 samples have no reads \(first: 'S3'\).*Drop them"):
        validate_counts(container(matrix), SAMPLES, GENES, round_counts=True)


def test_explicit_zeros_of_a_sparse_matrix_are_no_reads():
    """Stored zeros count as little as absent ones."""
    matrix = sparse.csr_matrix(good())
    matrix.data[4:8] = 0
    with pytest.raises(CountsError, match="'S2'"):
        validate_counts(matrix, SAMPLES, GENES)
    matrix.data[4] = 1
    assert validate_counts(matrix, SAMPLES, GENES) is matrix


def test_stored_parts_of_one_sparse_count_are_judged_by_their_sum():
    """A CSR matrix may hold a place twice: 0.5 + 0.5 is one read."""
    matrix = sparse.csr_matrix(
        (np.array([0.5, 0.5, 1.0]), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2)
    )
    assert validate_counts(matrix, ["S1", "S2"], ["TP53", "MYC"]) is matrix


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["A", "B", "A", "B", "C"], NamesError, "repeated gene names: 2 (first: 'A', 'B')"),
        (["A", "", "C", " ", "E"], NamesError, "2 genes have an empty name (first: gene number 2)"),
        (["A", "B"], NamesError, "2 gene names for 5 genes"),
    ],
)
def test_names_that_do_not_name_are_refused(names, error, message):
    """Repeated, empty, too few; the first few are shown."""
    with pytest.raises(error) as caught:
        check_names(names, "gene", 5)
    assert message in str(caught.value)


@pytest.mark.parametrize(("shape", "what"), [((0, 4), "samples"), ((3, 0), "genes")])
def test_an_empty_table_is_refused(shape, what):
    """No samples, no genes."""
    with pytest.raises(CountsError, match=f"no {what}: the table is empty"):
        validate_counts(np.empty(shape), SAMPLES[: shape[0]], GENES[: shape[1]])


@pytest.mark.parametrize(
    "matrix", [np.ones(3), np.ones((3, 4), dtype=bool), np.full((3, 4), "x"), np.ones((3, 4)) * 1j]
)
def test_what_is_no_table_of_numbers_is_refused(matrix):
    """One dimension, truth values, text and complex numbers."""
    with pytest.raises(CountsError, match="two-dimensional table of numbers"):
        validate_counts(matrix, SAMPLES, GENES)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_validation_needs_little_memory(dtype):
    """Blocks, not copies: a tenth of the matrix at most."""
    matrix = np.ones((2000, 5000), dtype=dtype)
    names = [f"S{i}" for i in range(2000)], [f"G{i}" for i in range(5000)]
    tracemalloc.start()
    validate_counts(matrix, *names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.15 * matrix.nbytes
