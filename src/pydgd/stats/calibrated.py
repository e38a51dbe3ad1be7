# SPDX-License-Identifier: BSD-3-Clause
"""P-values that say how rare a residual is among healthy samples, not how rare a model thinks it is."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pydgd.stats.arguments import FloatArray
from pydgd.stats.empirical_null import EmpiricalNull, LogTails
from pydgd.stats.residuals import mid_p_residuals
from pydgd.stats.spread import Spread, UsualSpread, log_count_variance, widened


class Expected(NamedTuple):
    """What one sample's genes are expected to be.

    Attributes:
        mu: Expected reads.
        r: Inverse dispersion, inf for Poisson.
        more: Log variance beyond that of the counts: how surely mu is known, and how far the sample departs.
    """

    mu: FloatArray
    r: FloatArray
    more: FloatArray


@dataclass(frozen=True)
class NullModel:
    """Null distribution of healthy samples' residuals, with the spread it is about.

    Attributes:
        usual: Spread of the residuals of a healthy sample.
        null: Their distribution once every sample has that spread.
    """

    usual: UsualSpread
    null: EmpiricalNull

    @classmethod
    def of(cls, samples: list[tuple[FloatArray, Expected]]) -> "NullModel":
        """What healthy samples show that training did not see.

        Args:
            samples: Reads of each sample's genes, and what was expected.

        Raises:
            ValueError: If there are too few samples or genes.
        """
        residuals = [_widened(mid_p_residuals(x, of.mu, of.r), of) for x, of in samples]
        spreads = [Spread.of(q, of.mu) for q, (_, of) in zip(residuals, samples, strict=True)]
        usual = UsualSpread.of(spreads)
        standard = [usual.standardise(q, spread) for q, spread in zip(residuals, spreads, strict=True)]
        floors = [floor_of(of.mu, of.r) for _, of in samples]
        return cls(usual, EmpiricalNull.of(np.concatenate(standard), np.concatenate(floors)))

    def log_tails(self, residuals: Float[np.ndarray, " genes"], expected: Expected) -> LogTails:
        """Natural log of either tail's p-value for all genes of one sample.

        Args:
            residuals: Mid-p quantile residuals of all measured genes: the spread is theirs.
            expected: What they are residuals from.
        """
        wide = _widened(residuals, expected)
        standard = self.usual.standardise(wide, Spread.of(wide, expected.mu))
        return self.null.log_tails(standard, floor_of(expected.mu, expected.r))


def _widened(residuals: FloatArray, expected: Expected) -> FloatArray:
    return widened(residuals, log_count_variance(expected.mu, expected.r), expected.more)


def floor_of(mu: Float[np.ndarray, " genes"], r: Float[np.ndarray, " genes"]) -> FloatArray:
    """-ln P(k = 0) under the negative binomial: how far down a gene can go; mu itself for Poisson.

    Example:
        >>> floor_of(np.array([1.0, 1.0]), np.array([1.0, np.inf])).round(3)
        array([0.693, 1.   ])
    """
    ratio = mu / r
    # r ln(1 + mu/r); log1p(x)/x is 1 where x is too small to divide by.
    shrink = np.log1p(ratio) / np.where(ratio > 0, ratio, 1.0)
    return np.asarray(mu * np.where(ratio > 0, shrink, 1.0))
