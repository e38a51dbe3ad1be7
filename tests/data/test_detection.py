# SPDX-License-Identifier: BSD-3-Clause
"""Genes that a cohort shows."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from pydgd.data.detection import detected_genes
from pydgd.errors import ConfigError


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("min_share", [0.0, 0.2, 0.6, 0.99])
def test_a_gene_is_detected_in_strictly_more_than_the_share(container, min_share):
    """Gene j is seen in j of 10 samples."""
    counts = np.triu(np.ones((10, 11), dtype=int), 1) * 3
    assert np.array_equal(
        detected_genes(container(counts), min_share=min_share), np.arange(11) / 10 > min_share
    )


def test_one_sample_detects_its_own_genes():
    """With any share."""
    assert detected_genes(np.array([[0, 1, 5]])).tolist() == [False, True, True]


@pytest.mark.parametrize("min_share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(min_share):
    """No gene can be seen in more than all samples."""
    with pytest.raises(ConfigError, match="min_share is"):
        detected_genes(np.ones((2, 2)), min_share=min_share)


def test_the_genes_of_the_benchmark(shared):
    """18,627 genes, the very ones that the benchmark's own rule keeps."""
    normals = anndata.read_h5ad(shared / "data" / "normals.h5ad")
    counts = normals.X[(normals.obs.split == "train").to_numpy()]
    mask = detected_genes(counts)
    assert mask.sum() == 18_627
    assert np.array_equal(mask, (counts > 0).mean(0) > 0.2)
