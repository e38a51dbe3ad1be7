# SPDX-License-Identifier: BSD-3-Clause
"""Queries of few of the model's genes."""

import numpy as np
import pytest
from anndata import AnnData

from pydgd import DGD, differential_expression
from pydgd.data import Simulation, simulate_cohort

N_PANEL = 500


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    """2,500 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=50, n_genes=2500, seed=0)


@pytest.fixture(scope="module")
def model(cohort: Simulation) -> DGD:
    """Of every second sample."""
    return DGD.fit(cohort.normals[::2].copy(), latent_dim=6, epochs=15, validation=0.3)


@pytest.fixture(scope="module")
def query(cohort: Simulation) -> AnnData:
    """Samples that the model has not seen."""
    return cohort.normals[1::4].copy()


@pytest.fixture(scope="module")
def panel(model: DGD, query: AnnData) -> AnnData:
    """500 of the model's genes, in an order of their own."""
    genes = np.random.default_rng(0).permutation(np.array(model.genes))[:N_PANEL]
    return query[:, genes].copy()


def test_log2_fold_changes_agree_with_the_full_query(model: DGD, query: AnnData, panel: AnnData) -> None:
    """Of 500 genes: half of them within 0.1, 95 of 100 within 0.5; their noise is 0.3 and more."""
    tables = [
        differential_expression(some, model.closest_normal(some, min_shared=0.1)) for some in (query, panel)
    ]
    full, part = (table.set_index(["sample", "gene"])["log2FoldChange"] for table in tables)
    part = part[part.index.get_level_values("gene").isin(panel.var_names)]
    change = (part - full.loc[part.index]).abs()
    assert len(change) == panel.n_obs * N_PANEL
    assert change.median() < 0.1
    assert change.quantile(0.95) < 0.5


def test_missing_genes_are_masked(model: DGD, panel: AnnData) -> None:
    """They have expected reads, but no fold change and no p-value; they do not count as zeros."""
    normal = model.closest_normal(panel[:5], min_shared=0.1)
    table = differential_expression(panel[:5], normal)
    missing = ~table["gene"].isin(panel.var_names)
    assert table.loc[missing, ["log2FoldChange", "pvalue", "padj"]].isna().all(axis=None)
    assert table.loc[~missing, ["log2FoldChange", "padj"]].notna().all(axis=None)
    assert np.isfinite(normal.means).all()
    assert normal.measured.sum() == N_PANEL
    assert normal.fit["dgd_close_normal"].astype(bool).all()


def test_order_of_the_panel_does_not_matter(model: DGD, panel: AnnData) -> None:
    """Genes go by name, to the bit."""
    one, two = (model.closest_normal(some[:5], min_shared=0.1) for some in (panel, panel[:, ::-1].copy()))
    np.testing.assert_array_equal(one.representations, two.representations)
    np.testing.assert_array_equal(one.means, two.means)


def test_fitted_depth_is_nearer_to_that_of_the_whole_sample(
    model: DGD, query: AnnData, panel: AnnData
) -> None:
    """Scaling factors of the panel miss those of all genes by 10 % (rule) and half of that (fitted)."""
    whole = model.closest_normal(query).scaling_factors
    errors = [
        np.log(model.closest_normal(panel, min_shared=0.1, scaling=scaling).scaling_factors / whole)
        for scaling in ("model", "fitted")
    ]
    by_rule, fitted = (float(np.sqrt(np.mean(error**2))) for error in errors)
    assert by_rule < 0.15
    assert fitted < 0.07, (by_rule, fitted)
