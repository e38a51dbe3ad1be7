# SPDX-License-Identifier: BSD-3-Clause
"""Checked counts and expectations."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pydgd.errors import CountsError, GeneMismatchError, NamesError
from pydgd.stats import compare

COUNTS = np.array([[0, 3], [5, 2]])
MU = np.array([[1.0, 2.0], [3.0, 4.0]])
NAMES = {"sample_names": ["S1", "S2"], "genes": ["A", "B"]}


def _changed(matrix: np.ndarray, value: float) -> np.ndarray:
    matrix = matrix.astype(float)
    matrix[1, 0] = value
    return matrix


def test_matrices_keep_their_element_type() -> None:
    """float32 and integers are not copied into float64 as a whole; rows are float64."""
    comparison = compare(COUNTS.astype(np.int32), MU.astype(np.float32), [1.0, 2.0], **NAMES)
    assert comparison.counts.dtype == np.int32
    assert comparison.mu.dtype == np.float32
    assert comparison.row(comparison.r, 1).tolist() == [1, 2]
    assert comparison.row(comparison.counts, 1).dtype == np.float64


def test_names_may_be_an_index() -> None:
    """AnnData's obs_names and var_names are given as they are."""
    assert (
        compare(COUNTS, MU, None, sample_names=pd.Index(["x", "y"]), genes=np.array(["A", "B"])).r.max()
        == np.inf
    )


@pytest.mark.parametrize(("value", "shown"), [(-1, "-1.0"), (0.5, "0.5"), (np.nan, "nan"), (np.inf, "inf")])
def test_what_is_not_a_count_is_named_with_sample_and_gene(value: float, shown: str) -> None:
    """Negative, fractional and missing values are refused with their place."""
    with pytest.raises(CountsError, match=f"counts of sample 'S2' has 1 values .* {shown} for gene 'A'"):
        compare(_changed(COUNTS, value), MU, None, **NAMES)


@pytest.mark.parametrize(
    ("name", "value"), [("mu", -1.0), ("mu", np.inf), ("r", 0.0), ("r", np.nan), ("log_mean_variance", -0.1)]
)
def test_expectations_out_of_range_are_named_with_sample_and_gene(name: str, value: float) -> None:
    """Means, r and variances are checked as counts are."""
    matrices = {"mu": MU, "r": np.ones((2, 2)), "log_mean_variance": np.ones((2, 2))}
    matrices[name] = _changed(matrices[name], value)
    with pytest.raises(ValueError, match=f"{name} of sample 'S2' .* for gene 'A'"):
        compare(COUNTS, **matrices, **NAMES)


def test_values_of_unmeasured_genes_are_not_read() -> None:
    """What a sample has no counts of may hold anything."""
    comparison = compare(_changed(COUNTS, np.nan), _changed(MU, -1), None, measured=[False, True], **NAMES)
    assert comparison.row(comparison.counts, 1).tolist() == [2]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"counts": COUNTS[:0]}, CountsError, "nothing to compare"),
        ({"counts": COUNTS[0]}, ValueError, r"counts has the shape \(2,\)"),
        ({"mu": MU[:, :1].repeat(3, 1)}, ValueError, r"mu has the shape \(2, 3\), counts has \(2, 2\)"),
        ({"r": [1.0, 2.0, 3.0]}, ValueError, r"r has the shape \(3,\)"),
        ({"genes": ["A"]}, NamesError, "genes has 1 names, counts has 2"),
        ({"sample_names": ["S", "S"]}, NamesError, r"sample_names repeats 1 of 1 names \(first: S\)"),
        ({"measured": [True]}, ValueError, r"measured has the shape \(1,\)"),
        ({"measured": [1, 0]}, ValueError, "measured has the shape .* and type int64"),
        ({"gene_list": ["A", "X"]}, GeneMismatchError, r"lacks 1 of 2 genes of gene_list \(first: X\)"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, error: type[Exception], message: str) -> None:
    """Shapes and names, each with what came and what is allowed."""
    arguments = {"counts": COUNTS, "mu": MU, "r": None, **NAMES, **change}
    with pytest.raises(error, match=message):
        compare(**arguments)


def test_a_comparison_does_not_change() -> None:
    """What was checked stays so; its fields have names, because half of them are of one type."""
    comparison = compare(COUNTS, MU, None, **NAMES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        comparison.mu = MU
    with pytest.raises(TypeError):
        type(comparison)(*(getattr(comparison, field.name) for field in dataclasses.fields(comparison)))
