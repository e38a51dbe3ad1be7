# SPDX-License-Identifier: BSD-3-Clause
"""How far a sample departs: the excess it was made with, nothing for healthy ones, the place it came from."""

import numpy as np
import pytest
import torch
from scipy.stats import nbinom

from pydgd.core.latent import GaussianMixture
from pydgd.inference.departure import Components, departure, misfit, telling_genes
from pydgd.stats import mid_p_residuals


def _sample(excess, *, seed=0, n_genes=4_000):
    """Counts whose means depart by a log-normal factor."""
    rng = np.random.default_rng(seed)
    mu, r = rng.lognormal(5, 1, n_genes), np.full(n_genes, 20.0)
    true = mu * rng.lognormal(0, np.sqrt(excess), n_genes)
    return nbinom.rvs(r, r / (r + true), random_state=rng).astype(float), mu, r


@pytest.mark.parametrize("excess", [0.05, 0.3, 2.0])
def test_departure_is_regained(excess):
    found = departure(*_sample(excess), limit=1.0)
    assert found.excess == pytest.approx(excess, rel=0.25)
    assert found.ratio == pytest.approx(1 + excess * 17, rel=0.3)


def test_healthy_samples_have_none():
    assert departure(*_sample(0.0), limit=1.1) == (0, 1)


def test_a_few_changed_genes_do_not_make_a_departure():
    x, mu, r = _sample(0.0)
    x[::50] *= 16
    assert departure(x, mu, r, limit=1.1).excess == 0


def test_a_sample_of_few_reads_cannot_tell():
    x, mu, r = _sample(1.0)
    assert departure(x / 1e4 // 1, mu / 1e4, r, limit=1.0).excess == 0
    assert len(telling_genes(np.full(49, 10.0))) == 0


def test_poisson_counts_depart_too():
    x, mu, r = _sample(0.5)
    assert departure(x, mu, np.full(len(r), np.inf), limit=1.0).excess == pytest.approx(0.55, rel=0.3)


def test_misfit_of_a_true_model_is_one():
    assert misfit(mid_p_residuals(*_sample(0.0))) == pytest.approx(1, abs=0.05)


@pytest.fixture
def components():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(400, 3, generator=generator)
    z[200:, 0] += 10
    return Components(GaussianMixture(2, 3).fit(z, generator=generator))


def test_a_place_within_the_healthy_is_kept_to_the_bit(components):
    z = np.array([0.1, 0.2, -0.1])
    place = components.place(z, most=50.0)
    np.testing.assert_array_equal(place.z, z)
    assert (place.component, place.share) == (0, 1.0)


def test_a_far_place_is_drawn_to_its_component(components):
    place = components.place(np.array([10.0, 8.0, 0.0]), most=np.inf)
    assert place.share == pytest.approx(3 / 64, rel=0.2)
    np.testing.assert_allclose(place.z, [10, 8 * place.share, 0], atol=0.15)


def test_no_more_than_the_counts_allow(components):
    assert components.place(np.array([0.0, 30.0, 0.0]), most=1.5).share == pytest.approx(1 / 1.5)
