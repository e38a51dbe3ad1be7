# SPDX-License-Identifier: BSD-3-Clause
"""Probability integral transform: the share of its distribution below a count; uniform if that is true."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from pydgd.stats.arguments import FloatArray, broadcast_arguments
from pydgd.stats.calibrated import Expected, NullModel
from pydgd.stats.residuals import normal_quantile, randomised_quantile_residuals
from pydgd.stats.spread import Spread
from pydgd.stats.tails import Tails, tails_of


def randomised_pit(
    counts: Float[np.ndarray, " genes"],
    expected: Expected,
    *,
    uniforms: Float[np.ndarray, " genes"],
    null: NullModel | None = None,
) -> FloatArray:
    r"""A uniform draw between P(X < k) and P(X <= k) for every gene of one sample.

    With `null` both ends are read off the residuals of healthy samples, as calibrated one-sided p-values are.
    The draw comes after that: the residuals of few reads lie on few places, and one that was drawn between
    two of them would be none that `null` is about.

    Args:
        counts: Reads of all measured genes.
        expected: What they are expected to be.
        uniforms: Draws strictly between 0 and 1, such as those of `pydgd.stats.named_uniforms`.
        null: How residuals of healthy samples are distributed; None to go by the negative binomial.

    Returns:
        Between 0 and 1.

    Source:
        Czado, Gneiting & Held (2009), Biometrics 65:1254.

    Example:
        >>> poisson = Expected(np.full(2, 0.1), np.full(2, np.inf), np.zeros(2))
        >>> randomised_pit(np.zeros(2), poisson, uniforms=np.array([0.1, 0.9])).round(2)
        array([0.09, 0.81])
    """
    mu, r = expected.mu, expected.r
    if null is None:
        return np.asarray(ndtr(randomised_quantile_residuals(counts, mu, r, uniforms=uniforms)))
    two = tails_of(broadcast_arguments(counts, mu, r))
    spread = expected.spread(normal_quantile(two))
    below, up_to = (_share_below(null, bound, spread, expected) for bound in _bounds(two))
    return np.asarray(below + uniforms * (up_to - below))


def _bounds(two: Tails) -> tuple[FloatArray, FloatArray]:
    """Normal quantiles of P(X < k) and P(X <= k); -inf and inf where a count is all of its tail."""
    with np.errstate(divide="ignore"):
        far = normal_quantile(two, without=1.0)
    near = normal_quantile(two, without=0.0)
    return np.where(two.is_upper, near, far), np.where(two.is_upper, far, near)


def _share_below(null: NullModel, bound: FloatArray, spread: Spread | None, expected: Expected) -> FloatArray:
    """Share of healthy samples' residuals below a bound."""
    lower, upper = null.log_tails_about(spread, bound, expected)
    # The smaller tail is the exact one.
    return np.where(lower < upper, np.exp(lower), -np.expm1(upper))
