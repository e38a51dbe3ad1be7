# SPDX-License-Identifier: BSD-3-Clause
"""OUTRIDER's two views of a cohort."""

import numpy as np
import pandas as pd
import pytest

from pydgd import tl

NAN = float("nan")


def cohort() -> pd.DataFrame:
    """Three samples and three genes; C was tested in S3 alone, D nowhere."""
    genes = ["A", "B", "C", "D"]
    padj = {"S1": [1.0, 1.0, NAN, NAN], "S2": [0.01, 0.02, NAN, NAN], "S3": [0.001, 0.9, 0.04, NAN]}
    change = {"S1": [3.0, 3.0, 0.0, 0.0], "S2": [2.0, -2.0, 0.0, 0.0], "S3": [1.0, 1.0, -3.0, 0.0]}
    return pd.concat(
        [
            pd.DataFrame({"sample": s, "gene": genes, "log2FoldChange": change[s], "padj": padj[s]})
            for s in padj
        ],
        ignore_index=True,
    )


def test_samples_by_number_of_calls() -> None:
    """Ties share the best rank and keep the table's order."""
    table = tl.aberrant_samples(cohort()).set_index("sample")
    assert table.index.tolist() == ["S2", "S3", "S1"]
    assert table["rank"].tolist() == [1, 1, 3]
    assert table.loc["S3", ["n_tested", "n_called", "n_up", "n_down"]].tolist() == [3, 2, 1, 1]
    assert table["share"].tolist() == pytest.approx([1.0, 2 / 3, 0.0])
    assert table["fold_of_median"].tolist() == [1.0, 1.0, 0.0]


def test_genes_by_number_of_samples() -> None:
    """With the sample of the smallest padj; a gene that was never tested stays, with nothing."""
    table = tl.aberrant_genes(cohort()).set_index("gene")
    assert table.index.tolist() == ["A", "B", "C", "D"]
    assert table["rank"].tolist() == [1, 2, 2, 4]
    assert table["n_tested"].tolist() == [3, 3, 1, 0]
    assert table["sample"].tolist() == ["S3", "S2", "S3", None]
    assert table["smallest_padj"].tolist()[:3] == [0.001, 0.02, 0.04]
    assert np.isnan(table.loc["D", ["smallest_padj", "share"]].astype(float)).all()


def test_thresholds_count() -> None:
    """A larger smallest change leaves fewer calls."""
    assert tl.aberrant_samples(cohort(), log2fc=2.5)["n_called"].sum() == 1
    assert tl.aberrant_genes(cohort(), padj=0.005)["n_called"].sum() == 1


def test_without_calls_the_median_is_no_measure() -> None:
    """0 / 0 is not 0."""
    assert tl.aberrant_samples(cohort(), padj=1e-9)["fold_of_median"].isna().all()


def test_changed_cases_lead_the_cohort(study) -> None:
    """The simulation changed 5 % of the genes in half of the cases."""
    table = tl.aberrant_samples(study.table)
    kinds = study.simulation.cases.obs["kind"].astype(str)
    assert table["n_called"].sum() == (study.table["padj"] < 0.05).sum()
    first = table.loc[table["rank"] == 1, "sample"]
    assert (kinds[first] == "changed").all()
