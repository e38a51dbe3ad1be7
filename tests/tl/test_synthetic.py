# SPDX-License-Identifier: BSD-3-Clause
"""New samples out of a model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pydgd import DGD, tl
from pydgd.data import as_counts
from pydgd.errors import ConfigError


def test_representations_are_drawn_from_the_mixture(study) -> None:
    """Their mean and spread are the mixture's."""
    prior = study.model.record.model.prior
    z = tl.sample_representations(study.model, 4000, seed=1)
    weights, means = prior.weights.numpy(), prior.means.numpy()
    centre = weights @ means
    spread = np.einsum("k,kij->ij", weights, prior.covariances().numpy())
    spread += (weights[:, None] * (means - centre)).T @ (means - centre)
    sd = np.sqrt(np.diag(spread))
    np.testing.assert_allclose(z.mean(), centre, atol=5 * sd.max() / np.sqrt(4000))
    np.testing.assert_allclose(z.std(), sd, rtol=0.1)


def test_same_seed_same_samples_however_many(study) -> None:
    """The first draws stay; another seed gives others."""
    few, many = (tl.sample_counts(study.model, n, seed=5) for n in (2, 6))
    np.testing.assert_array_equal(few.X, many.X[:2])
    np.testing.assert_array_equal(few.obsm["X_dgd"], many.obsm["X_dgd"][:2])
    other = tl.sample_counts(study.model, 2, seed=6)
    assert (other.X != few.X).any()


def test_counts_scatter_around_expected_reads_by_r(study) -> None:
    """Mean and variance over many draws at one position; the sum is what was asked for."""
    z = study.model.representations.iloc[[0] * 500]
    z.index = [f"copy_{i}" for i in range(500)]
    drawn = tl.sample_counts(study.model, source=z, reads=1e6, seed=2)
    mu = drawn.layers["dgd_mean"][0].astype(float)
    assert mu.sum() == pytest.approx(1e6, rel=1e-5)
    variance = mu + mu**2 / drawn.var["dgd_r"].to_numpy()
    z_scores = (drawn.X.mean(axis=0) - mu) / np.sqrt(variance / 500)
    assert np.abs(z_scores).max() < 5
    high = mu > 50
    np.testing.assert_allclose(drawn.X.var(axis=0)[high].sum(), variance[high].sum(), rtol=0.2)


def test_synthetic_samples_are_counts_with_names(study) -> None:
    """They can be searched like any others, and are healthy to the model."""
    drawn = tl.sample_counts(study.model, 4)
    assert drawn.obs_names.tolist() == [f"synthetic_{i}" for i in range(1, 5)]
    assert drawn.var_names.tolist() == list(study.model.genes)
    assert as_counts(drawn).n_obs == 4
    found = study.model.closest_normal(drawn)
    # Each is nearest to what it was drawn from.
    searched, drawn_from = np.log(found.means + 1), np.log(drawn.layers["dgd_mean"] + 1)
    distances = np.abs(searched[:, None] - drawn_from).mean(axis=2)
    assert distances.argmin(axis=1).tolist() == [0, 1, 2, 3]


def test_a_poisson_model_scatters_less(study) -> None:
    """The variance is the mean."""
    model = DGD.fit(study.simulation.normals, latent_dim=2, epochs=2, output_module="poisson")
    z = model.representations.iloc[[0] * 300]
    drawn = tl.sample_counts(model, source=z.set_axis([f"c{i}" for i in range(300)]), reads=1e6)
    mu = drawn.layers["dgd_mean"][0].astype(float)
    assert "dgd_r" not in drawn.var
    high = mu > 50
    assert (drawn.X.var(axis=0)[high] / mu[high]).mean() == pytest.approx(1, abs=0.1)


def test_counts_beyond_32_bits_stay_positive(study) -> None:
    """A gamma mean with a small r reaches far."""
    record = study.model.record
    wild = replace(record.calibration, log_r=np.full(len(study.model.genes), np.log(0.05)))
    drawn = tl.sample_counts(DGD(replace(record, calibration=wild)), 5, reads=1e9)
    assert drawn.X.max() > np.iinfo(np.int32).max
    assert drawn.X.min() >= 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either n"),
        ({"n": 1, "source": pd.DataFrame(np.zeros((1, 4)))}, "either n"),
        ({"n": 0}, "n is 0"),
        ({"n": 1, "reads": 0.0}, "reads is 0"),
        ({"n": 1, "reads": 1e10}, r"reads is 1e\+10"),
        ({"n": 1, "seed": -1}, "seed is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(study, options: dict, words: str) -> None:
    """With what was given."""
    with pytest.raises(ConfigError, match=words):
        tl.sample_counts(study.model, **options)


def test_changes_move_the_reads_and_not_what_is_expected(study) -> None:
    """A gene made fourfold has four times the reads on average; the others are drawn as before."""
    z = study.model.representations.iloc[[0] * 300]
    z.index = [f"copy_{i}" for i in range(300)]
    genes = list(study.model.genes)
    plain = tl.sample_counts(study.model, source=z, seed=2)
    gene = int(plain.layers["dgd_mean"][0].argmax())
    changes = pd.DataFrame(0.0, index=z.index, columns=genes)
    changes.iloc[:, gene] = 2.0
    changed = tl.sample_counts(study.model, source=z, log2_fold_changes=changes, seed=2)
    np.testing.assert_array_equal(changed.layers["dgd_mean"], plain.layers["dgd_mean"])
    assert changed.X[:, gene].mean() == pytest.approx(4 * plain.X[:, gene].mean(), rel=0.1)
    with pytest.raises(ConfigError, match="reindex it"):
        tl.sample_counts(study.model, source=z, log2_fold_changes=changes.iloc[:, ::-1])
