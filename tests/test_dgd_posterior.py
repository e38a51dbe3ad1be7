# SPDX-License-Identifier: BSD-3-Clause
"""The closest normal of samples that depart: who moves, who does not, and p-values that hold."""

import logging

import numpy as np
import pytest
from anndata import AnnData

from pydgd import DGD, differential_expression
from pydgd.data import Simulation, simulate_cohort


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    """180 healthy samples of 3 tissues, 400 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=60, n_genes=400, seed=0)


@pytest.fixture(scope="module")
def model(cohort: Simulation) -> DGD:
    """A small model that has seen four fifths of them."""
    return DGD.fit(cohort.normals[::2].copy(), latent_dim=4, epochs=10, validation=0.3)


def _departed(adata: AnnData, *, sd: float) -> AnnData:
    """The same samples with every gene's mean changed by a random factor."""
    rng = np.random.default_rng(1)
    changed = adata.copy()
    changed.X = rng.poisson(np.asarray(adata.X) * rng.lognormal(0, sd, adata.shape)).astype(np.float32)
    return changed


def test_healthy_samples_keep_their_most_probable_point(cohort: Simulation, model: DGD) -> None:
    """Nearly all of them, to the bit."""
    new = cohort.normals[1::6].copy()
    usual, most_probable = model.closest_normal(new), model.closest_normal(new, point="map")
    kept = usual.fit["dgd_departure"].to_numpy() == 0
    assert kept.mean() > 0.7
    np.testing.assert_array_equal(usual.means[kept], most_probable.means[kept])
    assert most_probable.departure is None
    assert (usual.provenance["point"], most_probable.provenance["point"]) == ("posterior", "map")


def test_samples_that_depart_say_so(cohort: Simulation, model: DGD) -> None:
    """By about the variance they were given."""
    normal = model.closest_normal(_departed(cohort.normals[1:20:2], sd=1.0))
    assert normal.departure is not None
    assert (normal.departure > 0.1).all()
    assert (normal.fit["dgd_kept_share"] < 1).any()


def test_departed_samples_call_few_genes(cohort: Simulation, model: DGD) -> None:
    """Each gene differs from its normal, but only those that stand out of the others are called."""
    query = _departed(cohort.normals[1:20:2], sd=0.8)
    normal = model.closest_normal(query)
    calibrated, plain = (
        (differential_expression(query, normal, calibrated=choice)["padj"] < 0.05).mean()
        for choice in (True, False)
    )
    assert 0 < calibrated < 0.05
    assert plain > 5 * calibrated


def test_p_values_hold_on_new_healthy_samples(cohort: Simulation, model: DGD) -> None:
    """At 5 %, over 30 samples."""
    new = cohort.normals[1::6].copy()
    table = differential_expression(new, model.closest_normal(new))
    assert (table["pvalue"] < 0.05).mean() == pytest.approx(0.05, abs=0.025)
    assert not table["pvalue"].equals(table["pvalue_nb"])
    raw = differential_expression(new, model.closest_normal(new), calibrated=False)
    np.testing.assert_array_equal(raw["pvalue"], table["pvalue_nb"])


def test_a_sample_is_the_same_alone(cohort: Simulation, model: DGD) -> None:
    """To the bit, departed or not."""
    query = _departed(cohort.normals[1:14:2], sd=0.8)
    together = model.closest_normal(query)
    alone = model.closest_normal(query[3:4].copy())
    np.testing.assert_array_equal(together.means[3], alone.means[0])
    assert together.log_mean_variance is not None
    assert alone.log_mean_variance is not None
    np.testing.assert_array_equal(together.log_mean_variance[3], alone.log_mean_variance[0])
    chunks = list(model.closest_normal_chunks(query, chunk_size=3))
    np.testing.assert_array_equal(np.concatenate([part.means for part in chunks]), together.means)


def test_uncertainty_widens_the_error_of_fold_changes(cohort: Simulation, model: DGD) -> None:
    """More for a sample whose place is less sure."""
    healthy = cohort.normals[1:14:2].copy()
    calm, wild = (model.closest_normal(query) for query in (healthy, _departed(healthy, sd=1.0)))
    assert calm.log_mean_variance is not None
    assert wild.log_mean_variance is not None
    assert (calm.log_mean_variance > 0).all()
    assert np.median(wild.log_mean_variance) > np.median(calm.log_mean_variance)


def test_a_model_without_held_out_samples_says_so(
    cohort: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    """Its p-values are the negative binomial's."""
    with caplog.at_level(logging.WARNING):
        model = DGD.fit(cohort.normals[::6].copy(), latent_dim=2, epochs=2, validation=0.0)
    assert "calibrate" in caplog.text
    normal = model.closest_normal(cohort.cases)
    assert normal.provenance["point"] == "map"
    table = differential_expression(cohort.cases, normal)
    np.testing.assert_array_equal(table["pvalue"], table["pvalue_nb"])


@pytest.mark.parametrize("module", ["poisson", "nb_full_dispersion"])
def test_other_families_have_posteriors_too(cohort: Simulation, module: str) -> None:
    """Without an r per gene the decoder's own dispersion is kept."""
    model = DGD.fit(cohort.normals[::2].copy(), latent_dim=3, epochs=3, validation=0.3, output_module=module)
    assert model.record.calibration is not None
    assert model.record.calibration.log_r is None
    query = cohort.cases[:3].copy()
    table = differential_expression(query, model.closest_normal(query))
    assert np.isfinite(table["log_pvalue"]).all()


def test_masked_genes_are_no_obstacle(cohort: Simulation, model: DGD) -> None:
    """Half of the genes measured."""
    query = cohort.normals[1:8:2, ::2].copy()
    normal = model.closest_normal(query, min_shared=0.3)
    table = differential_expression(query, normal)
    assert np.isfinite(table["log_pvalue"][table["untested_reason"].isna()]).all()
