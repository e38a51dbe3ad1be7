# SPDX-License-Identifier: BSD-3-Clause
r"""Log probability mass and deviance of negative binomial and Poisson counts, exact in float64 everywhere.

Three log-gammas lose what they subtract: at a million reads and r = 1e8 their difference is off by 2e-2 nats.
The saddle-point form used here adds only terms of one sign, so its relative error stays below 1e-13 whatever
the counts and the dispersion; the Poisson limit r = inf and the limit r -> 0 come out by themselves.

Source:
    Loader (2000), "Fast and accurate computation of binomial probabilities", for the saddle-point form.
"""

import numpy as np
from scipy.special import gammaln

from pydgd.stats.arguments import SMALLEST_MEAN, FloatArray, Numbers, broadcast_arguments, in_blocks

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)

# Coefficients of 1/x, 1/x^3, 1/x^5, ... in the Stirling series; at x = 8 the first one left out is below
# 1e-15.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)

# 1/3, 1/5, 1/7, ...: the series of atanh; eleven terms leave 1e-18 at |t| = 0.25.
_ATANH = tuple(1 / odd for odd in range(3, 25, 2))


def log_mass(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    r"""Log probability of exactly `counts` reads, natural logarithm.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0. For counts above 0 it is taken as at least 1e-10.
        r: Inverse dispersion, above 0 (variance mu + mu²/r); None or inf is Poisson.

    Returns:
        ln f(counts), at most 0, never -inf; the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        Loader (2000), as in the module's docstring.

    Example:
        >>> log_mass(2, 1.0)  # e^-1 / 2
        array(-1.69314718)
    """
    arguments = broadcast_arguments(counts, mu, r)
    return np.asarray(in_blocks(lambda *block: (block_log_mass(*block),), arguments, (float,))[0])


def deviance(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    r"""Unit deviance: twice the log mass at mean `counts` less the log mass at mean `mu`, at the same r.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0. For counts above 0 it is taken as at least 1e-10.
        r: Inverse dispersion, above 0; None or inf is Poisson.

    Returns:
        The deviance in nats, at least 0; the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        McCullagh & Nelder (1989), "Generalized Linear Models", chapter 2.

    Example:
        >>> deviance([0, 5, 9], 5.0, r=2.0).round(3)
        array([5.011, 0.   , 0.636])
    """
    arguments = broadcast_arguments(counts, mu, r)
    return np.asarray(in_blocks(lambda *block: (2 * _half_deviance(*block),), arguments, (float,))[0])


def block_log_mass(k: FloatArray, mu: FloatArray, inverse_r: FloatArray) -> FloatArray:
    """`log_mass` of checked 1-D arrays of one length."""
    return log_mass_and_half_deviance(k, mu, inverse_r)[0]


def log_mass_and_half_deviance(
    k: FloatArray, mu: FloatArray, inverse_r: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """`log_mass` and half of `deviance` of checked 1-D arrays of one length; the one is made of the other."""
    # At k = 0 the prefactor is not defined; one is put in its place and the result overwritten.
    positive = np.maximum(k, 1)
    with np.errstate(divide="ignore"):
        r = 1 / inverse_r
    remainder = stirling_remainder(positive + r) - stirling_remainder(r) - stirling_remainder(positive)
    prefactor = _HALF_LOG_2PI + 0.5 * np.log(positive * (1 + positive * inverse_r))
    half_deviance = _half_deviance(k, mu, inverse_r)
    result = np.where(k == 0, -half_deviance, remainder - prefactor - half_deviance)
    return np.minimum(result, 0), half_deviance


def log_mass_at_zero(mu: FloatArray, inverse_r: FloatArray) -> FloatArray:
    """Log probability of no read: ``-r ln(1 + mu/r)``, which is ``-mu`` for Poisson."""
    excess = mu * inverse_r
    # Below 1e-18 log1p(x)/x is 1, and at 0 it is 0/0.
    return -mu * np.where(excess < 1e-18, 1, np.log1p(excess) / np.maximum(excess, 1e-18))


def _half_deviance(k: FloatArray, mu: FloatArray, inverse_r: FloatArray) -> FloatArray:
    """``k ln(k/mu) - (k + r) ln((k + r)/(mu + r))`` as a sum of two terms that are not negative."""
    positive = np.maximum(k, 1)
    mean = np.maximum(mu, SMALLEST_MEAN)
    k_ratio, mean_ratio = 1 + positive * inverse_r, 1 + mean * inverse_r  # (k + r)/r and (mu + r)/r
    difference = positive - mean
    of_counts = _curvature(difference / (mean * k_ratio), positive * mean_ratio / (mean * k_ratio))
    of_failures = _curvature(-difference * inverse_r / k_ratio, mean_ratio / k_ratio)
    half = difference * (difference / (k_ratio * mean_ratio)) * (of_counts / mean + inverse_r * of_failures)
    return np.where(k == 0, -log_mass_at_zero(mu, inverse_r), half)


def _curvature(t: FloatArray, one_plus_t: FloatArray) -> FloatArray:
    """``((1 + t) ln(1 + t) - t) / t²``, 1/2 at t = 0; `one_plus_t` is given as t may be rounded to -1."""
    near = np.abs(t) < 0.25
    away = np.where(near, 1.0, t)
    result = np.asarray((one_plus_t * np.log(one_plus_t) - away) / away / away)
    place = np.flatnonzero(near)
    w = t[place] / (2 + t[place])
    result[place] = 0.5 * (1 - w) * (1 + (1 + w) * w * _polynomial(_ATANH, w * w))
    return result


def stirling_remainder(x: FloatArray) -> FloatArray:
    """``ln Γ(x) - (x - 1/2) ln x + x - ln(2π)/2`` of 1-D x > 0; 0 at inf."""
    inverse = 1 / np.maximum(x, 8)
    result = _polynomial(_STIRLING, inverse * inverse) * inverse
    place = np.flatnonzero(x < 8)
    small = x[place]
    result[place] = gammaln(small) - (small - 0.5) * np.log(small) + small - _HALF_LOG_2PI
    return result


def _polynomial(coefficients: tuple[float, ...], x: FloatArray) -> FloatArray:
    """``c0 + c1 x + c2 x² + …`` by Horner's rule, in one array."""
    result = coefficients[-1] * x
    for coefficient in coefficients[-2:0:-1]:
        result += coefficient
        result *= x
    result += coefficients[0]
    return result
