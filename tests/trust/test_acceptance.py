# SPDX-License-Identifier: BSD-3-Clause
"""The method holds what it promises on data whose truth is known: it fails if the statistics break."""

import numpy as np
import pandas as pd
import pytest

import pydgd
from pydgd.data import simulate_cohort

pytestmark = pytest.mark.slow

FOUND_BELOW = 0.05


@pytest.fixture(scope="module")
def tests() -> pd.DataFrame:
    """Every test of 24 cases with planted changes and 24 without, against a model of 240 healthy samples."""
    cohort = simulate_cohort(n_tissues=4, n_per_tissue=60, n_genes=800, n_changed=24, n_unchanged=24, seed=11)
    model = pydgd.DGD.fit(cohort.normals, latent_dim=8, epochs=40, seed=0)
    table = pydgd.differential_expression(cohort.cases, model.closest_normal(cohort.cases))
    table = table.astype({"sample": str, "gene": str})
    truth = cohort.truth.astype({"sample": str, "gene": str})
    table = table.merge(truth[["sample", "gene", "log2_fold_change"]], how="left")
    kinds = cohort.cases.obs["kind"].astype(str)
    return table.assign(kind=table["sample"].map(kinds), planted=table["log2_fold_change"].notna())


@pytest.mark.parametrize(("alpha", "least", "most"), [(0.05, 0.6, 1.4), (1e-3, 0.2, 4.0)])
def test_p_values_of_unchanged_samples_are_uniform(tests, alpha: float, least: float, most: float) -> None:
    """Share of p-values up to alpha, over alpha. Of 19,200 tests 19 are expected at 1e-3,
    the null there is read off a few dozen residuals, and the genes of a sample err together."""
    null = tests.loc[tests["kind"] == "unchanged", "pvalue"].dropna()
    assert least <= (null <= alpha).mean() / alpha <= most


def test_false_discoveries_stay_few(tests) -> None:
    """At padj < 0.05, of the cases with planted changes; and some are found. In a cohort as small as this
    nine held-out samples say how far to trust the tail: 13 % of the calls were false when this was written,
    11 % with 60 held out; `benchmarks/n_of_one.py` measures whole cohorts. Beyond 20 % something broke.
    """
    called = tests[(tests["kind"] == "changed") & (tests["padj"] < FOUND_BELOW)]
    assert (~called["planted"]).mean() <= 4 * FOUND_BELOW
    assert called["planted"].sum() >= 0.3 * tests["planted"].sum()


def test_up_and_down_are_found_alike(tests) -> None:
    """Planted half and half; false calls of unchanged samples lean to neither side by more than 3 to 1."""
    found = tests[tests["planted"] & (tests["padj"] < FOUND_BELOW)]
    assert 0.5 <= (found["log2FoldChange"] > 0).sum() / max(1, (found["log2FoldChange"] < 0).sum()) <= 2.0
    null = tests[(tests["kind"] == "unchanged") & (tests["pvalue"] <= 0.05)]
    up = int((null["log2FoldChange"] > 0).sum())
    assert 1 / 3 <= (up + 1) / (len(null) - up + 1) <= 3


def test_planted_directions_are_right(tests) -> None:
    """A call of a planted gene says up where it is up."""
    called = tests[tests["planted"] & (tests["padj"] < FOUND_BELOW)]
    agree = np.sign(called["log2FoldChange"]) == np.sign(called["log2_fold_change"])
    assert agree.mean() >= 0.98
