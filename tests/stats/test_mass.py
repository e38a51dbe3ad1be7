# SPDX-License-Identifier: BSD-3-Clause
"""Log mass and deviance."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from scipy.stats import nbinom

from pydgd.stats import deviance, log_mass
from pydgd.stats.mass import stirling_remainder

COUNTS = [0.0, 1.0, 2.0, 7.0, 9.0, 400.0, 1e6, 1e8]
MEANS = [1e-8, 0.3, 7.01, 390.0, 1.001e6, 1.0001e8]
SHAPES = [1e-30, 1e-3, 0.4, 7.9, 8.1, 1e4, 1e15, 1e30, np.inf]


def test_mass_of_no_read_at_mean_zero_is_one() -> None:
    """A mean of exactly 0 makes a count of 0 certain."""
    assert log_mass(0, 0.0, [1e-30, 1.0, np.inf]).tolist() == [0, 0, 0]


def test_reads_at_mean_zero_are_improbable_not_impossible() -> None:
    """The mean counts as 1e-10, so the log mass is finite and falls with the count."""
    log_p = log_mass([1, 2, 10**8], 0.0, r=2.0)
    assert np.isfinite(log_p).all()
    assert (np.diff(log_p) < 0).all()
    assert log_p[0] == pytest.approx(np.log(1e-10))


def test_empty_and_single_arguments_keep_their_shape() -> None:
    """No element, one element and one sample of one gene come back as they went in."""
    assert log_mass(np.empty((0, 3)), 1.0, 2.0).shape == (0, 3)
    assert log_mass(1, 1.0, 2.0).shape == ()
    assert log_mass([[1]], [[1.0]], [2.0]).shape == (1, 1)


@pytest.mark.parametrize("r", SHAPES)
def test_log_mass_agrees_with_mpmath(oracle, r: float) -> None:
    """The error is below 1e-13 max(1, |ln f|) from r = 1e-30 to Poisson, up to 1e8 reads."""
    for k, mu in itertools.product(COUNTS, MEANS):
        exact = oracle.log_mass(k, mu, r)
        assert abs(float(log_mass(k, mu, r) - exact)) <= 1e-13 * max(1, abs(exact)), (k, mu, r)


def test_log_mass_broadcasts_r_over_samples_and_genes() -> None:
    """r per gene, per sample and gene, and one number give the same where they are equal."""
    counts, mu = np.arange(6).reshape(2, 3), np.full((2, 3), 2.0)
    per_gene = log_mass(counts, mu, [0.5, 0.5, 0.5])
    assert (per_gene == log_mass(counts, mu, 0.5)).all()
    assert (per_gene == log_mass(counts, mu, np.full((2, 3), 0.5))).all()


@pytest.mark.parametrize("r", [0.3, 5.0, 1e6, np.inf])
def test_masses_sum_to_one(r: float) -> None:
    """All outcomes together are certain."""
    assert np.exp(log_mass(np.arange(20_000), 30.0, r)).sum() == pytest.approx(1, abs=1e-12)


def test_log_mass_agrees_with_scipy() -> None:
    """Where scipy is accurate the two are equal."""
    k, mu, r = np.arange(200), 37.0, 3.0
    np.testing.assert_allclose(log_mass(k, mu, r), nbinom.logpmf(k, r, r / (r + mu)), rtol=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**8), st.floats(1e-8, 1e8), st.floats(1e-30, 1e30))
def test_log_mass_is_finite_and_at_most_zero(k: int, mu: float, r: float) -> None:
    """No argument in range gives NaN, -inf or a probability above 1."""
    assert -np.inf < log_mass(k, mu, r) <= 0


@pytest.mark.parametrize("r", [1e-3, 2.0, 1e8, np.inf])
def test_deviance_is_twice_the_gap_to_the_best_mean(oracle, r: float) -> None:
    """It is 2(ln f(k; k) - ln f(k; mu)), and 0 at mu = k."""
    for k, mu in itertools.product([1.0, 30.0, 1e6], [0.01, 29.0, 30.0, 3e6]):
        exact = 2 * (oracle.log_mass(k, k, r) - oracle.log_mass(k, mu, r))
        assert float(deviance(k, mu, r)) == pytest.approx(float(exact), rel=1e-12, abs=1e-12)
    assert deviance(30, 30.0, r) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1.0, 1.0), "counts has the value -1.0"),
        ((0.5, 1.0, 1.0), "counts has the value 0.5; allowed are whole numbers"),
        ((np.inf, 1.0, 1.0), "counts has the value inf"),
        ((1, np.nan, 1.0), "mu has the value nan"),
        ((1, 1.0, 0.0), "r has the value 0.0; allowed is any r > 0"),
        ((1, 1.0, np.nan), "r has the value nan"),
    ],
)
def test_values_out_of_range_are_refused(arguments: tuple[float, float, float], message: str) -> None:
    """The error names the argument, the value and the range."""
    with pytest.raises(ValueError, match=message):
        log_mass(*map(float, arguments))


def test_stirling_remainders_agree_with_mpmath() -> None:
    """From 8 on, where the series takes over, to the last digit; 0 at infinity."""
    x = np.array([0.01, 0.7, 3.0, 7.99, 8.0, 8.5, 10.0, 30.0, 1e4, 1e15])
    with mp.workdps(40):
        exact = [mp.loggamma(a) - (a - 0.5) * mp.log(a) + a - mp.log(2 * mp.pi) / 2 for a in map(mp.mpf, x)]
        error = np.array([float(abs(b - c)) for b, c in zip(stirling_remainder(x), exact, strict=True)])
    assert error[x >= 8].max() < 2e-16
    assert error.max() < 1e-14
    assert stirling_remainder(np.array([np.inf])) == [0.0]
