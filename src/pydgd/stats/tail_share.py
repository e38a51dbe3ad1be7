# SPDX-License-Identifier: BSD-3-Clause
"""How much of its smaller tail a count is by itself: four ways to tell, each where it is exact and quick.

A tail is the mass of its first outcome over that share, so that both are to be known to 1e-13 and no more, at
p = 0.3 as at p = e^-100000.

Source:
    DLMF (2023), 8.17.22 (its even part) and 8.9 for the continued fraction; `power_series` and
    `uniform_expansion` for the others.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pydgd.errors import ConvergenceError
from pydgd.stats.arguments import SMALLEST_MEAN, FloatArray
from pydgd.stats.continued_fraction import continued_fraction
from pydgd.stats.mass import log_mass_and_half_deviance, log_mass_at_zero
from pydgd.stats.power_series import log_upper_tail_of_tiny_r, sum_of_lower_tail
from pydgd.stats.uniform_expansion import LARGEST_DISTANCE, SMALLEST_CURVATURE, share_by_expansion


class Points(NamedTuple):
    """1-D arrays of one length: what the methods know of each count."""

    k: FloatArray
    mu: FloatArray
    inverse_r: FloatArray
    is_upper: NDArray[np.bool_]
    log_mass: FloatArray
    half_deviance: FloatArray

    def at(self, places: NDArray[np.intp]) -> "Points":
        """Some of the points."""
        return Points._make(column[places] for column in self)


def block_tails(
    k: FloatArray, mu: FloatArray, inverse_r: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Log mass, share and side of 1-D arrays, each element by the method that is exact and quick for it."""
    log_mass, half_deviance = log_mass_and_half_deviance(k, mu, inverse_r)
    mu = np.maximum(mu, SMALLEST_MEAN)
    mostly_zero = log_mass_at_zero(mu, inverse_r) > -np.log(2)
    is_upper = (k > mu) | ((k > 0) & mostly_zero)
    points = Points(k, mu, inverse_r, is_upper, log_mass, half_deviance)
    share = np.ones_like(k)
    for chosen, method in zip(_choose(points), _METHODS, strict=True):
        places = np.flatnonzero(chosen)
        if places.size:
            share[places] = method(points.at(places))
    return log_mass, np.minimum(share, 1), is_upper


def _choose(points: Points) -> tuple[NDArray[np.bool_], ...]:
    """Which elements each of `_METHODS` takes; a count of zero needs none."""
    k, mu, inverse_r, is_upper, _, half_deviance = points
    curvature = k / (1 + k * inverse_r)
    uniform = (curvature >= SMALLEST_CURVATURE) & (2 * half_deviance <= LARGEST_DISTANCE**2 * curvature)
    odds = mu * inverse_r
    # k r/(mu + r) is the count in units of the gamma distribution that the rates follow. For tiny r the
    # fraction needs 550 terms where it is 0.1 and 40 at 2; the series needs fewer than 28 up to there.
    gamma_scaled = k / (1 + odds)
    tiny_r = is_upper & (inverse_r > 100) & (gamma_scaled < 2) & (odds > 1)
    # Up to r = 30 the other series costs a third of the fraction. Two standard deviations up, the tail is
    # still above 1e-3, and its complement good to 1e-12.
    r = 1 / np.maximum(inverse_r, 1e-3)
    middle = (r < 30) & (odds > 2) & (k > 0) & ~tiny_r & ~uniform
    middle &= ~is_upper | ((gamma_scaled < r + 2 * np.sqrt(r) + 1) & (inverse_r <= 100))
    return uniform, tiny_r, middle, (k > 0) & ~(uniform | tiny_r | middle)


def _share_by_expansion(points: Points) -> FloatArray:
    return share_by_expansion(points.k, points.inverse_r, points.is_upper, points.half_deviance)


def _share_of_tiny_r(points: Points) -> FloatArray:
    return np.exp(points.log_mass - log_upper_tail_of_tiny_r(points.k, points.mu, points.inverse_r))


def _share_by_series(points: Points) -> FloatArray:
    """Share of P(X <= k) from its own series, of P(X >= k) from 1 less the series of P(X < k)."""
    k, mu, inverse_r, is_upper, log_mass, _ = points
    odds = mu * inverse_r
    total = sum_of_lower_tail(np.where(is_upper, k, k + 1), 1 / inverse_r, 1 / (1 + odds))
    total *= np.where(is_upper, k, (k + 1 / inverse_r) * odds / (1 + odds)) * inverse_r
    mass = np.exp(log_mass)
    return np.where(is_upper, mass / (1 - mass * total), 1 / total)


def _share_by_fraction(points: Points) -> FloatArray:
    """f(k) / tail for k > 0 by a continued fraction, in twelve terms mostly and 72 at most.

    With y = r/(mu + r) the tails are incomplete beta functions: P(X >= k) = I_{1-y}(k, r) and P(X <= k) =
    I_y(r, k + 1). What is r in them is scaled by 1/r, so that Poisson, 1/r = 0, needs no case of its own.
    """
    k, mu, q, is_upper, _, _ = points
    y = 1 / (1 + mu * q)
    a, step = np.where(is_upper, k, 1.0), np.where(is_upper, 1.0, q)
    b, b_step = np.where(is_upper, 1.0, k + 1), np.where(is_upper, q, 1.0)
    a_plus_b = 1 + np.where(is_upper, k - 1, k) * q
    w = np.where(is_upper, mu * y, y)
    excess = np.where(is_upper, k - mu, mu - k - 1) * y + 1
    growth = 2 - np.where(is_upper, q, 1.0) * w
    constants = (a, step, b, b_step, a_plus_b, q, w * step, w * w, excess, growth)
    fraction = continued_fraction(_terms, a / (a + step) * excess, constants)
    if np.isnan(fraction).any():
        raise _unsettled(points.at(np.flatnonzero(np.isnan(fraction))))
    return fraction / np.where(is_upper, k, mu * y * (1 + k * q))


def _terms(
    n: int,
    a: FloatArray,
    step: FloatArray,
    b: FloatArray,
    b_step: FloatArray,
    a_plus_b: FloatArray,
    q: FloatArray,
    w_step: FloatArray,
    w_square: FloatArray,
    excess: FloatArray,
    growth: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    shift = n * step
    here = a + shift
    before = here + (shift - step)
    left = n * (b - n * b_step) / before
    numerator = left * w_square * (here - step) * ((a_plus_b + n * q) / before)
    denominator = left * w_step + here / (here + shift + step) * (excess + n * growth) + n
    return numerator, denominator


def _unsettled(points: Points) -> ConvergenceError:
    with np.errstate(divide="ignore"):
        r = 1 / points.inverse_r[0]
    return ConvergenceError(
        f"the tail of {points.k.size} counts has not settled, the first {points.k[0]} reads at mean "
        f"{points.mu[0]} and r = {r}. A p-value from it would be wrong; please report these numbers."
    )


_METHODS = (_share_by_expansion, _share_of_tiny_r, _share_by_series, _share_by_fraction)
