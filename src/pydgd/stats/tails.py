# SPDX-License-Identifier: BSD-3-Clause
r"""Tails of the negative binomial and Poisson distributions in log space, never 0 and never NaN.

scipy's logarithmic tails are -inf in the far tail (`nbinom.logcdf(5, 200, 0.01)` is -899.3056), and its
incomplete beta function, near the mean, is off by 1e-8 at counts of 1e8; these are good to 1e-12.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pydgd.stats.arguments import FloatArray, Numbers, broadcast_arguments, in_blocks
from pydgd.stats.tail_share import block_tails


@dataclass(frozen=True)
class Tails:
    """One tail of each count and what it takes to get every other probability from it without cancellation.

    Attributes:
        log_mass: ln f(k), natural logarithm of the probability of the count itself.
        share: f(k) / tail, in (0, 1]: how much of the tail is the count itself.
        is_upper: True where the tail is P(X >= k), False where it is P(X <= k). It is the smaller of the two,
            or not much above one half.
    """

    log_mass: FloatArray
    share: FloatArray
    is_upper: NDArray[np.bool_]

    @property
    def log_tail(self) -> FloatArray:
        """Log of the tail with the whole of the count's own mass."""
        return np.asarray(self.log_mass - np.log(self.share))

    def log_tail_without(self, part: float | FloatArray) -> FloatArray:
        """Log of the tail less `part`, in [0, 1), of the count's own mass: 1/2 gives the mid-p tail."""
        return np.asarray(self.log_mass + np.log(1 / self.share - part))

    @property
    def log_mid_tail(self) -> FloatArray:
        """Log of the tail with half of the count's own mass."""
        return self.log_tail_without(0.5)

    @property
    def log_smaller_mid_tail(self) -> FloatArray:
        """Log of the smaller mid-p tail, at most ln(1/2): the two of them add up to one."""
        result = self.log_mid_tail
        above_half = result > -np.log(2)
        result[above_half] = log_complement(result[above_half])
        return result

    @property
    def direction(self) -> NDArray[np.int8]:
        """+1 where the upper mid-p tail is the smaller: more reads than expected; else -1."""
        mid, half = self.log_mid_tail, -np.log(2)
        return np.where(np.where(self.is_upper, mid < half, mid > half), 1, -1).astype(np.int8)

    @property
    def log_lower(self) -> FloatArray:
        """Logarithm of P(X <= k)."""
        return np.where(self.is_upper, log_complement(self._log_rest()), self.log_tail)

    @property
    def log_upper(self) -> FloatArray:
        """Logarithm of P(X >= k)."""
        return np.where(self.is_upper, self.log_tail, log_complement(self._log_rest()))

    @property
    def log_mid_lower(self) -> FloatArray:
        """Logarithm of P(X <= k) - f(k)/2."""
        mid = self.log_mid_tail
        return np.where(self.is_upper, log_complement(mid), mid)

    @property
    def log_mid_upper(self) -> FloatArray:
        """Logarithm of P(X >= k) - f(k)/2."""
        mid = self.log_mid_tail
        return np.where(self.is_upper, mid, log_complement(mid))

    def _log_rest(self) -> FloatArray:
        with np.errstate(divide="ignore"):
            return self.log_tail_without(1.0)


def tails(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> Tails:
    r"""The smaller tail of each count under a negative binomial or Poisson distribution.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0. For counts above 0 it is taken as at least 1e-10.
        r: Inverse dispersion, above 0 (variance mu + mu²/r); None or inf is Poisson.

    Returns:
        The tails, in the broadcast shape. Relative error of every probability is at most
        1e-10 max(1, abs(ln p)) for counts and means up to 1e8 and r from 1e-30.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        See `tail_share` for the mathematics.

    Example:
        >>> two = tails(2, 1.0)
        >>> float(np.exp(two.log_upper).round(8))  # 1 - 2/e
        0.26424112
    """
    return tails_of(broadcast_arguments(counts, mu, r))


def tails_of(arguments: tuple[FloatArray, FloatArray, FloatArray]) -> Tails:
    """`tails` of what `broadcast_arguments` returned."""
    log_mass, share, is_upper = in_blocks(block_tails, arguments, (float, float, bool))
    return Tails(log_mass, share, is_upper)


def log_complement(log_p: FloatArray) -> FloatArray:
    """ln(1 - p) from ln p <= 0, without cancellation on either end."""
    log_p = np.minimum(log_p, -np.finfo(np.float64).tiny)
    with np.errstate(divide="ignore"):
        return np.where(log_p > -np.log(2), np.log(-np.expm1(log_p)), np.log1p(-np.exp(log_p)))
