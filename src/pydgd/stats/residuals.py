# SPDX-License-Identifier: BSD-3-Clause
"""Residuals of counts, from their tails and classical: all finite, and above 0 for too many reads."""

import numpy as np
from scipy.special import ndtri_exp

from pydgd.stats.arguments import SMALLEST_MEAN, FloatArray, Numbers, broadcast_arguments
from pydgd.stats.mass import deviance
from pydgd.stats.tails import Tails, tails


def mid_p_residuals(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    r"""Normal quantile of the mid-p lower tail, Φ⁻¹(P(X <= k) - f(k)/2): a signed z-score without randomness.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0.
        r: Inverse dispersion, above 0 (variance mu + mu²/r); None or inf is Poisson.

    Returns:
        Residuals, finite; the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        Lancaster (1961), JASA 56:223, for mid-p.

    Example:
        >>> mid_p_residuals([0, 20, 60], 20.0, r=5.0).round(2)
        array([-3.6 ,  0.15,  2.89])
    """
    return normal_quantile(tails(counts, mu, r))


def randomised_quantile_residuals(
    counts: Numbers, mu: Numbers, r: Numbers | None = None, *, uniforms: Numbers
) -> FloatArray:
    r"""Normal quantile of a uniform draw between P(X < k) and P(X <= k): normal if the model is true.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0.
        r: Inverse dispersion, above 0; None or inf is Poisson.
        uniforms: Draws strictly between 0 and 1: from `named_uniforms`, so that a residual does not depend on
            its neighbours, or from a generator of your own.

    Returns:
        Residuals, finite; the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        Dunn & Smyth (1996), Journal of Computational and Graphical Statistics 5:236.

    Example:
        >>> randomised_quantile_residuals(0, 2.0, uniforms=[0.01, 0.99]).round(2)
        array([-3. , -1.11])
    """
    draws = np.asarray(uniforms, dtype=np.float64)
    if not ((draws > 0) & (draws < 1)).all():
        raise ValueError(
            "uniforms reach 0 or 1 or beyond; allowed is 0 < u < 1. `named_uniforms` gives such numbers."
        )
    reads, draws = np.broadcast_arrays(np.asarray(counts), draws)
    two = tails(reads, mu, r)
    # Above the mode the tail runs the other way, and a draw keeps its place between P(X < k) and P(X <= k).
    return normal_quantile(two, without=np.where(two.is_upper, draws, 1 - draws))


def normal_quantile(two: Tails, *, without: float | FloatArray = 0.5) -> FloatArray:
    """Normal quantile of tails less a share in [0, 1) of the count's own mass; above 0 on the upper side."""
    quantile = ndtri_exp(np.minimum(two.log_tail_without(without), -np.finfo(np.float64).epsneg))
    return np.where(two.is_upper, -quantile, quantile)


def pearson_residuals(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    """(k - mu) / sqrt(mu + mu²/r).

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0; means below 1e-10 have the spread of 1e-10.
        r: Inverse dispersion, above 0; None or inf is Poisson.

    Returns:
        Residuals, finite; the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        McCullagh & Nelder (1989), "Generalized Linear Models", chapter 2.

    Example:
        >>> pearson_residuals([4, 16], 4.0, r=2.0).round(3)
        array([0.   , 3.464])
    """
    k, mean, inverse_r = broadcast_arguments(counts, mu, r)
    spread = np.maximum(mean, SMALLEST_MEAN)
    return np.asarray((k - mean) / np.sqrt(spread) / np.sqrt(1 + spread * inverse_r))


def deviance_residuals(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    """Square root of the unit deviance with the sign of ``counts - mu``.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0.
        r: Inverse dispersion, above 0; None or inf is Poisson.

    Returns:
        Residuals, finite; the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        McCullagh & Nelder (1989), "Generalized Linear Models", chapter 2.

    Example:
        >>> deviance_residuals([4, 16], 4.0, r=2.0).round(3)
        array([0.   , 2.193])
    """
    k, mean, _ = broadcast_arguments(counts, mu, r)
    return np.asarray(np.sign(k - mean) * np.sqrt(deviance(counts, mu, r)))
