# SPDX-License-Identifier: BSD-3-Clause
"""The one place that says what counts are: whole numbers of reads, with one name per sample and per gene."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pydgd.data.blocks import Matrix, rounded, row_blocks
from pydgd.data.coverage import Coverage
from pydgd.errors import CountsError, NamesError

_log = logging.getLogger(__name__)

# Beyond 2**53 float64 no longer holds every whole number, and no sequencer wrote so many reads.
_MAX_COUNT = 2**53
_REPAIRS = {
    "gene": "sum or drop the repeats, or use unique ids such as Ensembl's",
    "sample": "rename or drop the repeats",
}
_RAW = "give raw read counts, not normalised or log values (in AnnData often layers['counts'] or .raw)"


def validate_counts(
    matrix: Matrix,
    sample_names: Iterable[str],
    genes: Iterable[str],
    *,
    round_counts: bool = False,
    are_reads: bool = False,
    keep_empty: bool = False,
) -> Matrix:
    """Check that a matrix holds counts and that its names are complete and unique.

    Args:
        matrix: Samples × genes, dense, CSR or lazy; any integer or float type. Floats must be whole numbers.
        sample_names: One name per row.
        genes: One name per column.
        round_counts: Round fractional values (RSEM, salmon) to the nearest whole number instead of refusing.
        are_reads: Accept numbers that look like sums of base coverage.
        keep_empty: Accept samples without reads.

    Returns:
        `matrix` itself, or rounded if fractions were found and `round_counts` is set.

    Raises:
        CountsError: If there is no sample or no gene, a value is missing, infinite, negative, fractional
            or above 2**53, or a sample has no reads. The message names sample, gene and value. Also if most
            samples look like base coverage (see `pydgd.data.coverage`).
        NamesError: If names are empty or repeated, or their number is not the matrix's.

    Example:
        >>> validate_counts(np.array([[3, 0], [1, 2]]), ["S1", "S2"], ["TP53", "MYC"])
        array([[3, 0],
               [1, 2]])
        >>> validate_counts(np.array([[3, 0], [-1, 2]]), ["S1", "S2"], ["TP53", "MYC"])
        Traceback (most recent call last):
        pydgd.errors.CountsError: negative count: sample 'S2', gene 'TP53' has -1...
    """
    if len(matrix.shape) != 2 or np.dtype(matrix.dtype).kind not in "iuf":
        raise CountsError(
            f"counts must be a two-dimensional table of numbers, got {len(matrix.shape)} dimensions of "
            f"{matrix.dtype}; {_RAW}"
        )
    samples, columns = list(sample_names), list(genes)
    check_names(samples, "sample", matrix.shape[0])
    check_names(columns, "gene", matrix.shape[1])
    coverage = Coverage(len(columns))
    if _stored_counts(matrix, coverage):
        coverage.refuse(samples, are_reads=are_reads)
        return matrix
    coverage = Coverage(len(columns))
    with np.errstate(invalid="ignore"):
        n_fractional, example, reads = _scan(matrix, samples, columns, coverage)
    coverage.refuse(samples, are_reads=are_reads)
    if n_fractional and not round_counts:
        raise CountsError(
            f"fractional counts: {n_fractional:,} of {matrix.shape[0] * matrix.shape[1]:,} values, the first "
            f"at {example}. Expected counts of RSEM or salmon may be rounded: pass --round "
            f"(round_counts=True in Python). Otherwise {_RAW}"
        )
    if not keep_empty:
        _check_reads(reads, samples)
    if n_fractional:
        _log.warning("rounded %s fractional values to whole counts", f"{n_fractional:,}")
        return rounded(matrix)
    return matrix


def check_names(names: Sequence[str], what: str, n_expected: int) -> None:
    """Check that names are as many as expected, not empty, and unique.

    Args:
        names: Sample or gene names.
        what: ``"sample"`` or ``"gene"``, for the message.
        n_expected: Rows or columns of the matrix.

    Raises:
        CountsError: If there are none.
        NamesError: If they are too few, too many, empty, or repeated.

    Example:
        >>> check_names(["TP53", "MYC", "TP53"], "gene", 3)
        Traceback (most recent call last):
        pydgd.errors.NamesError: repeated gene names: 1 (first: 'TP53')...
    """
    index = pd.Index(names)
    if len(index) != n_expected:
        raise NamesError(f"{len(index)} {what} names for {n_expected} {what}s; give one name for each")
    if not n_expected:
        raise CountsError(f"no {what}s: the table is empty; give at least one {what} with counts")
    empty = [place for place, name in enumerate(index, 1) if not str(name).strip()]
    if empty:
        raise NamesError(
            f"{len(empty)} {what}s have an empty name (first: {what} number {empty[0]}); name or drop them"
        )
    repeated = index[index.duplicated()].unique()
    if len(repeated):
        first = ", ".join(repr(name) for name in repeated[:3])
        raise NamesError(
            f"repeated {what} names: {len(repeated):,} (first: {first}). Each {what} needs its own name: "
            + _REPAIRS[what]
        )


def _stored_counts(matrix: Matrix, coverage: Coverage) -> bool:
    """Whether a CSR matrix is beyond doubt fine: four times as fast as the full scan."""
    if not isinstance(matrix, sparse.csr_matrix | sparse.csr_array):
        return False
    if not (np.diff(matrix.indptr) > 0).all():
        return False
    for _, block in row_blocks(matrix.data[:, None]):
        if not (block.min() > 0 and block.max() <= _MAX_COUNT and (np.rint(block) == block).all()):
            return False
    coverage.add_csr(matrix)
    return True


def _scan(
    matrix: Matrix, samples: Sequence[str], genes: Sequence[str], coverage: Coverage
) -> tuple[int, str, NDArray[Any]]:
    """Number of fractional values, the place of the first, and which samples have reads once rounded."""
    n_fractional, example = 0, ""
    reads = np.empty(matrix.shape[0], dtype=bool)
    floats = np.dtype(matrix.dtype).kind == "f"
    for rows, block in row_blocks(matrix):
        highest = block.max(axis=1)
        # A NaN makes both comparisons false.
        if not (block.min() >= 0 and highest.max() <= _MAX_COUNT):
            raise _impossible(block, samples[rows], genes)
        reads[rows] = np.rint(highest) > 0
        coverage.add(block)
        if floats and (fractional := np.rint(block) != block).any():
            example = example or _place(fractional, block, samples[rows], genes)
            n_fractional += int(fractional.sum())
    return n_fractional, example, reads


def _impossible(block: NDArray[Any], samples: Sequence[str], genes: Sequence[str]) -> CountsError:
    """The error for the first value of a block that no count can have."""
    problems = {
        "missing count (NaN)": np.isnan(block),
        "infinite count": np.isinf(block),
        "negative count": block < 0,
        "count above 2**53": block > _MAX_COUNT,
    }
    problem, bad = next((problem, bad) for problem, bad in problems.items() if bad.any())
    repair = "write 0 for no reads, or drop the sample or the gene" if "NaN" in problem else _RAW
    return CountsError(
        f"{problem}: {_place(bad, block, samples, genes)}. Counts are whole numbers from 0 up; {repair}"
    )


def _place(bad: NDArray[Any], block: NDArray[Any], samples: Sequence[str], genes: Sequence[str]) -> str:
    row, column = np.argwhere(bad)[0]
    return f"sample {samples[row]!r}, gene {genes[column]!r} has {block[row, column]}"


def _check_reads(reads: NDArray[Any], samples: Sequence[str]) -> None:
    empty = np.flatnonzero(~reads)
    if empty.size:
        first = ", ".join(repr(samples[i]) for i in empty[:3])
        raise CountsError(
            f"{empty.size} of {reads.size} samples have no reads (first: {first}), only zeros. Drop them, "
            "for instance with pydgd preprocess"
        )
