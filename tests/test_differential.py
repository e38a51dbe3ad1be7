# SPDX-License-Identifier: BSD-3-Clause
"""Genes that differ from the closest normal: alignment, options, errors."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pydgd import DGD, ClosestNormal, differential_expression
from pydgd.data import Simulation, simulate_cohort
from pydgd.errors import CountsError, GeneMismatchError, NamesError

MODULES = ["nb_feature_dispersion", "nb_full_dispersion", "poisson"]


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    """60 healthy samples, 6 cases, 200 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=200, n_changed=3, n_unchanged=3, seed=0)


@pytest.fixture(scope="module", params=MODULES)
def normal(request: pytest.FixtureRequest, cohort: Simulation) -> ClosestNormal:
    """The cases' closest normals by each kind of model."""
    model = DGD.fit(cohort.normals, latent_dim=4, n_components=3, epochs=10, output_module=request.param)
    return model.closest_normal(cohort.cases)


def table_of(adata) -> pd.DataFrame:
    """Counts as a table."""
    return pd.DataFrame(np.asarray(adata.X), index=adata.obs_names, columns=adata.var_names)


def test_rows_are_samples_and_genes_by_name(cohort: Simulation, normal: ClosestNormal) -> None:
    """Observed counts and expected ones stand beside their names."""
    table = differential_expression(cohort.cases, normal)
    assert len(table) == 6 * len(normal.genes)
    counts = table_of(cohort.cases)
    for row in table.sample(50, random_state=0).itertuples():
        assert row.observed == counts.loc[row.sample, row.gene]
        expected = normal.means[normal.sample_names.index(row.sample), normal.genes.index(row.gene)]
        assert row.baseMean == pytest.approx(expected)


def test_p_values_are_scipys(cohort: Simulation, normal: ClosestNormal) -> None:
    """Those of the negative binomial: twice the smaller mid-p tail of what the model expects."""
    table = differential_expression(cohort.cases, normal)
    k, mu = table["observed"].to_numpy(), table["baseMean"].to_numpy()
    if normal.r is None:
        law = stats.poisson(mu)
    else:
        r = np.broadcast_to(normal.r, normal.means.shape).reshape(-1)
        law = stats.nbinom(r, r / (r + mu))
    half = 0.5 * law.pmf(k)
    expected = np.minimum(1, 2 * np.minimum(law.cdf(k - 1) + half, law.sf(k) + half))
    kept = expected > 1e-100
    np.testing.assert_allclose(table["pvalue_nb"][kept], expected[kept], rtol=1e-6)


def test_sign_is_up_in_the_sample(cohort: Simulation, normal: ClosestNormal) -> None:
    """log2FoldChange has the sign of the planted change for most changed genes."""
    table = differential_expression(cohort.cases, normal).set_index(["sample", "gene"])["log2FoldChange"]
    truth = cohort.truth[cohort.truth["gene"].isin(normal.genes)]
    found = [table.loc[(row.sample, row.gene)] for row in truth.itertuples()]
    assert (np.sign(found) == np.sign(truth["log2_fold_change"])).mean() > 0.85


def test_order_of_the_query_does_not_matter(cohort: Simulation, normal: ClosestNormal) -> None:
    """Shuffled samples and genes, a table, or some of the samples: the same rows."""
    key = ["sample", "gene"]
    expected = differential_expression(cohort.cases, normal).astype(dict.fromkeys(key, str)).set_index(key)
    shuffled = table_of(cohort.cases).sample(frac=1, random_state=1).sample(frac=1, axis=1, random_state=2)
    for query in (shuffled, shuffled.iloc[:2]):
        found = differential_expression(query, normal).astype(dict.fromkeys(key, str)).set_index(key)
        assert found.index.get_level_values(0).unique().tolist() == query.index.tolist()
        pd.testing.assert_frame_equal(found, expected.loc[found.index], check_exact=True)


@pytest.mark.parametrize("n_genes", [100, 20, 1])
def test_partly_measured_query_is_tested_where_it_is_measured(
    cohort: Simulation, normal: ClosestNormal, n_genes: int
) -> None:
    """However few of the model's genes it has; the others have no p-value and a reason."""
    query = table_of(cohort.cases)[list(normal.genes[:n_genes])]
    table = differential_expression(query, normal)
    tested = table["gene"].isin(query.columns)
    assert table.loc[tested, "pvalue"].notna().all()
    assert table.loc[~tested, ["observed", "pvalue", "padj"]].isna().all(axis=None)
    assert (table.loc[~tested, "untested_reason"] == "not measured").all()


def test_genes_that_the_model_lacks_have_no_row(cohort: Simulation, normal: ClosestNormal) -> None:
    """They have no expectation."""
    table = differential_expression(table_of(cohort.cases).assign(NEW=5), normal)
    assert "NEW" not in set(table["gene"])


def test_options_reach_the_table(cohort: Simulation, normal: ClosestNormal) -> None:
    """Threshold, adjustment and gene list."""
    table = differential_expression(cohort.cases, normal, padj_below=0.01)
    assert (table["padj"] < 0.01).all()
    listed = list(normal.genes[:10])
    table = differential_expression(cohort.cases, normal, gene_list=listed, adjust="by")
    assert set(table.loc[table["padj"].notna(), "gene"]) == set(listed)


@pytest.mark.parametrize(("option", "error"), [({"rule": "none"}, ValueError), ({"alpha": 0.1}, TypeError)])
def test_wrong_options_are_refused(
    cohort: Simulation, normal: ClosestNormal, option: dict, error: type
) -> None:
    """Unknown names and values."""
    with pytest.raises(error, match=next(iter(option))):
        differential_expression(cohort.cases, normal, **option)


def test_other_samples_are_refused(cohort: Simulation, normal: ClosestNormal) -> None:
    """A sample without a closest normal is named."""
    with pytest.raises(NamesError, match=r"1 sample has no closest normal here \(first: 'T1'\)"):
        differential_expression(
            table_of(cohort.cases).rename(index={cohort.cases.obs_names[0]: "T1"}), normal
        )


def test_other_genes_are_refused(cohort: Simulation, normal: ClosestNormal) -> None:
    """No gene in common."""
    with pytest.raises(GeneMismatchError):
        differential_expression(table_of(cohort.cases).add_prefix("other_"), normal)


def test_counts_are_checked(cohort: Simulation, normal: ClosestNormal) -> None:
    """As everywhere."""
    with pytest.raises(CountsError, match="fractional"):
        differential_expression(table_of(cohort.cases) + 0.5, normal)
