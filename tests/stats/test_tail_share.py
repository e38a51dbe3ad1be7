# SPDX-License-Identifier: BSD-3-Clause
"""Which method takes which tail, and that no tail changes where one hands over to the next."""

import numpy as np
import pytest
from mpmath import mp
from scipy.optimize import brentq

from pydgd.stats import deviance, log_mass, tails
from pydgd.stats.tail_share import Points, _choose

EDGE = 1e-9


def _mean_at_distance(k: float, r: float, x: float) -> float:
    """The mean from which k is x away, in the expansion's terms; below k for x > 0."""
    curvature = k * r / (k + r)
    low, high = (1e-3 * k, k) if x > 0 else (k, 1e3 * k)
    return brentq(lambda mu: deviance(k, mu, r) - x * x * curvature, low, high, xtol=1e-12 * k)


def _seams() -> dict[str, tuple[float, float, float, str]]:
    """Count, mean and r at each seam, and which of mean and r is varied across it."""
    return {
        "v = 15, Poisson-like, up": (16.0, 12.0, 15 * 16.0, "r"),
        "v = 15, Poisson-like, down": (16.0, 20.0, 15 * 16.0, "r"),
        "v = 15, skewed, up": (1e5, 8e4, 15e5 / (1e5 - 15), "r"),
        "v = 15, skewed, down": (1e5, 1.3e5, 15e5 / (1e5 - 15), "r"),
        "x = 0.6, v = 5000, up": (1e4, _mean_at_distance(1e4, 1e4, 0.6), 1e4, "mu"),
        "x = 0.6, v = 5000, down": (1e4, _mean_at_distance(1e4, 1e4, -0.6), 1e4, "mu"),
        "x = 0.6, v = 20, up": (40.0, _mean_at_distance(40.0, 40.0, 0.6), 40.0, "mu"),
        "x = 0.6, v = 20, down": (40.0, _mean_at_distance(40.0, 40.0, -0.6), 40.0, "mu"),
        "r = 30": (20.0, 100.0, 30.0, "r"),
        "mean over r = 2, up": (14.0, 10.0, 5.0, "mu"),
        "mean over r = 2, down": (7.0, 10.0, 5.0, "mu"),
        "two standard deviations up": (9009.0, 4 * (9009 / 9 - 1), 4.0, "mu"),
        "r = 0.01": (1e4, 150.0, 0.01, "r"),
        "tiny r, k r/(mu + r) = 2": (1e5, 1e-3 * (1e5 / 2 - 1), 1e-3, "mu"),
        "tiny r, mean over r = 1": (1.0, 1e-3, 1e-3, "mu"),
        "k = mean": (12.0, 12.0, 6.0, "mu"),
        "k = mean, expansion": (50.0, 50.0, 60.0, "mu"),
        "P(0) = 1/2": (5.0, 0.1 * (2**10 - 1), 0.1, "mu"),
    }


def _across(k: float, mu: float, r: float, varied: str) -> list[tuple[float, float, float]]:
    sides = (1 - EDGE, 1 + EDGE)
    return [(k, mu * side, r) if varied == "mu" else (k, mu, r * side) for side in sides]


def _method(k: float, mu: float, r: float) -> tuple[list[bool], bool]:
    is_upper = tails(k, mu, r).is_upper
    columns = (k, mu, 1 / r, is_upper, log_mass(k, mu, r), deviance(k, mu, r) / 2)
    return [bool(chosen[0]) for chosen in _choose(Points(*map(np.atleast_1d, columns)))], bool(is_upper)


@pytest.mark.parametrize("seam", _seams())
def test_tails_are_right_on_both_sides_of_a_seam(oracle, seam: str) -> None:
    """One method here, another there, both right to 1e-11 max(1, |ln p|)."""
    here, there = _across(*_seams()[seam])
    assert _method(*here) != _method(*there)
    for point in (here, there):
        two = tails(*point)
        lower, upper, _ = oracle.tails(*point)
        for found, exact in ((two.log_lower, mp.log(lower)), (two.log_upper, mp.log(upper))):
            assert abs(float(found) - exact) <= 1e-11 * max(1, abs(exact)), point


@pytest.mark.parametrize("seam", _seams())
def test_each_count_has_one_method(seam: str) -> None:
    """Exactly one, whatever the side."""
    for point in _across(*_seams()[seam]):
        assert sum(_method(*point)[0]) == 1
