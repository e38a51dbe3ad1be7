# SPDX-License-Identifier: BSD-3-Clause
"""Counts and a model's genes, matched by name."""

import logging

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pydgd.data.align import align_to_genes
from pydgd.errors import ConfigError, GeneMismatchError, NamesError

GENES = [f"gene{i}" for i in range(12)]
SAMPLES = ["S1", "S2", "S3"]


def data(genes=GENES, container=np.asarray, dtype=np.int32):
    counts = np.arange(1, 1 + 3 * len(genes)).reshape(3, -1).astype(dtype)
    return AnnData(container(counts), obs=pd.DataFrame(index=SAMPLES), var=pd.DataFrame(index=list(genes)))


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_the_same_genes_in_the_same_order_change_nothing(container, dtype):
    """Any container and type becomes dense float32."""
    given = data(container=container, dtype=dtype)
    aligned = align_to_genes(given, GENES)
    assert np.array_equal(aligned.counts, np.arange(1, 37).reshape(3, 12))
    assert aligned.counts.dtype == np.float32
    assert aligned.measured.all()
    assert (aligned.n_missing, aligned.n_dropped) == (0, 0)
    assert aligned.sample_names == tuple(SAMPLES)
    assert aligned.genes == tuple(GENES)


@settings(max_examples=60, deadline=None)
@given(
    columns=st.permutations(range(12)),
    rows=st.permutations(range(3)),
    wanted=st.lists(st.sampled_from([*GENES, "x", "y"]), min_size=3, max_size=14, unique=True),
    is_sparse=st.booleans(),
)
def test_alignment_is_by_name_in_any_order(columns, rows, wanted, is_sparse):
    """pandas' reindex is the oracle; order of samples and genes in the data does not matter."""
    ordered = data()
    shuffled = ordered[list(rows)][:, list(columns)].copy()
    if is_sparse:
        shuffled.X = sparse.csr_matrix(shuffled.X)
    aligned = align_to_genes(shuffled, wanted, min_shared=1e-9) if set(wanted) - {"x", "y"} else None
    if aligned is None:
        return
    expected = ordered.to_df().reindex(columns=wanted)
    frame = pd.DataFrame(aligned.counts, index=aligned.sample_names, columns=aligned.genes).loc[SAMPLES]
    assert np.array_equal(frame, expected.fillna(0))
    assert np.array_equal(aligned.measured, expected.notna().all())
    assert aligned.n_missing == len(set(wanted) & {"x", "y"})
    assert aligned.n_dropped == 12 - aligned.measured.sum()


def test_missing_genes_are_zero_masked_and_logged(caplog):
    """A log warning, with how many and the first three; extra genes are only counted."""
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        aligned = align_to_genes(data([*GENES[4:], "other"]), GENES)
    assert not aligned.counts[:, :4].any()
    assert aligned.measured.tolist() == [False] * 4 + [True] * 8
    assert aligned.n_dropped == 1
    assert "lack 4 of the model's 12 genes (first: gene0, gene1, gene2)" in caplog.text
    assert "not as 0" in caplog.text


def test_nothing_is_logged_when_nothing_is_missing(caplog):
    """Extra genes are no reason to warn."""
    align_to_genes(data([*GENES, "other"]), GENES)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("largest", "dtype"), [(2**24, np.float32), (2**24 + 1, np.float64), (2**53, np.float64)]
)
@pytest.mark.parametrize("row", [0, 2])
def test_counts_are_exact_however_large(largest, dtype, row):
    """float64 from the first count that float32 cannot hold; earlier rows are kept."""
    given = data(dtype=np.int64)
    given.X[row, 5] = largest
    aligned = align_to_genes(given, GENES)
    assert aligned.counts.dtype == dtype
    assert np.array_equal(aligned.counts.astype(np.int64), given.X)


def test_a_large_count_of_a_dropped_gene_does_not_widen_the_result():
    """Only the model's genes matter."""
    given = data(dtype=np.int64)
    given.X[0, 0] = 2**40
    assert align_to_genes(given, GENES[1:]).counts.dtype == np.float32


def test_exactly_the_needed_share_is_enough():
    """Half of the genes, by default."""
    assert align_to_genes(data(GENES[:6]), GENES).n_missing == 6
    with pytest.raises(GeneMismatchError, match="have 5 of the model's 12 genes; 50% are needed"):
        align_to_genes(data(GENES[:5]), GENES)
    assert align_to_genes(data(GENES[:5]), GENES, min_shared=0.25).n_missing == 7


def test_one_gene_and_one_sample_align():
    """The smallest case."""
    assert align_to_genes(data(["gene3"])[:1].copy(), ["gene3"]).counts.tolist() == [[1.0]]


@pytest.mark.parametrize("genes", [[], ["gene1", "gene1"]])
def test_a_model_needs_unique_genes(genes):
    """An empty list or repeats."""
    with pytest.raises(NamesError, match="must be unique and at least one"):
        align_to_genes(data(), genes)


@pytest.mark.parametrize("min_shared", [0.0, -1.0, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(min_shared):
    """Above 0 and at most 1."""
    with pytest.raises(ConfigError, match="min_shared is"):
        align_to_genes(data(), GENES, min_shared=min_shared)
