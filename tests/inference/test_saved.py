# SPDX-License-Identifier: BSD-3-Clause
"""Closest normals from a file are those of the search, to the bit, or refused by name."""

import warnings
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd.data import align_to_genes, match_genes
from pydgd.data.growing import write_parts
from pydgd.errors import (
    ConfigError,
    CountsError,
    FileFormatError,
    GeneMismatchError,
    NamesError,
    PyDGDError,
)
from pydgd.inference import ClosestNormal, SavedNormal, closest_normal

SHA = "a" * 64


def query_of(problem) -> AnnData:
    names = [f"S{i}" for i in range(len(problem.counts))]
    return AnnData(
        problem.counts.numpy().astype(np.int32),
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=list(problem.model.genes)),
    )


def found(problem, query: AnnData) -> ClosestNormal:
    aligned = align_to_genes(query, problem.model.genes)
    return closest_normal(problem.model, aligned, provenance={"model_sha256": SHA})


@pytest.fixture
def saved(problem: Callable, tmp_path: Path):
    """A problem, its query without some genes, and the file of its closest normals."""
    given = problem(n_samples=6)
    query = query_of(given)[:, 20:].copy()
    write_parts([found(given, query).to_anndata(query)], tmp_path / "normal.h5ad")
    return given, query, tmp_path / "normal.h5ad"


@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
@pytest.mark.parametrize("file", ["normal.h5ad", "normal.zarr"])
@pytest.mark.parametrize("means", [True, False])
def test_a_file_gives_what_the_search_gave(
    problem: Callable, tmp_path: Path, name: str, file: str, means: bool
) -> None:
    """Also of genes that were not measured, and without expected reads in the file; in any order."""
    given = problem(name, n_samples=6)
    query = query_of(given)[:, 20:].copy()
    normal = found(given, query)
    write_parts([normal.to_anndata(query, means=means)], tmp_path / file)
    rows = [4, 0, 3]
    part = align_to_genes(query[rows].copy(), given.model.genes)
    back = SavedNormal.read(tmp_path / file).of(given.model, part)
    assert back.sample_names == ("S4", "S0", "S3")
    assert back.means.tobytes() == normal.means[rows].tobytes()
    assert back.representations.tobytes() == normal.representations[rows].tobytes()
    assert back.component.tolist() == normal.component[rows].tolist()
    if normal.r is not None:
        assert back.r.tobytes() == (normal.r if normal.r.ndim == 1 else normal.r[rows]).tobytes()
    pd.testing.assert_frame_equal(back.fit, normal.fit.iloc[rows], check_dtype=False)
    assert back.provenance == normal.provenance


def check(saved, query: AnnData, sha: str = SHA) -> None:
    given, _, path = saved
    match = match_genes(query, given.model.genes, min_shared=0.01)
    SavedNormal.read(path).check(model_sha256=sha, sample_names=query.obs_names, match=match)


def test_what_fits_passes(saved) -> None:
    """All samples, some of them, and columns that the model does not know."""
    _, query, _ = saved
    check(saved, query)
    check(saved, query[2:4])
    check(saved, AnnData(var=pd.DataFrame(index=[*query.var_names, "other"]), obs=query.obs))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda q: (q, "b" * 64), ConfigError, "of another model: SHA-256 aaaaaaaaaaaa…, this one has bbbb"),
        (lambda q: (AnnData(q.X, q.obs.rename(index={"S2": "T1"}), q.var), SHA), NamesError, "'T1'"),
        (
            lambda q: (q[:, 1:], SHA),
            GeneMismatchError,
            r"1 gene of the model \(first: 'g20'\) measured only then",
        ),
    ],
    ids=["model", "sample", "gene"],
)
def test_what_does_not_fit_is_refused_by_name(saved, change, error, words) -> None:
    """With the repair."""
    query, sha = change(saved[1])
    with pytest.raises(error, match=words) as caught:
        check(saved, query, sha)
    assert "normal.h5ad" in str(caught.value)
    assert "closest-normal" in str(caught.value)


def test_a_gene_that_was_not_measured_then_is_refused(saved, problem: Callable) -> None:
    """The search did not see it."""
    with pytest.raises(GeneMismatchError, match=r"20 genes of the model \(first: 'g0'\) measured only now"):
        check(saved, query_of(saved[0]))


def test_other_counts_of_the_same_names_are_refused(saved) -> None:
    """Another layer, or rounded: seen by the scaling factor."""
    given, query, path = saved
    query.X[3, 5] += 1
    with pytest.raises(CountsError, match="sample 'S3' had the scaling factor"):
        SavedNormal.read(path).of(given.model, align_to_genes(query, given.model.genes))


def test_reads_that_changed_genes_are_refused(saved) -> None:
    """The scaling factor is the same: two columns changed names."""
    given, query, path = saved
    brightest = np.argsort(query.X[3])[-1]
    query.X[3, [0, brightest]] = query.X[3, [brightest, 0]]
    with pytest.raises(CountsError, match=r"sample 'S3' was .* nats from its closest normal and is"):
        SavedNormal.read(path).of(given.model, align_to_genes(query, given.model.genes))


@pytest.mark.parametrize("name", ["nb_feature_dispersion", "poisson"])
@pytest.mark.parametrize("times", [1, 1000])
def test_last_bits_of_another_processor_pass(
    problem: Callable, tmp_path: Path, name: str, times: int
) -> None:
    """Deep samples and those that fit badly among them."""
    given, path = problem(name, n_samples=6), tmp_path / "normal.h5ad"
    query = query_of(given)
    query.X = query.X * np.int32(times)
    adata = found(given, query).to_anndata(query)
    adata.obs["dgd_nll"] *= 1 + 1e-6
    adata.obs["dgd_scaling_factor"] *= 1 + 1e-15
    write_parts([adata], path)
    back = SavedNormal.read(path).of(given.model, align_to_genes(query, given.model.genes))
    assert len(back.sample_names) == 6


def test_a_sample_twice_in_the_file_is_refused_by_name(saved) -> None:
    """Two files were put together."""
    _, _, path = saved
    once = anndata.read_h5ad(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AnnData's, of names that are not unique
        anndata.concat([once, once[:1]], uns_merge="first").write_h5ad(path)
    with pytest.raises(FileFormatError, match=r"normal.h5ad: sample 'S0' is there more than once"):
        SavedNormal.read(path)


def test_another_point_is_refused(saved) -> None:
    """Expected reads would not be those of the representation."""
    _, query, path = saved
    adata = anndata.read_h5ad(path)
    adata.uns["dgd"]["point"] = "mean"
    adata.write_h5ad(path)
    with pytest.raises(ConfigError, match="holds the point 'mean', not posterior or map"):
        check(saved, query)


@pytest.mark.parametrize("name", ["counts.h5ad", "counts.zarr", "table.csv", "missing.h5ad", "empty.zarr"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    """Counts, tables, nothing: each is named."""
    adata = AnnData(np.ones((2, 3)))
    if name.startswith("counts"):
        write_parts([adata], tmp_path / name)
    elif name == "table.csv":
        adata.to_df().to_csv(tmp_path / name)
    elif name == "empty.zarr":
        (tmp_path / name).mkdir()
    with pytest.raises(PyDGDError, match=name) as caught:
        SavedNormal.read(tmp_path / name)
    assert isinstance(caught.value, FileFormatError)
