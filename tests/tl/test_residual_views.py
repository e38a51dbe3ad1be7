# SPDX-License-Identifier: BSD-3-Clause
"""Residuals as samples × genes, and genes beyond a threshold."""

import numpy as np
import pandas as pd
import pytest

from pydgd import tl
from pydgd.errors import ConfigError


@pytest.mark.parametrize("kind", ["mid-p", "randomised", "pearson", "deviance"])
def test_closest_normal_and_annotated_data_give_the_same(study, kind: str) -> None:
    """The layers hold what the closest normal held, in float32; names are those of model or data."""
    counts, normal = study.simulation.cases, study.normal
    direct = tl.residuals(counts, normal, kind=kind)
    assert direct.index.tolist() == counts.obs_names.tolist()
    assert direct.columns.tolist() == list(normal.genes)
    assert np.isfinite(direct.to_numpy()).all()
    annotated = tl.residuals(normal.to_anndata(counts), kind=kind)
    np.testing.assert_allclose(annotated[direct.columns], direct, atol=1e-4)


def test_mid_p_residuals_are_those_of_the_table(study) -> None:
    """`stat` is the mid-p residual."""
    direct = tl.residuals(study.simulation.cases, study.normal)
    from_table = tl.residuals(study.table)
    np.testing.assert_allclose(from_table.loc[direct.index, direct.columns], direct, atol=1e-9)


def test_residuals_do_not_depend_on_company_or_order(study) -> None:
    """Randomised ones neither: they go by name."""
    cases = study.simulation.cases
    every = tl.residuals(cases, study.normal, kind="randomised", seed=4)
    some = tl.residuals(cases[[3, 1], ::-1].copy(), study.normal, kind="randomised", seed=4)
    pd.testing.assert_frame_equal(some, every.loc[some.index])


def test_a_gene_that_was_not_measured_has_none(study) -> None:
    """NaN, not 0."""
    cases = study.simulation.cases[:, 1:].copy()
    normal = study.model.closest_normal(cases)
    lost = study.simulation.cases.var_names[0]
    table = tl.residuals(cases, normal)
    assert table[lost].isna().all()
    assert table.drop(columns=lost).notna().all(axis=None)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (pd.DataFrame({"A": [1]}, index=["S1"]), {}, "nothing to compute mid-p residuals from"),
        (pd.DataFrame({"sample": ["S"], "gene": ["A"], "stat": [1.0]}), {"kind": "pearson"}, "nothing"),
        (pd.DataFrame({"A": [1]}, index=["S1"]), {"kind": "raw"}, "kind is 'raw'; choose one of mid-p"),
    ],
)
def test_what_cannot_be_done_is_said(data: pd.DataFrame, options: dict[str, str], words: str) -> None:
    """With what is allowed."""
    with pytest.raises(ConfigError, match=words):
        tl.residuals(data, **options)


def test_data_without_means_are_refused(study) -> None:
    """With where they come from."""
    with pytest.raises(ConfigError, match="dgd_mean"):
        tl.residuals(study.simulation.cases)


def test_genes_by_residual_counts_measured_samples() -> None:
    """Thresholds belong to the sides; the commonest gene comes first, then in the order given."""
    z = pd.DataFrame({"A": [0.0, 0.0], "B": [-1.0, 1.0], "C": [np.nan, 5.0]}, index=["S1", "S2"])
    table = tl.genes_by_residual(z)
    assert table["gene"].tolist() == ["B", "C", "A"]
    assert table["n_measured"].tolist() == [2, 1, 2]
    assert table["share"].tolist() == [1.0, 1.0, 0.0]
    assert table[["n_below", "n_above"]].values.tolist() == [[1, 1], [0, 1], [0, 0]]
    with pytest.raises(ConfigError, match="below must be the smaller"):
        tl.genes_by_residual(z, below=1.0, above=1.0)


def test_a_gene_that_was_never_measured_recurs_nowhere() -> None:
    """It lies within no threshold."""
    z = pd.DataFrame({"A": [0.0, 0.0], "C": [np.nan, np.nan]}, index=["S1", "S2"])
    table = tl.residual_recurrence(tl.genes_by_residual(z))
    assert table.loc[table["n_samples"] == 0, "genes"].tolist() == ["A", "A"]


def test_residual_recurrence_lists_every_gene_once_per_side() -> None:
    """From 0 to all samples, both sides."""
    z = pd.DataFrame({"A": [0.0, 0.0], "B": [-1.0, 1.0], "C": [-2.0, -5.0]}, index=["S1", "S2"])
    table = tl.residual_recurrence(tl.genes_by_residual(z)).set_index(["side", "n_samples"])
    assert table["genes"].to_dict() == {
        ("below", 0): "A",
        ("below", 1): "B",
        ("below", 2): "C",
        ("above", 0): "C;A",
        ("above", 1): "B",
        ("above", 2): "",
    }
    assert table.groupby("side")["n_genes"].sum().tolist() == [3, 3]
    with pytest.raises(ConfigError, match="genes_by_residual"):
        tl.residual_recurrence(z)
