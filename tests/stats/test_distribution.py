# SPDX-License-Identifier: BSD-3-Clause
"""Distribution functions and quantiles."""

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from pydgd.stats import cdf, log_cdf, log_sf, quantile, sf

K, MU = np.arange(300), 70.0


@pytest.mark.parametrize("r", [0.3, 4.0, 200.0])
def test_distribution_functions_agree_with_scipy(r: float) -> None:
    """P(X <= k) and P(X > k), and their logarithms."""
    reference = nbinom(r, r / (r + MU))
    np.testing.assert_allclose(cdf(K, MU, r), reference.cdf(K), rtol=1e-11)
    np.testing.assert_allclose(sf(K, MU, r), reference.sf(K), rtol=1e-10)
    np.testing.assert_allclose(log_cdf(K, MU, r), reference.logcdf(K), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(log_sf(K, MU, r), reference.logsf(K), rtol=1e-9, atol=1e-14)


def test_log_sf_keeps_its_digits_at_tiny_means() -> None:
    """P(X > 0) at mean 1e-8 is 1e-8, though P(X <= 0) is 1 but for the last digits."""
    assert float(np.exp(log_sf(0, 1e-8))) == pytest.approx(-np.expm1(-1e-8), rel=1e-14)


@pytest.mark.parametrize("r", [0.3, 4.0, 1e5, np.inf])
def test_quantile_is_the_smallest_count_that_reaches_the_probability(r: float) -> None:
    """Equal to scipy's, in the tails too."""
    p = np.array([1e-12, 1e-3, 0.025, 0.3, 0.5, 0.7, 0.975, 1 - 1e-9])
    reference = poisson(MU) if np.isinf(r) else nbinom(r, r / (r + MU))
    assert quantile(p, MU, r).tolist() == reference.ppf(p).tolist()


@pytest.mark.parametrize("mu", [0.2, 7.0, 3e4])
def test_quantile_undoes_the_distribution_function(mu: float) -> None:
    """quantile(P(X <= k)) is k wherever float64 tells P(X <= k) from its neighbours and from 1."""
    k = np.unique(quantile([0.001, 0.1, 0.5, 0.9, 0.999], mu, 3.0))
    assert quantile(cdf(k, mu, 3.0), mu, 3.0).tolist() == k.tolist()


def test_quantile_of_nothing_is_zero() -> None:
    """Probability 0, and a mean of 0, give 0 reads."""
    assert quantile([0.0, 0.5], [5.0, 0.0], 2.0).tolist() == [0, 0]


@pytest.mark.parametrize("p", [1.0, -0.1, np.nan])
def test_probability_out_of_range_is_refused(p: float) -> None:
    """The error names the range."""
    with pytest.raises(ValueError, match="0 <= p < 1"):
        quantile(p, MU, 1.0)
