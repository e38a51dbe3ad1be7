# SPDX-License-Identifier: BSD-3-Clause
"""Distribution functions and quantiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import nbinom, poisson

from pydgd.stats import cdf, log_cdf, log_sf, quantile, sf
from pydgd.stats.arguments import LARGEST
from pydgd.stats.integer_search import first_integer

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


def test_quantiles_rise_with_the_probability() -> None:
    """From 0 to next to 1, at means from 1e-8 to the largest and r from 1e-30 to infinity."""
    p = np.array([0, 1e-300, 1e-9, 0.2, 0.5, 0.50001, 0.9, 1 - 1e-9, 1 - 2.0**-53])[:, None, None]
    found = quantile(p, np.array([0, 1e-8, 1, 1e4, 1e8, LARGEST])[:, None], [1e-30, 1e-3, 2, 1e6, np.inf])
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) >= 0).all()


@pytest.mark.parametrize("r", [1e3, np.inf])
def test_quantiles_of_huge_means_are_found_at_once(r: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a mean of 1e15 they are normal, and take as few looks as at a mean of 70."""
    mu = 1e15
    sd = np.sqrt(mu + mu * mu / r)
    looks = []

    def counted(probe, guess):
        return first_integer(lambda *of: looks.append(1) or probe(*of), guess)

    monkeypatch.setattr("pydgd.stats.distribution.first_integer", counted)
    z = (quantile([0.3, 0.5, 0.7], mu, r) - mu) / sd
    assert 0 < len(looks) < 30
    np.testing.assert_allclose(z, ndtri([0.3, 0.5, 0.7]), atol=0.02)


@pytest.mark.parametrize("function", [cdf, log_cdf, log_sf])
def test_what_float64_cannot_tell_apart_is_refused(function) -> None:
    """Counts and means of 2**53 and more; the error names the value. The largest allowed are finite."""
    assert np.isfinite(function(LARGEST, LARGEST, 2.0))
    assert np.isfinite(function(LARGEST, 0.0, 2.0))
    with pytest.raises(ValueError, match=r"counts has the value 1e\+16; allowed are .* below 2\*\*53"):
        function(1e16, 5.0)
    with pytest.raises(ValueError, match=r"mu has the value 1e\+300"):
        function(5, 1e300)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**8), st.floats(1e-8, 1e8), st.floats(1e-30, 1e30) | st.just(np.inf))
def test_distribution_functions_are_monotone(k: int, mu: float, r: float) -> None:
    """P(X <= k) rises and P(X > k) falls with k; P(X > k) rises with the mean."""
    assert log_cdf(k, mu, r) <= log_cdf(k + 1, mu, r)
    assert log_sf(k, mu, r) >= log_sf(k + 1, mu, r)
    assert log_sf(k, mu, r) <= log_sf(k, mu * (1 + 1e-6), r)


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 1 - 1e-9), st.floats(1e-8, 1e8), st.floats(1e-30, 1e30) | st.just(np.inf))
def test_quantile_is_the_first_count_that_reaches(p: float, mu: float, r: float) -> None:
    """P(X <= q) >= p, and P(X <= q - 1) < p, but for the rounding of p next to 1."""
    q = float(quantile(p, mu, r))
    log_p = np.log(p) if p > 0 else -np.inf
    if q < LARGEST:
        assert log_cdf(q, mu, r) >= log_p - 1e-11
    if 0 < q < LARGEST:
        assert log_cdf(q - 1, mu, r) < log_p + 1e-11


@pytest.mark.parametrize("p", [1.0, -0.1, np.nan])
def test_probability_out_of_range_is_refused(p: float) -> None:
    """The error names the range."""
    with pytest.raises(ValueError, match="0 <= p < 1"):
        quantile(p, MU, 1.0)
