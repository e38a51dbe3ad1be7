# SPDX-License-Identifier: BSD-3-Clause
r"""Power series of negative binomial tails for small r, where a continued fraction costs more or crawls.

With y = r/(mu + r) the lower tail P(X < b) is the incomplete beta function I_y(r, b), and

    I_y(r, b) = y^r (1-y)^b / (r B(r, b)) · sum_n (r+b)_n / (r+1)_n y^n

has positive terms only and settles in thirty of them at r = 3. Its complement is good to 1e-12 while it is
above 1e-3. Below r = 0.01 the complement itself is of the order of r, and the other expansion is used,

    P(X >= k) = -expm1(A) - r e^A sum_{n>=1} (1-k)_n y^n / (n! (r+n)),    A = r ln y + ln Γ(k+r) - ln Γ(k) -
    ln Γ(1+r),

in which the 1 and the first term, nearly equal, are taken together in A, itself of the order of r.

Source:
    DLMF (2023), 8.17.7 and 8.17.8; Gautschi (1979), ACM TOMS 5:466, for taking the first two terms together.
"""

import numpy as np
from scipy.special import digamma, zeta

from pydgd.stats.arguments import FloatArray
from pydgd.stats.mass import log_mass_at_zero

_BETWEEN_CHECKS = 10
_NEGLIGIBLE = 1e-16

# (k y)^n / n! falls below 1e-17 at n = 28 while k y <= 2.
_ALTERNATING_TERMS = 28


def sum_of_lower_tail(b: FloatArray, r: FloatArray, y: FloatArray) -> FloatArray:
    """The sum over n of ``(r+b)_n / (r+1)_n y^n`` for 1-D arrays, 0 < y < 1.

    Example:
        >>> sum_of_lower_tail(np.ones(1), np.ones(1), np.array([0.25]))  # 1 + y + y² + …
        array([1.33333333])
    """
    result = np.empty_like(b)
    place = np.arange(b.size)
    top, bottom, y = (r + b) * y, r + 1, y.copy()
    term, total = np.ones_like(b), np.ones_like(b)
    while place.size:
        for _ in range(_BETWEEN_CHECKS):
            term *= top / bottom
            total += term
            top += y
            bottom += 1
        result[place] = total
        open_ = np.flatnonzero(term > _NEGLIGIBLE * total)
        place = place[open_]
        y, top, bottom, term, total = (array[open_] for array in (y, top, bottom, term, total))
    return result


def log_upper_tail_of_tiny_r(k: FloatArray, mu: FloatArray, inverse_r: FloatArray) -> FloatArray:
    """Ln P(X >= k) for 1-D arrays with k >= 1, r < 0.01 and k r/(mu + r) < 2.

    Example:
        >>> log_upper_tail_of_tiny_r(np.ones(1), np.array([1e-3]), np.array([1e3]))  # 1 - 2^-r
        array([-7.27461475])
    """
    r = 1 / inverse_r
    y = 1 / (1 + mu * inverse_r)
    exponent = log_mass_at_zero(mu, inverse_r) + _log_gamma_ratio(k, r)
    term, total = np.ones_like(k), np.zeros_like(k)
    for n in range(1, _ALTERNATING_TERMS):
        term = term * ((n - k) * y / n)
        total += term / (r + n)
    return np.log(r) + np.log(-np.expm1(exponent) * inverse_r - np.exp(exponent) * total)


def _log_gamma_ratio(k: FloatArray, r: FloatArray) -> FloatArray:
    """``ln Γ(k + r) - ln Γ(k) - ln Γ(1 + r)`` by Taylor's series in r: 1 + r would lose the digits of r."""
    result = r * (digamma(k) + np.euler_gamma)
    for order in range(2, 8):
        result += (-r) ** order * ((zeta(order, k) - zeta(order, 1)) / order)
    return result
