# SPDX-License-Identifier: BSD-3-Clause
"""Tails in log space."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from scipy.stats import nbinom, poisson

from pydgd.stats import Tails, log_mass, tails

TOLERANCE = 1e-11


def _check(oracle, k: float, mu: float, r: float) -> None:
    """The tail, its mid-p version and both complements are right to 1e-11 max(1, |ln p|)."""
    two = tails(k, mu, r)
    with mp.workdps(40):
        exact = oracle.log_upper(k, mu, r) if two.is_upper else oracle.log_lower(k, mu, r)
        tail, mass = mp.exp(exact), mp.exp(oracle.log_mass(k, mu, r))
        found = {
            "tail": (two.log_tail, exact),
            "mid": (two.log_mid_tail, mp.log(tail - mass / 2)),
            "other": (two.log_lower if two.is_upper else two.log_upper, mp.log1p(mass - tail)),
            "other mid": (
                two.log_mid_lower if two.is_upper else two.log_mid_upper,
                mp.log1p(mass / 2 - tail),
            ),
        }
        for name, (log_p, reference) in found.items():
            # A complement that is 1 to forty digits is nothing that float64 could miss.
            error = abs(mp.mpf(float(log_p)) - reference)
            assert error <= TOLERANCE * max(1, abs(reference)), (name, k, mu, r, log_p, reference)


def test_no_read_has_the_whole_mass_as_lower_tail() -> None:
    """At k = 0 the lower tail is the mass and the upper tail is 1."""
    two = tails(0, [0.0, 1e-8, 3.0, 1e8], 2.0)
    assert (two.log_lower == two.log_mass).all()
    assert (two.log_upper == 0).all()


def test_scipys_infinite_logarithms_are_finite() -> None:
    """Two values from the literature of scipy's defects, to seven digits."""
    assert float(tails(5, 200 * 0.99 / 0.01, 200.0).log_lower) == pytest.approx(-899.3056, abs=1e-4)
    assert float(tails(100_001, 100.0, 2.0).log_upper) == pytest.approx(-1972.70, abs=1e-2)


@pytest.mark.parametrize("r", [1e-9, 3e-3, 0.3, 4.0, 25.0, 1e4, 1e30, np.inf])
def test_tails_agree_with_mpmath(oracle, r: float) -> None:
    """From far below to far above the mean, for small and large means, to 1e-11 of ln p."""
    for k, mu in itertools.product([1.0, 6.0, 300.0], [1e-8, 0.4, 8.0, 280.0, 1e5]):
        _check(oracle, k, mu, r)


@pytest.mark.parametrize(
    ("k", "mu", "r"),
    [
        (1e8, 1e8, 1e-30),
        (6.0, 8.0, 1e-30),
        (1.0, 1e-8, 1e-30),
        (1e8, 9.99e7, 0.02),
        (1e8, 1.0001e8, 1e9),
        (1e8, 1e8, np.inf),
        (1e8, 1e-8, 1e30),
        (3e6, 1e3, 30.0),
        (1.0, 1e8, 300.0),
        (66289846.0, 36296602.25519802, 0.26822915927537444),
    ],
)
def test_extremes_agree_with_mpmath(oracle, k: float, mu: float, r: float) -> None:
    """A hundred million reads, ln p down to -4e9, and a point at which scipy's betainc is off by 2.6e-9."""
    _check(oracle, k, mu, r)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_random_points_agree_with_mpmath(oracle, seed: int) -> None:
    """A hundred points of the whole range for each seed: near the mean, around it, and anywhere."""
    rng = np.random.default_rng(seed)
    for _ in range(100):
        r = [np.inf, 10 ** rng.uniform(-30, 30), 10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-3, 3)][
            rng.integers(4)
        ]
        mu = 10 ** rng.uniform(-8, 8)
        spread = np.sqrt(mu + mu**2 / max(r, 0.5))
        near = mu + rng.normal() * 10 ** rng.uniform(-1, 1.3) * spread
        k = [10 ** rng.uniform(0, 8), near, mu * 10 ** rng.uniform(-2, 1), rng.integers(1, 10)][
            rng.integers(4)
        ]
        _check(oracle, float(np.floor(np.clip(k, 1, 1e8))), mu, r)


def test_tails_agree_with_scipy_where_scipy_is_right() -> None:
    """A realistic sample, in the middle of the distribution, to 1e-10."""
    rng = np.random.default_rng(0)
    r, mu = rng.lognormal(1, 1, 5000), rng.lognormal(5, 2, 5000)
    k = rng.poisson(rng.gamma(r, mu / r))
    two = tails(k, mu, r)
    np.testing.assert_allclose(np.exp(two.log_lower), nbinom.cdf(k, r, r / (r + mu)), rtol=1e-10)
    np.testing.assert_allclose(np.exp(two.log_upper), nbinom.sf(k - 1, r, r / (r + mu)), rtol=1e-10)
    k = rng.poisson(mu)
    np.testing.assert_allclose(np.exp(tails(k, mu).log_lower), poisson.cdf(k, mu), rtol=1e-9)


def test_huge_r_is_poisson() -> None:
    """At r = 1e30 nothing is left of the overdispersion."""
    k, mu = np.arange(200), 80.0
    for field in ("log_lower", "log_upper", "log_mid_lower", "log_mid_upper"):
        finite, limit = getattr(tails(k, mu, 1e30), field), getattr(tails(k, mu), field)
        np.testing.assert_allclose(finite, limit, rtol=1e-12, atol=1e-300)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**8), st.floats(0, 1e8), st.floats(1e-30, 1e30) | st.just(np.inf))
