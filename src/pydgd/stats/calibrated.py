# SPDX-License-Identifier: BSD-3-Clause
"""P-values that say how rare a residual is among healthy samples, not how rare a model thinks it is."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pydgd.stats.arguments import FloatArray
from pydgd.stats.empirical_null import EmpiricalNull, LogTails
from pydgd.stats.pooled_null import pooled_log_tails
from pydgd.stats.residuals import mid_p_residuals
from pydgd.stats.spread import Spread, UsualSpread, log_count_variance, widened


class Expected(NamedTuple):
    """What one sample's genes are expected to be.

    Attributes:
        mu: Expected reads.
        r: Inverse dispersion, inf for Poisson.
        more: Log variance beyond that of the counts: how surely mu is known.
        departure: Log variance by which the sample departs in every gene.
    """

    mu: FloatArray
    r: FloatArray
    more: FloatArray
    departure: float = 0.0

    def widened(self, residuals: FloatArray) -> FloatArray:
        """Residuals as they are once the log of a count varies by all that is known to vary."""
        return widened(residuals, log_count_variance(self.mu, self.r), self.more + self.departure)

    def spread(self, residuals: FloatArray) -> Spread | None:
        """Where the sample's own widened residuals lie."""
        return Spread.of(self.widened(residuals), self.mu)


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
        residuals = [of.widened(mid_p_residuals(x, of.mu, of.r)) for x, of in samples]
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
        return self.log_tails_about(expected.spread(residuals), residuals, expected)

    def log_tails_about(
        self, spread: Spread | None, residuals: Float[np.ndarray, " genes"], expected: Expected
    ) -> LogTails:
        """The same for any numbers on the residuals' scale, infinite ones too.

        Args:
            spread: Of the sample's widened residuals.
            residuals: One for every measured gene.
            expected: What the sample's genes are expected to be.
        """
        standard = self.usual.standardise(expected.widened(residuals), spread)
        floors = floor_of(expected.mu, expected.r)
        if expected.departure == 0:
            return self.null.log_tails(standard, floors)
        known = log_count_variance(expected.mu, expected.r) + expected.more
        return pooled_log_tails(self.null, standard, floors, np.sqrt(1 + expected.departure / known))


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
