# SPDX-License-Identifier: BSD-3-Clause
"""Results for other tools: an annotated AnnData and a wide matrix."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import pydgd
from pydgd import DGD, ClosestNormal, annotate, differential_expression, wide
from pydgd.data import Simulation, simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.errors import ConfigError, NamesError


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    return simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=100, n_changed=3, n_unchanged=2, seed=1)


@pytest.fixture(scope="module")
def cases(cohort: Simulation) -> AnnData:
    return AnnData(cohort.cases.X, obs=cohort.cases.obs, var=cohort.cases.var)


@pytest.fixture(scope="module")
def normal(cohort: Simulation, cases: AnnData) -> ClosestNormal:
    return DGD.fit(cohort.normals, latent_dim=3, epochs=3).closest_normal(cases)


@pytest.fixture(scope="module")
def table(cases: AnnData, normal: ClosestNormal) -> pd.DataFrame:
    return differential_expression(cases, normal)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_annotation_never_copies_the_counts(
    form: object, cases: AnnData, normal: ClosestNormal, table: pd.DataFrame
) -> None:
    """X is the query's own, and the query stays as it was."""
    query = AnnData(form(cases.X), obs=cases.obs, var=cases.var)
    result = annotate(query, normal, table)
    ours, theirs = (x.data if sparse.issparse(x) else x for x in (result.X, query.X))
    assert np.shares_memory(ours, theirs)
    assert not query.layers
    assert "dgd" not in query.uns


def test_layers_are_the_table_s_by_name(cases: AnnData, normal: ClosestNormal, table: pd.DataFrame) -> None:
    """Whatever the order of the table's rows, of samples and of genes; unknown genes are NaN."""
    strange = AnnData(
        np.ones((cases.n_obs, 1), dtype=int), obs=cases.obs[[]], var=pd.DataFrame(index=["NEW"])
    )
    query = anndata.concat([cases, strange], axis=1, merge="first")[::-1, ::-1].copy()
    result = annotate(query, normal, table.sample(frac=1, random_state=0))
    by_name = table.set_index([table["sample"].astype(str), table["gene"].astype(str)])
    for layer, column in {"dgd_log2fc": "log2FoldChange", "dgd_padj": "padj"}.items():
        expected = by_name[column].unstack().reindex(index=result.obs_names, columns=result.var_names)
        np.testing.assert_allclose(result.layers[layer], expected, rtol=1e-6)
    assert np.isnan(result[:, "NEW"].layers["dgd_padj"]).all()
    assert result.layers["dgd_padj"].dtype == np.float64
    assert {"X_dgd"} <= set(result.obsm)
    assert "dgd_close_normal" in result.obs


def test_annotation_survives_a_file(
    cases: AnnData, normal: ClosestNormal, table: pd.DataFrame, tmp_path: Path
) -> None:
    """h5ad takes all of it; the settings of the test are there."""
    write_h5ad(annotate(cases, normal, table), tmp_path / "out.h5ad")
    back = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert back.uns["dgd"]["test"]["rule"] == "equal-tail mid-p"
    assert {"dgd_mean", "dgd_log2fc", "dgd_padj"} == set(back.layers)


def test_layers_can_be_chosen(cases: AnnData, normal: ClosestNormal, table: pd.DataFrame) -> None:
    """By column, or by column and name; without table there is what closest_normal found."""
    chosen = annotate(cases, normal, table, layers=["stat", "padj"], means=False)
    assert set(chosen.layers) == {"dgd_stat", "dgd_padj"}
    assert set(annotate(cases, normal, table, layers={"stat": "z"}, means=False).layers) == {"z"}
    assert set(annotate(cases, normal).layers) == {"dgd_mean"}
    with pytest.raises(ConfigError, match="no column 'pdj'; there are sample, gene"):
        annotate(cases, normal, table, layers=["pdj"])
    with pytest.raises(ConfigError, match="'untested_reason' holds no numbers"):
        annotate(cases, normal, table, layers=["untested_reason"])


def test_filtered_tables_leave_gaps(cases: AnnData, normal: ClosestNormal, table: pd.DataFrame) -> None:
    """Rows that are not there are NaN."""
    some = table[table["padj"] < 0.5]
    layer = annotate(cases, normal, some).layers["dgd_padj"]
    assert np.isfinite(layer).sum() == len(some)


def test_wide_is_the_table_s_pivot(table: pd.DataFrame) -> None:
    """Samples × genes, in the table's order."""
    matrix = wide(table, "log2FoldChange")
    assert matrix.index.tolist() == table["sample"].unique().tolist()
    expected = table.astype({"sample": str, "gene": str}).pivot(
        index="sample", columns="gene", values="log2FoldChange"
    )
    pd.testing.assert_frame_equal(
        matrix, expected.loc[matrix.index, matrix.columns], check_names=False, check_index_type=False,
        check_column_type=False,
    )  # fmt: skip
    assert pydgd.wide is wide


def test_rows_that_are_there_twice_are_refused(table: pd.DataFrame) -> None:
    """A matrix has one place for each; and a table without samples is none."""
    twice = pd.concat([table, table.iloc[:1]])
    with pytest.raises(NamesError, match=r"2 rows of sample .* and gene"):
        wide(twice, "padj")
    with pytest.raises(ConfigError, match="no column 'sample'"):
        wide(table.drop(columns="sample"), "padj")
    assert wide(table.iloc[:0], "padj").shape == (0, 0)
