# SPDX-License-Identifier: BSD-3-Clause
"""Sums of base coverage are told from reads, and become reads."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from scipy import sparse

from pydgd.data import as_counts, coverage_to_reads, open_counts, read_counts
from pydgd.errors import ConfigError, CountsError, FileFormatError


def cohort(scale, n_genes=2_000, container=np.asarray):
    """Three samples of 8e6 reads, each read worth `scale`."""
    rng = np.random.default_rng(0)
    means = np.exp(rng.normal(5, 2.5, n_genes))
    reads = rng.poisson(means / means.sum() * 8e6, (3, n_genes))
    obs = pd.DataFrame({"length": [scale] * 3}, index=["S1", "S2", "S3"])
    names = pd.DataFrame(index=[f"ENSG{i:011d}" for i in range(n_genes)])
    return AnnData(container(reads * scale), obs, names), reads


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_coverage_is_refused_wherever_counts_come_in(container):
    """Dense and sparse; reads, panels, and deep libraries with dim genes are not suspected."""
    with pytest.raises(
        CountsError, match=r"3 of 3 samples \(first: 'S1'\) have more than 5e\+08 reads.*--coverage-to-reads"
    ):
        as_counts(cohort(100, container=container)[0])
    as_counts(cohort(1, container=container)[0])
    as_counts(cohort(100, n_genes=900, container=container)[0])
    deep, reads = cohort(1, container=container)
    deep.X = container(reads * (1 + 200 * (reads > 1_000)))
    as_counts(deep)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("lengths", [100, "100", "length", {"S3": 100.0, "S1": 100, "S2": 100}])
def test_coverage_becomes_reads(tmp_path, container, lengths):
    """In memory and on disk; sparse stays sparse, and nothing of the input changes."""
    coverage, reads = cohort(100, container=container)
    coverage.write_h5ad(tmp_path / "x.h5ad")
    found = [
        coverage_to_reads(coverage, lengths),
        read_counts(tmp_path / "x.h5ad", coverage_to_reads=lengths),
    ]
    with open_counts(tmp_path / "x.h5ad", coverage_to_reads=lengths) as counts:
        found.append(counts.where("length=100").read(0, 3))
    for adata in found:
        assert sparse.issparse(adata.X) == (container is sparse.csr_matrix)
        assert np.array_equal(adata.X.toarray() if sparse.issparse(adata.X) else adata.X, reads)
    assert (read_h5ad(tmp_path / "x.h5ad").X != coverage.X).sum() == 0


def test_reads_after_all_stay_with_length_one():
    """The way out for a library of a billion reads."""
    deep, reads = cohort(100)
    kept = coverage_to_reads(deep, 1)
    assert np.array_equal(kept.X, 100 * reads)
    assert np.array_equal(as_counts(kept[:2]).X, 100 * reads[:2])


def test_bad_coverage_is_not_rounded_away():
    """A small negative number would become 0."""
    coverage, _ = cohort(100)
    coverage.X[1, 5] = -3
    with pytest.raises(CountsError, match="negative count: sample 'S2'"):
        coverage_to_reads(coverage, 100)


@pytest.mark.parametrize(
    ("lengths", "problem"),
    [
        (0, "no mean mapped length above 0"),
        ({"S1": 100, "S2": 90}, r"1 of 3 samples have no mean mapped length above 0 \(first: 'S3'"),
        ("nowhere", "neither a number of bases, nor a column"),
        ("TABLE:missing", "no column 'missing'"),
        ("OTHER:length", "no column holds the names of all samples"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(tmp_path, lengths, problem):
    """Each by name."""
    table = tmp_path / "table.csv"
    table.write_text("id,length\nS1,100\nS2,100\nS3,100\n")
    other = tmp_path / "other.csv"
    other.write_text("id,length\nS1,100\nS2,100\n")
    if isinstance(lengths, str):
        lengths = lengths.replace("TABLE", str(table)).replace("OTHER", str(other))
    with pytest.raises(ConfigError, match=problem):
        coverage_to_reads(cohort(100)[0], lengths)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"id,length\nS1,100\nS2,1,2,3\n", "cannot be read as a table"),
        ("id,length\nM\xfcller,100\n".encode("latin-1"), "not UTF-8"),
        (b"\x89HDF\r\n\x1a\n", "a table of mapped lengths is text"),
    ],
)
def test_a_damaged_table_of_lengths_is_named(tmp_path, content, problem):
    """As every file is."""
    table = tmp_path / "lengths"
    table.write_bytes(content)
    with pytest.raises(FileFormatError, match=problem):
        coverage_to_reads(cohort(100)[0], str(table))
