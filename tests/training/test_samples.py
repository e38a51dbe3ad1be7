# SPDX-License-Identifier: BSD-3-Clause
"""Healthy samples with donors and tissues, whatever their order."""

import numpy as np
import pytest
from anndata import AnnData

from pydgd.config import training_config
from pydgd.data import simulate_cohort
from pydgd.errors import ConfigError, GeneMismatchError, NamesError
from pydgd.training.samples import Samples, sample_groups, sample_labels, sorted_and_modelled


@pytest.fixture
def adata() -> AnnData:
    """Six samples of two tissues, the last one of unknown donor and tissue."""
    adata = simulate_cohort(n_tissues=2, n_per_tissue=3, n_genes=20, seed=0).normals
    adata.obs["donor"] = ["d1", "d1", "d2", "d2", "d3", None]
    adata.obs["tissue"] = ["liver", "liver", "liver", "skin", "skin", None]
    return adata


def test_order_changes_nothing(adata: AnnData) -> None:
    genes = list(adata.var_names[::-1])
    one, other = (Samples.of(data, genes, training_config()) for data in (adata, adata[::-1, ::-1].copy()))
    assert one.counts.sample_names == other.counts.sample_names == tuple(sorted(adata.obs_names))
    assert np.array_equal(one.counts.counts, other.counts.counts)
    assert (one.groups, one.labels) == (other.groups, other.labels)


def test_some_samples_keep_what_is_known_of_them(adata: AnnData) -> None:
    whole = Samples.of(adata, list(adata.var_names), training_config())
    some = whole.taken(np.array([4, 1]))
    assert some.counts.sample_names == (whole.counts.sample_names[4], whole.counts.sample_names[1])
    assert np.array_equal(some.counts.counts, whole.counts.counts[[4, 1]])
    assert some.groups == [whole.groups[4], whole.groups[1]]
    assert some.labels == [whole.labels[4], whole.labels[1]]


def test_all_genes_of_the_model_must_be_there(adata: AnnData) -> None:
    with pytest.raises(GeneMismatchError):
        Samples.of(adata, [*adata.var_names, "another"], training_config())


def test_samples_that_the_model_knows_are_refused_by_name(adata: AnnData) -> None:
    samples = Samples.of(adata, list(adata.var_names), training_config())
    samples.check_new(["another"])
    with pytest.raises(NamesError, match=f"1 of 6 new samples .*{adata.obs_names[2]}"):
        samples.check_new(["another", adata.obs_names[2]])


def test_a_sample_of_unknown_donor_is_a_donor_of_its_own(adata: AnnData) -> None:
    config = training_config()
    assert sample_groups(adata.obs, config) == ["d1", "d1", "d2", "d2", "d3", adata.obs_names[5]]
    assert sample_labels(adata.obs, config)[5] == "unknown"
    assert sample_labels(adata.obs.drop(columns="tissue"), config) is None
    with pytest.raises(ConfigError, match="group_key 'animal' is not a column of obs"):
        sample_groups(adata.obs, training_config(group_key="animal"))


def test_silent_genes_are_not_modelled(adata: AnnData) -> None:
    adata.X[:, 3] = 0
    found = sorted_and_modelled(adata[::-1, ::-1], training_config())
    assert adata.var_names[3] not in found.var_names
    assert list(found.var_names) == sorted(found.var_names)
    assert list(found.obs_names) == sorted(adata.obs_names)
