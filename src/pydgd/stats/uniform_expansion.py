# SPDX-License-Identifier: BSD-3-Clause
r"""Tails by an expansion whose cost does not grow with counts, means or r, from the mean to far from it.

With y = r/(mu + r) the tail P(X >= k) is an incomplete beta function: an integral over log odds u of
exp(k u - (k + r) ln(1 + e^u)). The exponent is largest at u = ln(k/r), where its curvature is
v = k r/(k + r). Let v t²/2 be how far it has fallen elsewhere, t having the sign of u - ln(k/r). Then

    P(X >= k) = f(k) k J,    J = integral from x to infinity of e^{v (x² - t²)/2} φ(-t) dt,

where v x²/2 is half the deviance of k, and φ = du/dt depends, beside t, only on the skewness
τ = (r - k)/(k + r), which is 1 for Poisson:

    φ - t φ' = φ³ + τ t φ² - (1 - τ²)/4 · t² φ,    φ(0) = 1.

So the Taylor coefficients of φ are polynomials in τ, and the integral of each term follows from the one two
before it, the first being a scaled complementary error function. P(X < k) has φ(t) in the place of φ(-t),
which is the same as changing the sign of τ.

Source:
    Temme (1996), "Special Functions", section 11.3.3, for uniform expansions of the incomplete gamma and beta
    functions; in log odds, as here, the one is the limit of the other.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx

from pydgd.stats.arguments import FloatArray

SMALLEST_CURVATURE = 15.0
"""From this v on the expansion is good to 1e-13: the terms left out are moments of a spread of 1/sqrt(v)."""

LARGEST_DISTANCE = 0.6
"""Up to this x it is; the nearest singularity of φ is at 2 sqrt(π)."""

_TERMS = 20
_NEGLIGIBLE = 1e-17


def share_by_expansion(
    k: FloatArray, inverse_r: FloatArray, is_upper: NDArray[np.bool_], half_deviance: FloatArray
) -> FloatArray:
    """f(k) / tail for 1-D arrays, k >= 1; the tail is P(X >= k) where `is_upper`, k > mu, and else P(X <= k).

    Example:
        >>> k, poisson, half_deviance = np.full(2, 100.0), np.zeros(2), np.zeros(2)  # 100 reads at mean 100
        >>> share_by_expansion(k, poisson, np.array([True, False]), half_deviance).round(6)
        array([0.077657, 0.0757  ])
    """
    ratio = k * inverse_r
    skewness = (1 - ratio) / (1 + ratio)
    integral = _integral(k / (1 + ratio), np.where(is_upper, -skewness, skewness), half_deviance)
    return 1 / (k * integral + ~is_upper)


def _integral(v: FloatArray, skewness: FloatArray, half_deviance: FloatArray) -> FloatArray:
    """J, its even and its odd terms by themselves: those have even powers of the skewness, these odd ones."""
    inverse_v, square = 1 / v, skewness * skewness
    x = np.sqrt(2 * half_deviance * inverse_v)
    power = x * inverse_v
    before, moment = np.sqrt(0.5 * np.pi * inverse_v) * erfcx(np.sqrt(half_deviance)), inverse_v
    sums = [before.copy(), np.zeros_like(v)]
    for n, coefficients in enumerate(_coefficients()):
        term = np.full_like(v, coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            term *= square
            term += coefficient
        term *= moment
        sums[(n + 1) % 2] += term
        before, moment = moment, power + (n + 1) * inverse_v * before
        power = power * x
    return np.asarray(sums[0] + skewness * sums[1])


@cache
def _coefficients() -> tuple[tuple[float, ...], ...]:
    """Of t, t², …: coefficients of 1, τ², … or of τ, τ³, …, whichever there are, as far as they count."""
    width = (0.25, 0.0, -0.25)  # (1 - τ²)/4
    phi, square = [np.ones(1)], [np.ones(1)]
    for n in range(1, _TERMS + 1):
        inner = range(1, n)
        half = _sum(n, *(np.convolve(phi[i], phi[n - i]) for i in inner))
        cube = _sum(n, half, *(np.convolve(phi[i], square[n - i]) for i in inner))
        width_term = np.convolve(width, phi[n - 2]) if n > 1 else np.zeros(1)
        phi.append(_sum(n, cube, np.convolve((0.0, 1.0), square[n - 1]), -width_term) / (-n - 2))
        square.append(_sum(n, half, 2 * phi[n]))
    return tuple(_that_count(n, one) for n, one in enumerate(phi) if n)


def _sum(degree: int, *polynomials: FloatArray) -> FloatArray:
    total = np.zeros(degree + 1)
    for one in polynomials:
        total[: one.size] += one
    return total


def _that_count(n: int, polynomial: FloatArray) -> tuple[float, ...]:
    """Every other coefficient, the rest being 0, without the last ones that are lost in rounding."""
    moment = float(np.prod(np.arange(n - 1, 0, -2.0))) / SMALLEST_CURVATURE ** (n / 2)
    kept = polynomial[n % 2 :: 2]
    while abs(kept[-1]) * max(LARGEST_DISTANCE**n, moment) < _NEGLIGIBLE:
        kept = kept[:-1]
    return tuple(kept.tolist())
