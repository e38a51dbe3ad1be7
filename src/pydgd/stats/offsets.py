# SPDX-License-Identifier: BSD-3-Clause
"""By how much each gene's reads differ between laboratories: robust, and shrunk where samples say little."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pydgd.stats.arguments import FloatArray
from pydgd.stats.residuals import mid_p_residuals
from pydgd.stats.spread import BRIGHT, log_count_variance

HUBER = 1.345
"""Residuals count in full up to here: 95 % as efficient as the mean where these are normal."""

# Before the genes have told how much they differ: e-fold.
_FIRST_VARIANCE = 1.0
_LEAST_VARIANCE = 1e-4
_LONGEST_STEP, _CONVERGED, _MOST_STEPS = 1.0, 1e-3, 25
# Scale of a normal from its median absolute deviation.
_NORMAL_MAD = 1.482602218505602


class Offsets(NamedTuple):
    """What the log means of another laboratory's samples are greater by.

    Attributes:
        value: Natural log, (G,).
        variance: Of its error, (G,).
    """

    value: Float[np.ndarray, " genes"]
    variance: Float[np.ndarray, " genes"]


def robust_offsets(
    counts: Float[np.ndarray, "n genes"],
    mu: Float[np.ndarray, "n genes"],
    r: Float[np.ndarray, "..."],
) -> Offsets:
    """Most probable offset of each gene's log mean under Huber's loss of the residuals and a normal prior.

    The prior's variance is what is left of the genes' scatter once the errors of the estimates are taken
    away. A few changed samples move a gene little; what most samples share is taken for the laboratory's.

    Args:
        counts: Reads.
        mu: Expected reads without offset.
        r: Inverse dispersion, (G,) or (N, G); inf for Poisson.

    Returns:
        The offsets.

    Source:
        Huber (1964), Annals of Mathematical Statistics 35:73, of normal quantile residuals, whose median
        is 0 where the offset is right.

    Example:
        >>> counts = np.random.default_rng(0).poisson(100, (4, 500)).astype(float)
        >>> round(float(robust_offsets(counts, np.full((4, 500), 50.0), np.full(500, 1e6)).value.mean()), 1)
        0.7
    """
    r = np.broadcast_to(r, mu.shape)
    alone = _most_probable(counts, mu, r, np.zeros(mu.shape[1]), variance=_FIRST_VARIANCE)
    bright = mu.mean(axis=0) >= BRIGHT
    told = bright if bright.any() else np.ones_like(bright)
    # About 0 and not about their mean: the scaling factors have taken a common factor out.
    scatter = (_NORMAL_MAD * np.median(np.abs(alone.value[told]))) ** 2
    between = max(_LEAST_VARIANCE, float(scatter - np.median(alone.variance[told])))
    return _most_probable(counts, mu, r, alone.value, variance=between)


def _most_probable(
    counts: FloatArray, mu: FloatArray, r: FloatArray, start: FloatArray, *, variance: float
) -> Offsets:
    value, errors = start.copy(), np.empty_like(start)
    running = np.arange(len(start))
    for _ in range(_MOST_STEPS):
        expected = mu[:, running] * np.exp(value[running])
        residuals = mid_p_residuals(counts[:, running], expected, r[:, running])
        spread = log_count_variance(expected, r[:, running])
        weights = np.minimum(1.0, HUBER / np.maximum(np.abs(residuals), HUBER))
        precision = (weights / spread).sum(axis=0) + 1 / variance
        slope = (weights * residuals / np.sqrt(spread)).sum(axis=0) - value[running] / variance
        step = np.clip(slope / precision, -_LONGEST_STEP, _LONGEST_STEP)
        value[running] += step
        errors[running] = 1 / precision
        running = running[np.abs(step) > _CONVERGED]
        if not len(running):
            break
    return Offsets(value, errors)
