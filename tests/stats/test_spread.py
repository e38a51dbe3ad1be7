# SPDX-License-Identifier: BSD-3-Clause
"""Spread of one sample's residuals."""

import numpy as np
import pytest

from pydgd.stats.spread import Spread, UsualSpread

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
