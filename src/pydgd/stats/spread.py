# SPDX-License-Identifier: BSD-3-Clause
"""Centre and spread of one sample's residuals, each side by itself: a noisy library is noisy everywhere."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from pydgd.stats.arguments import SMALLEST_MEAN, FloatArray

BRIGHT = 5.0
"""Genes with so many expected reads have residuals that are about continuous; only they tell the spread."""
FEWEST_BRIGHT = 50
"""Of fewer genes no spread can be told, and the usual one is taken."""

# One standard deviation either side of a normal's median.
_INNER = float(ndtr(-1))


def log_count_variance(mu: Float[np.ndarray, "*shape"], r: Float[np.ndarray, "*shape"]) -> FloatArray:
    """About the variance of the log of a count: ln of 1 + 1/mu + 1/r, exact for a log-normal of that spread.

    Example:
        >>> log_count_variance(np.array([1e9, 10.0]), np.array([10.0, np.inf])).round(3)
        array([0.095, 0.095])
    """
    return np.asarray(np.log1p(1 / np.maximum(mu, SMALLEST_MEAN) + 1 / r))


def widened(residuals: FloatArray, usual: FloatArray, more: float | FloatArray) -> FloatArray:
    """Residuals as they are where the log of a count varies by more than its usual variance."""
    return np.asarray(residuals * np.sqrt(usual / (usual + more)))


@dataclass(frozen=True)
class Spread:
    """Where the middle two thirds of a sample's residuals lie.

    Attributes:
        centre: Median.
        lower: From there down to the 16th percentile; 1 for a standard normal.
        upper: From there up to the 84th.
    """

    centre: float
    lower: float
    upper: float

    @classmethod
    def of(cls, residuals: Float[np.ndarray, " genes"], mu: Float[np.ndarray, " genes"]) -> "Spread | None":
        """The spread of one sample; None if too few genes have reads enough to tell.

        Args:
            residuals: Finite.
            mu: Expected reads.

        Example:
            >>> spread = Spread.of(np.linspace(-3, 3, 1001), np.full(1001, 20.0))
            >>> round(spread.lower, 3), round(spread.upper, 3)
            (2.048, 2.048)
        """
        bright = residuals[mu >= BRIGHT]
        if len(bright) < FEWEST_BRIGHT:
            return None
        low, centre, high = np.quantile(bright, [_INNER, 0.5, 1 - _INNER])
        return cls(float(centre), float(centre - low), float(high - centre))


@dataclass(frozen=True)
class UsualSpread:
    """Spreads of healthy samples that training did not see.

    Attributes:
        lower: Median over the samples, > 0.
        upper: Likewise.
        least: Smallest spread among them over its median, at most 1: what a sample is taken to have at least.
    """

    lower: float
    upper: float
    least: float

    def __post_init__(self) -> None:
        """Refuse what cannot be divided by.

        Raises:
            ValueError: If a value is not positive and finite, or `least` above 1.
        """
        values = np.array([self.lower, self.upper, self.least])
        if not (np.isfinite(values).all() and (values > 0).all() and self.least <= 1):
            raise ValueError(f"spreads of residuals must be finite and > 0, least at most 1, got {values}")

    @classmethod
    def of(cls, spreads: list[Spread | None]) -> "UsualSpread":
        """Median and least of some samples.

        Raises:
            ValueError: If none has a spread.
        """
        known = np.array([(spread.lower, spread.upper) for spread in spreads if spread is not None])
        if not len(known):
            raise ValueError("no healthy sample has enough genes with reads to tell how they spread")
        usual = np.median(known, axis=0)
        return cls(float(usual[0]), float(usual[1]), float(min(1.0, (known / usual).min())))

    def standardise(self, residuals: FloatArray, spread: Spread | None) -> FloatArray:
        """Residuals as they would be had the sample the usual spread, either side by itself."""
        if spread is None:
            return residuals
        centred = residuals - spread.centre
        below = max(spread.lower / self.lower, self.least)
        above = max(spread.upper / self.upper, self.least)
        return np.asarray(np.where(centred > 0, centred / above, centred / below))
