# SPDX-License-Identifier: BSD-3-Clause
"""Refitted dispersions: truth regained, few samples drawn to the trend, hostile genes finite."""

import numpy as np
import torch
from scipy.stats import nbinom, spearmanr

from pydgd.training.dispersion import refitted_log_r


def _cohort(n_samples, n_genes, *, seed=0):
    rng = np.random.default_rng(seed)
    mu = np.exp(rng.uniform(1, 7, n_genes)) * rng.lognormal(0, 0.3, (n_samples, n_genes))
    log_r = 1 + 0.2 * np.log(mu.mean(0)) + rng.normal(0, 0.5, n_genes)
    r = np.exp(log_r)
    counts = nbinom.rvs(r, r / (r + mu), random_state=rng).astype(float)
    return torch.as_tensor(counts), torch.as_tensor(mu), log_r


def test_truth_is_regained_from_many_samples():
    counts, mu, truth = _cohort(500, 300)
    found = refitted_log_r(counts, mu, torch.zeros(300)).numpy()
    assert np.abs(found - truth).mean() < 0.12
    assert spearmanr(found, truth)[0] > 0.97


def test_few_samples_are_drawn_to_the_trend_and_better_for_it():
    counts, mu, truth = _cohort(6, 600, seed=1)
    error = np.sqrt(np.square(refitted_log_r(counts, mu, torch.zeros(600)).numpy() - truth).mean())
    assert error < 0.65


def test_start_does_not_matter():
    counts, mu, _ = _cohort(100, 200, seed=2)
    low, high = (refitted_log_r(counts, mu, torch.full((200,), start)) for start in (-2.0, 5.0))
    np.testing.assert_allclose(low, high, atol=0.1)


def test_hostile_genes_have_a_finite_r():
    counts, mu, _ = _cohort(30, 40, seed=3)
    counts[:, 0], counts[:, 1], counts[:, 2] = 0, 7, mu[:, 2].round()
    counts[0, 3] = 100_000_000
    mu[:, 4], counts[:, 4] = 1e-10, 0
    found = refitted_log_r(counts, mu, torch.full((40,), torch.inf))
    assert torch.isfinite(found).all()


def test_one_gene_and_one_sample():
    counts, mu, _ = _cohort(2, 1, seed=4)
    assert torch.isfinite(refitted_log_r(counts[:1], mu[:1], torch.zeros(1))).all()
