# SPDX-License-Identifier: BSD-3-Clause
"""Samples of a batch help each other, and none hides its own changes."""

import logging

import numpy as np
import pytest
from anndata import AnnData

from pydgd import DGD, differential_expression
from pydgd.errors import ConfigError
from pydgd.laboratory import adapt, closest_normal_by_batch


@pytest.fixture
def query(elsewhere: AnnData) -> AnnData:
    """Six samples of the second laboratory, two of a third, one of nobody's."""
    adata = elsewhere[::10].copy()
    adata.obs["study"] = ["second"] * 6 + ["third"] * 2 + [None]
    return adata


def test_each_sample_is_asked_of_the_others(model: DGD, query: AnnData) -> None:
    """As if these had been the reference; small batches and nobody's sample as they stand."""
    found = closest_normal_by_batch(model, query, batch_key="study")
    assert found.fit["dgd_n_neighbours"].tolist() == [5] * 6 + [0] * 3
    one = adapt(model, query[[0, 1, 3, 4, 5]], healthy=False).closest_normal(query[[2]])
    np.testing.assert_array_equal(found.means[2], one.means[0])
    np.testing.assert_array_equal(found.dispersions(2), one.dispersions(0))
    plain = model.closest_normal(query[6:])
    np.testing.assert_array_equal(found.means[6:], plain.means)


def test_the_result_is_a_closest_normal(model: DGD, query: AnnData) -> None:
    """Tested and written like any other; order and other batches change nothing."""
    found = closest_normal_by_batch(model, query, batch_key="study")
    table = differential_expression(query, found)
    assert len(table) == query.n_obs * len(model.genes)
    assert found.to_anndata(query).layers["dgd_r"].shape == query.shape
    turned = closest_normal_by_batch(model, query[:6][::-1].copy(), batch_key="study")
    np.testing.assert_array_equal(turned.means[::-1], found.means[:6])
    assert found.provenance["batch_key"] == "study"


def test_small_batches_are_told(model: DGD, query: AnnData, caplog: pytest.LogCaptureFixture) -> None:
    """By name."""
    with caplog.at_level(logging.WARNING):
        closest_normal_by_batch(model, query[5:].copy(), batch_key="study")
    assert "2 of 2 batches have fewer than 4 samples" in caplog.text
    assert "'third'" in caplog.text


def test_an_unknown_column_is_refused(model: DGD, query: AnnData) -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match=r"'lab' is not a column of obs; there are .*study"):
        closest_normal_by_batch(model, query, batch_key="lab")
