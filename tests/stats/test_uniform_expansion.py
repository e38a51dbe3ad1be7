# SPDX-License-Identifier: BSD-3-Clause
"""The uniform expansion of a tail."""

import numpy as np
import pytest
from mpmath import mp
from scipy.special import gammainc, gammaincc

from pydgd.stats import deviance, log_mass, tails
from pydgd.stats.uniform_expansion import _coefficients, share_by_expansion


@pytest.mark.parametrize("p", [1e-40, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("odds", [0.7, 0.95, 1.02, 1.4])
def test_coefficients_are_those_of_the_exact_map(p: float, odds: float) -> None:
    """Not from the recurrence: t from the fall of the exponent, φ = t over its slope, for p = k/(k + r)."""
    with mp.workdps(150):
        share, excess = min(mp.mpf(p), 1 - mp.mpf(10) ** -40), mp.mpf(odds) - 1
        fall = (mp.log1p(share * excess) - share * mp.log(odds)) / (share * (1 - share))
        t = mp.sign(excess) * mp.sqrt(2 * fall)
        exact = t * (1 + share * excess) / excess
    # The coefficients are written for P(X < k); t has the other sign for P(X >= k).
    skewness, total = 1 - 2 * p, 1.0
    for n, coefficients in enumerate(_coefficients(), start=1):
        powers = skewness ** (n % 2 + 2 * np.arange(len(coefficients)))
        total += float(t) ** n * float(np.dot(coefficients, powers))
    assert total == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize("k", [20.0, 300.0, 1e5, 1e9])
def test_poisson_tails_are_incomplete_gamma_functions(k: float) -> None:
    """P(X >= k) and P(X <= k) of SciPy, from the mean to three standard deviations away, to 1e-12."""
    z = np.linspace(0, 0.1 if k == 20 else 3, 9)
    for is_upper in (True, False):
        mu = k + np.where(is_upper, -z, z) * np.sqrt(k)
        columns = np.full(9, k), np.zeros(9), np.full(9, is_upper), deviance(k, mu) / 2
        tail = gammainc(k, mu) if is_upper else gammaincc(k + 1, mu)
        np.testing.assert_allclose(np.exp(log_mass(k, mu)) / share_by_expansion(*columns), tail, rtol=1e-12)


@pytest.mark.parametrize("is_upper", [True, False])
def test_counts_and_failures_may_change_places(is_upper: bool) -> None:
    """P(X >= k) for k reads before r failures is P(Y < r) for r failures, a negative binomial of k."""
    k, r, mu = 400.0, 90.0, 380.0 if is_upper else 420.0
    swapped = tails(r - 1, r * k / mu, k)
    assert float(tails(k, mu, r).log_upper) == pytest.approx(float(swapped.log_lower), rel=1e-13)


def test_an_element_does_not_depend_on_its_neighbours() -> None:
    """Alone or in company, to the last bit."""
    rng = np.random.default_rng(0)
    k, inverse_r = np.floor(10 ** rng.uniform(2, 8, 500)), 10 ** rng.uniform(-9, -2, 500)
    columns = k, inverse_r, rng.random(500) < 0.5, rng.uniform(0, 5, 500)
    alone = [share_by_expansion(*(column[i : i + 1] for column in columns))[0] for i in range(500)]
    assert share_by_expansion(*columns).tolist() == alone
