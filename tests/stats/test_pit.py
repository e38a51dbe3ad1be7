# SPDX-License-Identifier: BSD-3-Clause
"""The randomised PIT: uniform where its distribution is the true one, for few reads and many."""

import numpy as np
import pytest
from scipy import stats

from pydgd.stats import log_cdf, mid_p_residuals
from pydgd.stats.calibrated import Expected, NullModel
from pydgd.stats.pit import randomised_pit

N_GENES = 2000

Sample = tuple[np.ndarray, Expected]


def draw(mu: np.ndarray, r: float, rng: np.random.Generator, *, true_r: float | None = None) -> Sample:
    """Counts of one sample, and what a model believes of them."""
    true = r if true_r is None else true_r
    counts = rng.poisson(mu * rng.standard_gamma(true, mu.shape) / true).astype(float)
    return counts, Expected(mu, np.full(mu.shape, r), np.zeros(mu.shape))


def distance(pit: np.ndarray) -> float:
    return float(stats.kstest(pit, "uniform").statistic)


@pytest.mark.parametrize("mu", [0.05, 1.0, 300.0])
def test_it_is_uniform_if_the_count_distribution_is_true(mu: float) -> None:
    """However few the reads; the bound is the 99.9th percentile of Kolmogorov's distance."""
    rng = np.random.default_rng(0)
    pit = randomised_pit(*draw(np.full(20_000, mu), 4.0, rng), uniforms=rng.random(20_000))
    assert distance(pit) < stats.kstwo(20_000).ppf(0.999)


def test_it_lies_between_the_shares_below_and_up_to_the_count() -> None:
    """P(X < k) < u < P(X <= k), and rises with the uniform number."""
    rng = np.random.default_rng(1)
    counts, expected = draw(np.exp(rng.normal(1, 2, 500)), 3.0, rng)
    low, high = (randomised_pit(counts, expected, uniforms=np.full(500, u)) for u in (0.01, 0.99))
    mu, r = expected.mu, expected.r
    assert (low < high).all()
    assert (high <= np.exp(log_cdf(counts, mu, r)) + 1e-12).all()
    at_least_one = counts > 0
    below = np.exp(log_cdf(counts[at_least_one] - 1, mu[at_least_one], r[at_least_one]))
    assert (low[at_least_one] >= below - 1e-12).all()


@pytest.mark.parametrize("mu", [0.05, 30.0])
def test_a_null_of_healthy_samples_makes_it_uniform_again(mu: float) -> None:
    """Counts twice as dispersed as the model believes, seen in twenty other samples; few reads stay few."""
    rng = np.random.default_rng(2)
    means = np.full(N_GENES, mu)
    means[:100] = 30.0  # what the spread of a sample is told by
    null = NullModel.of([draw(means, 4.0, rng, true_r=2.0) for _ in range(20)])
    raw, calibrated = [], []
    for _ in range(20):
        sample, uniforms = draw(means, 4.0, rng, true_r=2.0), rng.random(N_GENES)
        raw.append(randomised_pit(*sample, uniforms=uniforms)[100:])
        calibrated.append(randomised_pit(*sample, uniforms=uniforms, null=null)[100:])
    assert distance(np.concatenate(calibrated)) < 0.015
    if mu > 1:
        assert distance(np.concatenate(raw)) > 0.05


def test_extreme_counts_have_a_finite_pit() -> None:
    """No read at all, a million where none is expected, and the other way round."""
    rng = np.random.default_rng(3)
    means = np.full(N_GENES, 30.0)
    null = NullModel.of([draw(means, 4.0, rng) for _ in range(2)])
    counts = np.array([0.0, 1e6, 0.0, 1e6])
    expected = Expected(np.array([1e-9, 1e-9, 1e6, 1e6]), np.array([4.0, np.inf, 4.0, np.inf]), np.zeros(4))
    for known in (None, null):
        pit = randomised_pit(counts, expected, uniforms=np.full(4, 0.5), null=known)
        assert ((pit >= 0) & (pit <= 1)).all()
        assert pit[1] > 0.999
        assert pit[2] < 0.001


def test_it_is_where_the_calibrated_p_values_are() -> None:
    """For many reads both one-sided p-values of a count are the shares below and above it."""
    rng = np.random.default_rng(4)
    means = np.exp(rng.normal(9, 0.5, N_GENES))
    null = NullModel.of([draw(means, 4.0, rng, true_r=2.0) for _ in range(10)])
    counts, (mu, r, *_) = draw(means, 4.0, rng, true_r=2.0)
    expected = Expected(mu, r, rng.random(N_GENES))
    pit = randomised_pit(counts, expected, uniforms=np.full(N_GENES, 0.5), null=null)
    lower, upper = null.log_tails(mid_p_residuals(counts, mu, r), expected)
    np.testing.assert_allclose(pit, np.where(lower < upper, np.exp(lower), -np.expm1(upper)), atol=1e-3)
