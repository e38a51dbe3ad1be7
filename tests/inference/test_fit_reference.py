# SPDX-License-Identifier: BSD-3-Clause
"""The reference: made of held-out samples as users' samples are searched, or not at all."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from pydgd import DGD
from pydgd.checkpoints.reference import FitReference
from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts, simulate_cohort
from pydgd.inference import closest_normal
from pydgd.inference.fit_reference import fit_reference
from pydgd.inference.neighbours import TrainingSamples

from .test_closest_normal import MODULES, query, rows


def reference_of(
    model: JointModel, held_out: AlignedCounts, training: TrainingSamples
) -> FitReference | None:
    """Searched as users' samples are."""
    return fit_reference(held_out, closest_normal(model, held_out), training)


def training_of(made) -> TrainingSamples:
    """Training samples as the prior has them."""
    return TrainingSamples(made.model.prior, made.model.prior.sample(40, generator=torch.Generator()))


@pytest.mark.parametrize("name", MODULES)
def test_reference_is_the_fit_of_the_held_out_samples(problem, name: str) -> None:
    """Relative to the genes' means, which sum to the mean sample's; likelihoods are SciPy's."""
    made = problem(name, n_samples=9)
    reference = reference_of(made.model, query(made), training_of(made))
    normal = closest_normal(made.model, query(made))
    assert reference is not None
    k, mu = query(made).counts.astype(float), normal.means.astype(float)
    if normal.r is None:
        masses = stats.poisson.logpmf(k, mu)
    else:
        masses = stats.nbinom.logpmf(k, normal.r, normal.r / (normal.r + mu))
    nll = -masses.sum(axis=1)
    np.testing.assert_allclose(reference.gene_nll.sum(), nll.mean(), rtol=1e-6)
    np.testing.assert_allclose(reference.nll, nll / nll.mean(), rtol=1e-6)
    np.testing.assert_allclose(reference.nll, normal.fit["dgd_nll"] / normal.fit["dgd_nll"].mean(), rtol=1e-5)
    assert reference.misfit.mean() == pytest.approx(1)
    assert reference.gene_deviance.shape == (200,)
    distances = training_of(made).distances(torch.as_tensor(normal.representations))
    assert reference.distance.tobytes() == distances.tobytes()


def test_order_of_the_held_out_samples_changes_no_sample(problem) -> None:
    """Each is searched by itself."""
    made = problem(n_samples=9)
    one = reference_of(made.model, query(made), training_of(made))
    other = reference_of(made.model, rows(query(made), list(range(9))[::-1]), training_of(made))
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one.misfit, other.misfit[::-1], rtol=1e-12)
    assert one.distance.tobytes() == other.distance[::-1].tobytes()


def test_four_samples_make_no_reference(problem, caplog: pytest.LogCaptureFixture) -> None:
    """And the log says what is missing."""
    caplog.set_level(logging.INFO, "pydgd")
    made = problem(n_samples=4)
    assert reference_of(made.model, query(made), training_of(made)) is None
    assert "4 were held out, 5 are needed" in caplog.text


def test_samples_that_are_all_alike_make_no_reference(problem, caplog: pytest.LogCaptureFixture) -> None:
    """Without a spread there is no threshold."""
    made = problem(n_samples=6)
    alike = replace(query(made), counts=np.repeat(query(made).counts[:1], 6, axis=0))
    assert reference_of(made.model, alike, training_of(made)) is None
    assert "the 6 held out give no reference" in caplog.text


def test_training_keeps_the_reference_of_what_it_held_out() -> None:
    """A tenth of 60 samples; the same again to the bit, and part of the content hash."""
    cohort = simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=200, seed=0)
    one, other = (DGD.fit(cohort.normals, latent_dim=4, epochs=3) for _ in range(2))
    assert one.record.reference is not None
    assert one.record.reference.n_samples == one.provenance["n_held_out_samples"] == 6
    assert other.record.reference is not None
    assert one.record.reference.misfit.tobytes() == other.record.reference.misfit.tobytes()
    assert one.provenance["sha256"] == other.provenance["sha256"]


def test_training_without_validation_keeps_none() -> None:
    """Samples that were trained on fit too well to compare with."""
    cohort = simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=100, seed=0)
    model = DGD.fit(cohort.normals, latent_dim=3, epochs=2, validation=0)
    assert model.record.reference is None
    assert model.closest_normal(cohort.cases).fit["dgd_close_normal"].isna().all()


def test_a_tissue_that_training_lacks_has_no_close_normal() -> None:
    """In the whole, on a simulated cohort; tissues that it has do have one."""
    cohort = simulate_cohort(n_tissues=4, n_per_tissue=60, n_genes=150, seed=1).normals
    tissues = sorted(cohort.obs["tissue"].unique())
    known = cohort[cohort.obs["tissue"] != tissues[0]]
    unseen = np.arange(known.n_obs) % 6 == 0
    model = DGD.fit(known[~unseen].copy(), latent_dim=4, epochs=8, validation=0.2)
    healthy = model.closest_normal(known[unseen].copy()).fit
    lacking = model.closest_normal(cohort[cohort.obs["tissue"] == tissues[0]].copy()).fit
    assert healthy["dgd_close_normal"].mean() >= 0.95
    assert lacking["dgd_ood_score"].min() > healthy["dgd_ood_score"].max()
    assert not lacking["dgd_close_normal"].any()
    labels = known.obs["tissue"][unseen].astype(str)
    named = healthy["dgd_nearest_labels"].str.extract(r"^(.*?) \d")[0]
    assert (named.to_numpy() == labels.to_numpy()).mean() > 0.9
