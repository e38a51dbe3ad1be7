# SPDX-License-Identifier: BSD-3-Clause
"""Power series of the tails, against the continued fraction that they stand in for."""

import numpy as np
import pytest
from mpmath import mp

from pydgd.stats import log_mass
from pydgd.stats.power_series import log_upper_tail_of_tiny_r, sum_of_lower_tail
from pydgd.stats.tail_share import Points, _share_by_fraction, _share_by_series


def test_sum_is_the_hypergeometric_function() -> None:
    """The sum is 2F1(1, r + b; r + 1; y)."""
    b, r, y = np.array([1.0, 3, 40, 1000]), np.array([0.5, 3, 10, 30]), np.array([0.3, 0.2, 0.1, 0.01])
    exact = [float(mp.hyp2f1(1, *map(float, row))) for row in zip(r + b, r + 1, y, strict=True)]
    assert sum_of_lower_tail(b, r, y) == pytest.approx(exact, rel=1e-14)


@pytest.mark.parametrize("is_upper", [True, False])
def test_series_and_fraction_agree_where_both_converge(is_upper: bool) -> None:
    """Two methods that have nothing in common give the same share to 1e-11."""
    rng = np.random.default_rng(0)
    r, mu = rng.uniform(0.3, 30, 500), 10 ** rng.uniform(2, 5, 500)
    k = np.floor(mu * np.where(is_upper, rng.uniform(1, 1.3, 500), rng.uniform(0.1, 1, 500))) + 1
    points = Points(k, mu, 1 / r, np.full(500, is_upper), log_mass(k, mu, r), np.empty(500))
    np.testing.assert_allclose(_share_by_series(points), _share_by_fraction(points), rtol=1e-11)


def test_tail_of_tiny_r_agrees_with_the_fraction_at_two() -> None:
    """Where the two methods hand over, at k r/(mu + r) = 2, they agree to 1e-12."""
    r, k = 10.0 ** np.array([-14, -10, -4, -2.1]), 1e5
    mu = r * (k / 1.99 - 1)
    points = Points(np.full(4, k), mu, 1 / r, np.ones(4, dtype=bool), np.empty(4), np.empty(4))
    log_tail = log_mass(k, mu, r) - np.log(_share_by_fraction(points))
    np.testing.assert_allclose(log_upper_tail_of_tiny_r(np.full(4, k), mu, 1 / r), log_tail, rtol=1e-12)
