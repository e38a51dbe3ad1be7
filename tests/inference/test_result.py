# SPDX-License-Identifier: BSD-3-Clause
"""The closest normal beside the query's counts, everything by name."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.errors import NamesError
from pydgd.inference import ClosestNormal

GENES, SAMPLES = tuple("ABCD"), ("s1", "s2", "s3")


def make_normal(r: np.ndarray | None = None) -> ClosestNormal:
    """Three samples, four genes; every number tells its place."""
    means = np.array([[10.0 * i + g for g in range(4)] for i in range(3)], dtype=np.float32)
    fit = pd.DataFrame({"dgd_nll": [1.0, 2.0, 3.0], "dgd_component": [0, 1, 0]}, index=list(SAMPLES))
    return ClosestNormal(
        sample_names=SAMPLES,
        genes=GENES,
        measured=np.ones(4, dtype=bool),
        representations=np.arange(6.0).reshape(3, 2),
        means=means,
        r=r,
        scaling_factors=np.ones(3),
        component=np.array([0, 1, 0]),
        fit=fit,
        provenance={"model_sha256": "abc", "versions": {"pydgd": "0"}, "point": "map"},
    )


def make_query(samples=("s3", "s1"), genes=("X", "C", "A", "Y"), **parts) -> AnnData:
    """Counts of other order, other genes."""
    counts = np.arange(len(samples) * len(genes), dtype=np.float32).reshape(len(samples), len(genes))
    obs = pd.DataFrame({"tissue": ["liver"] * len(samples)}, index=list(samples))
    var = pd.DataFrame({"length": range(len(genes))}, index=list(genes))
    return AnnData(counts, obs=obs, var=var, **parts)


def test_samples_and_genes_keep_the_querys_order() -> None:
    """Values are matched by name; genes that the model lacks have NaN."""
    result = make_normal().to_anndata(make_query())
    assert result.obs_names.tolist() == ["s3", "s1"]
    assert result.var_names.tolist() == ["X", "C", "A", "Y"]
    np.testing.assert_array_equal(
        result.layers["dgd_mean"], [[np.nan, 22, 20, np.nan], [np.nan, 2, 0, np.nan]]
    )
    np.testing.assert_array_equal(result.obsm["X_dgd"], [[4, 5], [0, 1]])
    assert result.obs["dgd_nll"].tolist() == [3.0, 1.0]
    assert result.obs["tissue"].tolist() == ["liver", "liver"]
    assert result.var["dgd_in_model"].tolist() == [False, True, True, False]
    assert result.uns["dgd"]["point"] == "map"


def test_r_per_gene_is_in_var() -> None:
    """With NaN for genes that the model lacks."""
    result = make_normal(np.array([1.0, 2.0, 3.0, 4.0])).to_anndata(make_query())
    np.testing.assert_array_equal(result.var["dgd_r"], [np.nan, 3, 1, np.nan])
    assert "dgd_r" not in result.layers


def test_r_per_sample_is_a_layer() -> None:
    """Rows and columns as those of the means."""
    result = make_normal(np.arange(12.0).reshape(3, 4)).to_anndata(make_query())
    np.testing.assert_array_equal(result.layers["dgd_r"], [[np.nan, 10, 8, np.nan], [np.nan, 2, 0, np.nan]])
    assert "dgd_r" not in result.var


def test_poisson_has_no_r() -> None:
    """Neither in var nor as a layer."""
    result = make_normal().to_anndata(make_query())
    assert "dgd_r" not in result.var
    assert "dgd_r" not in result.layers


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_counts_are_shared_and_the_query_is_not_changed(form) -> None:
    """No second copy of X; the query has none of the new fields."""
    query = make_query()
    query.X = form(query.X)
    obs, var = query.obs.copy(), query.var.copy()
    result = make_normal(np.ones(4)).to_anndata(query)
    data, own = (x.X.data if sparse.issparse(x.X) else x.X for x in (query, result))
    assert np.shares_memory(data, own)
    pd.testing.assert_frame_equal(query.obs, obs)
    pd.testing.assert_frame_equal(query.var, var)
    assert not query.obsm
    assert not query.layers
    assert not query.uns


def test_everything_else_of_the_query_is_kept() -> None:
    """obsm, varm, obsp, varp, layers and uns come along."""
    query = make_query(
        obsm={"pca": np.ones((2, 3))},
        varm={"loadings": np.ones((4, 3))},
        obsp={"distance": np.eye(2)},
        varp={"correlation": np.eye(4)},
        layers={"raw": np.zeros((2, 4))},
        uns={"study": "mine"},
    )
    result = make_normal().to_anndata(query)
    for part, name in (
        ("obsm", "pca"),
        ("varm", "loadings"),
        ("obsp", "distance"),
        ("varp", "correlation"),
        ("layers", "raw"),
        ("uns", "study"),
    ):
        assert name in getattr(result, part)


def test_a_second_run_replaces_the_first() -> None:
    """The result can be a query again: no column twice, no old value left."""
    normal = make_normal(np.ones(4))
    once = normal.to_anndata(make_query())
    once.obs["dgd_nll"] = -1.0
    twice = normal.to_anndata(once)
    assert twice.obs.columns.is_unique
    assert twice.obs["dgd_nll"].tolist() == [3.0, 1.0]
    assert twice.var.columns.is_unique


def test_h5ad_round_trip(tmp_path: Path) -> None:
    """All of it can be written and read back."""
    result = make_normal(np.ones(4)).to_anndata(make_query())
    result.write_h5ad(tmp_path / "normal.h5ad")
    back = anndata.read_h5ad(tmp_path / "normal.h5ad")
    np.testing.assert_array_equal(back.layers["dgd_mean"], result.layers["dgd_mean"])
    np.testing.assert_array_equal(back.obsm["X_dgd"], result.obsm["X_dgd"])
    assert back.uns["dgd"]["versions"]["pydgd"] == "0"
    pd.testing.assert_frame_equal(back.var, result.var, check_dtype=False)


def test_a_view_of_a_query_works() -> None:
    """A slice of an AnnData, without a warning."""
    query = make_query(("s3", "s2", "s1"))
    result = make_normal().to_anndata(query[query.obs_names != "s2"])
    assert result.obs["dgd_nll"].tolist() == [3.0, 1.0]


def test_unknown_samples_are_named() -> None:
    """How many, which, and what to do."""
    with pytest.raises(
        NamesError, match=r"2 samples have no closest normal here \(first: 'T1'\); call closest_normal"
    ):
        make_normal().to_anndata(make_query(("T1", "s1", "T2")))


def test_a_table_is_a_query_too() -> None:
    """A DataFrame gives what its AnnData gives."""
    query = make_query()
    table = pd.DataFrame(query.X, index=query.obs_names, columns=query.var_names)
    made, expected = make_normal().to_anndata(table), make_normal().to_anndata(query)
    np.testing.assert_array_equal(made.X, expected.X)
    np.testing.assert_array_equal(made.layers["dgd_mean"], expected.layers["dgd_mean"])
    assert made.obs_names.equals(expected.obs_names)


def test_repr_is_short() -> None:
    """Sizes and point, no numbers."""
    assert repr(make_normal()) == "ClosestNormal(3 samples, 4 genes, point 'map')"


def test_rows_of_finds_rows_by_name() -> None:
    """In the order asked for, repeats allowed."""
    assert make_normal().rows_of(pd.Index(["s3", "s1", "s3"])).tolist() == [2, 0, 2]


@pytest.mark.parametrize("r", [np.ones(4), np.arange(12.0).reshape(3, 4), None])
def test_without_means_there_are_no_layers(r) -> None:
    """What is as large as the counts stays out; the representations and the fit stay in."""
    result = make_normal(r).to_anndata(make_query(), means=False)
    assert list(result.layers) == []
    assert "X_dgd" in result.obsm
    assert ("dgd_r" in result.var) == (r is not None and r.ndim == 1)


def test_one_sample_is_said_in_the_singular() -> None:
    """In the message about names."""
    with pytest.raises(NamesError, match=r"1 sample has no closest normal here"):
        make_normal().to_anndata(make_query(("s1", "T1")))
