# SPDX-License-Identifier: BSD-3-Clause
"""Residuals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import kstest, nbinom

from pydgd.stats import (
    deviance_residuals,
    log_cdf,
    mid_p_residuals,
    named_uniforms,
    pearson_residuals,
    randomised_quantile_residuals,
)
from pydgd.stats.arguments import LARGEST


def _all_residuals(counts, mu, r):
    uniforms = np.full(np.broadcast_shapes(np.shape(counts), np.shape(mu)), 1 - 2.0**-53)
    return (
        mid_p_residuals(counts, mu, r),
        randomised_quantile_residuals(counts, mu, r, uniforms=uniforms),
        randomised_quantile_residuals(counts, mu, r, uniforms=1 - uniforms),
        pearson_residuals(counts, mu, r),
        deviance_residuals(counts, mu, r),
    )


@pytest.mark.parametrize("r", [1e-30, 2.0, np.inf])
def test_residuals_are_finite_at_every_extreme(r: float) -> None:
    """No read to a hundred million, mean 0 to 1e8, draws next to 0 and 1."""
    counts = np.array([0, 1, 10**8])[:, None]
    for residuals in _all_residuals(counts, np.array([0.0, 1e-8, 1.0, 1e8]), r):
        assert np.isfinite(residuals).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(0, 1e6), st.floats(1e-30, 1e30))
def test_residuals_are_finite(k: int, mu: float, r: float) -> None:
    """Neither NaN nor infinite anywhere in the range."""
    assert np.isfinite([float(residual) for residual in _all_residuals(k, mu, r)]).all()


def test_mid_p_residuals_are_scipys_quantiles() -> None:
    """Where scipy's tail is a number, the residual is its normal quantile; it rises with the count."""
    k, mu, r = np.arange(300), 60.0, 4.0
    reference = nbinom(r, r / (r + mu))
    found = mid_p_residuals(k, mu, r)
    middle = (k > 1) & (k < 150)
    expected = ndtri(reference.cdf(k) - reference.pmf(k) / 2)
    np.testing.assert_allclose(found[middle], expected[middle], rtol=1e-9, atol=1e-12)
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("mean", [0.05, 2.0, 500.0])
@pytest.mark.parametrize("r", [0.3, 5.0, np.inf])
def test_randomised_residuals_are_standard_normal_under_the_model(mean: float, r: float) -> None:
    """Also at a mean of 0.05, where nearly every count is 0."""
    rng = np.random.default_rng(0)
    rates = np.full((40, 500), mean) if np.isinf(r) else rng.gamma(r, mean / r, (40, 500))
    uniforms = named_uniforms([f"T{i}" for i in range(40)], [f"g{i}" for i in range(500)], seed=1)
    residuals = randomised_quantile_residuals(rng.poisson(rates), mean, r, uniforms=uniforms)
    assert kstest(residuals.ravel(), "norm").pvalue > 1e-3


def test_randomised_residuals_lie_between_the_neighbouring_tails() -> None:
    """A draw near 0 gives P(X < k), one near 1 gives P(X <= k), on both sides of the median."""
    k, mu, r = np.array([1, 5, 20, 60]), 20.0, 3.0
    reference = nbinom(r, r / (r + mu))
    low = randomised_quantile_residuals(k, mu, r, uniforms=1e-12)
    high = randomised_quantile_residuals(k, mu, r, uniforms=1 - 1e-12)
    np.testing.assert_allclose(low, ndtri(reference.cdf(k - 1)), atol=1e-8)
    np.testing.assert_allclose(high, ndtri(reference.cdf(k)), atol=1e-8)


def test_draws_of_zero_or_one_are_refused() -> None:
    """They would be infinite residuals at the edges."""
    with pytest.raises(ValueError, match="uniforms reach 0 or 1"):
        randomised_quantile_residuals(1, 1.0, uniforms=1.0)


def test_pearson_residuals_are_standardised() -> None:
    """Mean 0 and variance 1 under the model."""
    counts = np.random.default_rng(0).negative_binomial(4, 4 / 104, 100_000)
    residuals = pearson_residuals(counts, 100.0, 4.0)
    assert residuals.mean() == pytest.approx(0, abs=0.02)
    assert residuals.var() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("r", [1e-300, 1e-30, 1.0, 1e300, np.inf])
def test_residuals_of_the_largest_counts_and_means_are_finite(r: float) -> None:
    """Up to 2**53 nothing overflows; beyond, the value is refused by name."""
    counts = np.array([0.0, 1.0, LARGEST])[:, None]
    for residuals in _all_residuals(counts, np.array([0.0, 1e-300, LARGEST]), r):
        assert np.isfinite(residuals).all()
    with pytest.raises(ValueError, match=r"mu has the value 1e\+300"):
        pearson_residuals(1, 1e300, r)


def test_deviance_residuals_have_the_sign_of_the_surplus() -> None:
    """Negative below the mean, 0 at it, and near the Pearson residual for small deviations."""
    residuals = deviance_residuals([900, 1000, 1010], 1000.0, 50.0)
    assert residuals[0] < residuals[1] == 0 < residuals[2]
    assert residuals[2] == pytest.approx(pearson_residuals(1010, 1000.0, 50.0), rel=0.02)


def test_normal_quantile_of_the_lower_tail_is_the_peers_residual(shared: Path) -> None:
    """bulkdgd's residual is that of P(X <= k), not mid-p; where it is finite, its tail is ours."""
    table = pd.read_csv(shared / "peer/artifacts/reference/dea_reference.csv", index_col=0)
    mu = table["obs"].mean() * table["pred_mean"].to_numpy()
    lower = np.exp(log_cdf(table["obs"].to_numpy(), mu, table["r"].to_numpy()))
    finite = np.isfinite(table["nb_residual"].to_numpy())
    np.testing.assert_allclose(ndtri(lower[finite]), table.loc[finite, "nb_residual"], rtol=1e-6)