def test_no_tail_is_zero_or_nan(k: int, mu: float, r: float) -> None:
    """Every logarithm is finite and at most 0, and the two mid-p tails add up to 1."""
    two = tails(k, mu, r)
    for field in ("log_tail", "log_lower", "log_upper", "log_mid_lower", "log_mid_upper"):
        assert -np.inf < getattr(two, field) <= 1e-15, field
    assert np.exp(two.log_mid_lower) + np.exp(two.log_mid_upper) == pytest.approx(1, abs=1e-12)
    assert 0 < two.share <= 1


def test_every_combination_of_the_range_is_finite_and_monotone() -> None:
    """Counts 0 to 1e8 with their neighbours, means 1e-8 to 1e8, r 1e-30 to infinity, and no warning."""
    powers = 10.0 ** np.arange(9)
    counts = np.unique([0, 2, 3, 14, 15, 16, *powers, *powers + 1, *powers - 1, *powers * 3])
    counts = np.minimum(counts, 1e8)[:, None, None]
    r = np.array([*10.0 ** np.arange(-30, 31, 3), 0.0099, 0.5, 2, 14.9, 29.9, 30.1, np.inf])
    two = tails(counts, 10.0 ** np.arange(-8, 9)[:, None], r)
    for name, direction in {"lower": 1, "upper": -1}.items():
        for log_tail in (getattr(two, f"log_{name}"), getattr(two, f"log_mid_{name}")):
            assert np.isfinite(log_tail).all()
            assert (log_tail <= 0).all()
            assert (direction * np.diff(log_tail, axis=0) >= 0).all()
    np.testing.assert_allclose(np.exp(two.log_mid_lower) + np.exp(two.log_mid_upper), 1, rtol=1e-14)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10**8), st.floats(1e-8, 1e8), st.floats(1e-30, 1e30) | st.just(np.inf))
def test_tails_and_mass_fit_together(k: int, mu: float, r: float) -> None:
    """P(X >= k) is f(k) + P(X >= k + 1), and P(X <= k) is f(k) + P(X <= k - 1)."""
    below, here, above = (tails(count, mu, r) for count in (k - 1, k, k + 1))
    mass = float(here.log_mass)
    for whole, rest in ((here.log_upper, above.log_upper), (here.log_lower, below.log_lower)):
        gap = float(whole - np.logaddexp(mass, rest))
        assert abs(gap) <= 1e-11 * max(1, abs(float(whole)))


@pytest.mark.parametrize("r", [0.05, 2.0, 100.0, np.inf])
def test_tails_are_sums_of_masses(r: float) -> None:
    """Each step of the lower tail is the mass of the outcome that it takes in."""
    k = np.arange(1, 400)
    steps = np.diff(np.exp(tails(k, 60.0, r).log_lower))
    np.testing.assert_allclose(steps, np.exp(log_mass(k[1:], 60.0, r)), atol=2e-15)


def test_a_tail_does_not_depend_on_its_neighbours() -> None:
    """Reversed, in slices or in another block, every element is the same to the last bit."""
    rng = np.random.default_rng(1)
    r, mu = 10 ** rng.uniform(-4, 6, 20_000), 10 ** rng.uniform(-3, 6, 20_000)
    k = np.floor(mu * rng.uniform(0, 3, 20_000))
    whole, reverse = tails(k, mu, r), tails(k[::-1], mu[::-1], r[::-1])
    assert (whole.share == reverse.share[::-1]).all()
    assert (whole.share[300:350] == tails(k[300:350], mu[300:350], r[300:350]).share).all()


def test_direction_is_that_of_the_smaller_mid_p_tail() -> None:
    """Also for skewed distributions, whose median lies far below the mean."""
    two = tails([0, 1, 50, 99, 400], 100.0, 0.02)
    assert two.direction.tolist() == [-1, 1, 1, 1, 1]
    assert isinstance(two, Tails)


def test_no_dispersion_falls_between_the_methods() -> None:
    """Around r = 0.01, where one method hands over to the next, the tail is SciPy's."""
    r = np.array([0.0099, 0.01, 0.0101])
    log_upper = tails(np.full(3, 1e5), np.full(3, 1e6), r).log_upper
    expected = [float(nbinom.logsf(1e5 - 1, one, one / (one + 1e6))) for one in r]
    np.testing.assert_allclose(log_upper, expected, rtol=1e-9)


@pytest.mark.parametrize("r", [3.0, np.inf])
def test_the_smaller_mid_tail_is_at_most_one_half(r: float) -> None:
    """It is the smaller of the two, on whichever side the tail at hand is, and the direction is its side."""
    k, mu = np.meshgrid(np.arange(12.0), [0.01, 0.3, 0.7, 1.0, 2.5, 5.0, 9.0])
    two = tails(k, mu, r)
    smaller = np.minimum(two.log_mid_lower, two.log_mid_upper)
    np.testing.assert_allclose(two.log_smaller_mid_tail, smaller, rtol=1e-12, atol=1e-13)
    assert (two.log_smaller_mid_tail <= np.log(0.5)).all()
    assert (two.log_mid_tail > np.log(0.5)).any()
    apart = np.abs(two.log_mid_lower - two.log_mid_upper) > 1e-9
    upper = two.log_mid_upper < two.log_mid_lower
    assert (two.direction == np.where(upper, 1, -1))[apart].all()


def test_tails_do_not_change() -> None:
    """Every other probability is made of them."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        tails(1, 2.0).share = np.ones(1)
