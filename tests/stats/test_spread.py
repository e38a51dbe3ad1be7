# SPDX-License-Identifier: BSD-3-Clause
"""Spread of one sample's residuals."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from pydgd.stats.spread import BRIGHT, FEWEST_BRIGHT, Spread, UsualSpread, log_count_variance, widened

RNG = np.random.default_rng(0)


def test_sides_are_measured_apart():
    z = RNG.standard_normal(100_000)
    spread = Spread.of(0.3 + np.where(z > 0, 2 * z, z), np.full(100_000, 20.0))
    assert spread is not None
    assert (spread.centre, spread.lower, spread.upper) == pytest.approx((0.3, 1, 2), abs=0.02)


def test_dim_genes_do_not_tell():
    residuals = np.r_[RNG.standard_normal(1_000), np.full(5_000, 9.0)]
    spread = Spread.of(residuals, np.r_[np.full(1_000, 20.0), np.full(5_000, 0.1)])
    assert spread is not None
    assert spread.centre == pytest.approx(0, abs=0.15)


def test_few_genes_tell_nothing_and_change_nothing():
    assert Spread.of(np.zeros(49), np.full(49, 20.0)) is None
    residuals = np.array([-1.0, 2.0])
    np.testing.assert_array_equal(UsualSpread(1.0, 1.0, 1.0).standardise(residuals, None), residuals)


def test_a_noisy_sample_is_brought_to_the_usual_spread():
    usual = UsualSpread(lower=0.9, upper=1.1, least=0.5)
    z = RNG.standard_normal(50_000)
    noisy = np.where(z > 0, 2.2, 1.8) * z + 0.4
    standard = usual.standardise(noisy, Spread.of(noisy, np.full(50_000, 20.0)))
    found = Spread.of(standard, np.full(50_000, 20.0))
    assert found is not None
    assert (found.centre, found.lower, found.upper) == pytest.approx((0, 0.9, 1.1), abs=1e-5)


def test_a_quiet_sample_is_not_blown_up_beyond_the_least_seen():
    usual = UsualSpread(lower=1.0, upper=1.0, least=0.8)
    standard = usual.standardise(np.array([-0.1, 0.1]), Spread(0.0, 0.01, 0.01))
    np.testing.assert_allclose(standard, [-0.125, 0.125])


def test_usual_is_the_median_and_least_the_smallest():
    usual = UsualSpread.of([Spread(0.0, 1.0, 2.0), None, Spread(0.0, 2.0, 4.0), Spread(0.0, 3.0, 6.0)])
    assert (usual.lower, usual.upper, usual.least) == (2, 4, 0.5)


def test_what_cannot_be_divided_by_is_refused():
    with pytest.raises(ValueError, match="no healthy sample"):
        UsualSpread.of([None])
    with pytest.raises(ValueError, match="finite and > 0"):
        UsualSpread(0.0, 1.0, 1.0)


def test_variance_of_a_log_count_is_that_of_a_log_normal():
    """Of the mean and variance of a negative binomial: ln(1 + variance / mean^2)."""
    mu, r = np.array([0.5, 3.0, 40.0, 1e6]), np.array([0.2, 7.0, np.inf, 2.0])
    variance = mu + mu**2 / r
    np.testing.assert_allclose(log_count_variance(mu, r), np.log1p(variance / mu**2), rtol=1e-12)
    assert np.isfinite(log_count_variance(np.zeros(1), np.ones(1))).all()


def test_widened_residuals_have_unit_variance_again():
    """Where the log of a count varies thrice as much, residuals shrink by the root of three."""
    np.testing.assert_allclose(
        widened(np.array([3.0, -6.0]), np.full(2, 0.5), 1.0), np.array([3, -6]) / 3**0.5
    )


def test_genes_just_bright_and_just_enough_tell():
    residuals = np.linspace(-1, 1, FEWEST_BRIGHT)
    assert Spread.of(residuals, np.full(FEWEST_BRIGHT, BRIGHT)) is not None
    assert Spread.of(residuals, np.r_[np.full(FEWEST_BRIGHT - 1, BRIGHT), 4.999]) is None


def test_the_least_of_healthy_samples_is_at_most_one():
    assert UsualSpread.of([Spread(0.0, 1.0, 2.0)]).least == 1
    assert UsualSpread(1.0, 1.0, 1.0).least == 1
    with pytest.raises(ValueError, match="least at most 1"):
        UsualSpread(1.0, 1.0, 1.1)
    with pytest.raises(ValueError, match="finite and > 0"):
        UsualSpread(1.0, np.inf, 1.0)


def test_spreads_do_not_change():
    for spread in (Spread(0.0, 1.0, 1.0), UsualSpread(1.0, 1.0, 1.0)):
        with pytest.raises(FrozenInstanceError):
            spread.lower = 2.0
