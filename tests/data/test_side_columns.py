# SPDX-License-Identifier: BSD-3-Clause
"""Columns of a table that are no samples: a sum of all others is told by name (others: `test_readers.py`)."""

import logging

import numpy as np
import pandas as pd
import pytest

from pydgd.data.counts import Parts
from pydgd.data.side_columns import without_side_columns


def table(matrix: np.ndarray, *names: str) -> Parts:
    genes = [f"g{i}" for i in range(matrix.shape[1])]
    return Parts(matrix, pd.DataFrame(index=list(names)), pd.DataFrame(index=genes))


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_sum_of_all_others_is_told_by_name(caplog: pytest.LogCaptureFixture, place: int, dtype) -> None:
    """It stays: only its maker knows what it is."""
    counts = np.random.default_rng(0).poisson(9.0, (3, 40)).astype(dtype)
    names = ["S1", "S2", "S3"]
    names.insert(place, "all of them")
    given = table(np.insert(counts, place, counts.sum(axis=0), axis=0), *names)
    with caplog.at_level(logging.WARNING):
        assert len(without_side_columns(given).obs) == 4
    assert "'all of them' has the sum of all other samples' counts" in caplog.text


def test_samples_are_not_taken_for_sums(caplog: pytest.LogCaptureFixture) -> None:
    """Nor are two that are alike, nor empty ones, nor one with as many reads as the others have together."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(9.0, (3, 40))
    shuffled = rng.permutation(counts.sum(axis=0))
    with caplog.at_level(logging.WARNING):
        without_side_columns(table(counts, "S1", "S2", "S3"))
        without_side_columns(table(np.stack([counts[0]] * 2), "S1", "S2"))
        without_side_columns(table(np.vstack([counts, shuffled]), "S1", "S2", "S3", "S4"))
        without_side_columns(table(np.stack([counts[0], counts[0], 0 * counts[0]]), "S1", "S2", "S3"))
        without_side_columns(table(np.zeros((3, 40)), "S1", "S2", "S3"))
    assert not caplog.text


@pytest.mark.parametrize("values", [[np.inf, -np.inf, 1.0], [1e308, 1e308, 1e308]])
def test_sums_beyond_all_numbers_are_left_to_those_who_refuse_them(values: list[float]) -> None:
    """Without a warning of NumPy."""
    given = table(np.repeat([values], 4, axis=0).T, "S1", "S2", "S3")
    assert len(without_side_columns(given).obs) == 3
