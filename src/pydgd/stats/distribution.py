# SPDX-License-Identifier: BSD-3-Clause
"""Distribution functions and quantiles of counts, built on `tails`."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from pydgd.stats.arguments import SMALLEST_MEAN, FloatArray, Numbers, broadcast_arguments, in_blocks
from pydgd.stats.integer_search import first_integer
from pydgd.stats.tails import tails, tails_of

# A probability that is short of the wanted one by rounding counts as reached.
_SLACK = 1e-12


def log_cdf(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    """Logarithm of P(X <= counts), natural.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0.
        r: Inverse dispersion, above 0 (variance mu + mu²/r); None or inf is Poisson.

    Returns:
        The logarithm, in the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Example:
        >>> log_cdf(5, 19800.0, 200.0)  # scipy's nbinom.logcdf is -inf here
        array(-899.3056...)
    """
    return tails(counts, mu, r).log_lower


def log_sf(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    """Logarithm of P(X > counts), natural; arguments as for `log_cdf`.

    Example:
        >>> float(log_sf(0, 1e-8).round(6))  # nearly ln(1e-8)
        -18.420681
    """
    k, mean, inverse_r = broadcast_arguments(counts, mu, r)
    return tails_of((np.asarray(k + 1), mean, inverse_r)).log_upper


def cdf(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    """P(X <= counts); arguments as for `log_cdf`. May be 0 where its logarithm is below -745.

    Example:
        >>> cdf([0, 1], 1.0).round(4)
        array([0.3679, 0.7358])
    """
    return np.asarray(np.exp(log_cdf(counts, mu, r)))


def sf(counts: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    """P(X > counts); arguments as for `log_cdf`. May be 0 where its logarithm is below -745.

    Example:
        >>> sf([0, 1], 1.0).round(4)
        array([0.6321, 0.2642])
    """
    return np.asarray(np.exp(log_sf(counts, mu, r)))


def quantile(probability: Numbers, mu: Numbers, r: Numbers | None = None) -> FloatArray:
    """Smallest count whose distribution function reaches `probability`.

    Args:
        probability: At least 0 and below 1; broadcasts against the others.
        mu: Expected reads, at least 0.
        r: Inverse dispersion, above 0 (variance mu + mu²/r); None or inf is Poisson.

    Returns:
        Counts as float64, in the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Example:
        >>> quantile([0.025, 0.5, 0.975], 100.0, r=5.0)
        array([ 31.,  93., 207.])
    """
    wanted = np.asarray(probability, dtype=np.float64)
    if not ((wanted >= 0) & (wanted < 1)).all():
        raise ValueError(f"probability reaches from {wanted.min()} to {wanted.max()}; allowed is 0 <= p < 1.")
    _, mean, inverse_r = broadcast_arguments(0, mu, r)
    columns = tuple(np.broadcast_arrays(wanted, mean, inverse_r))
    return np.asarray(in_blocks(_block_quantile, columns, (float,))[0])


def _block_quantile(wanted: FloatArray, mu: FloatArray, inverse_r: FloatArray) -> tuple[FloatArray]:
    in_lower_half = wanted <= 0.5
    # Compared are P(X <= k) and, above one half, P(X >= k + 1): the tail that keeps its digits.
    side = np.where(in_lower_half, 1.0, -1.0)
    with np.errstate(divide="ignore"):
        target = np.where(in_lower_half, np.log(wanted) - _SLACK, np.log1p(-wanted) + _SLACK)

    def probe(values: FloatArray, places: NDArray[np.intp]) -> tuple[NDArray[np.bool_], FloatArray]:
        lower = in_lower_half[places]
        two = tails_of((np.where(lower, values, values + 1), mu[places], inverse_r[places]))
        log_tail = np.where(lower, two.log_lower, two.log_upper)
        missing = side[places] * (target[places] - log_tail)
        # The logarithm of a tail grows or falls by the share of the mass in it.
        return missing <= 0, values + missing * np.exp(np.minimum(log_tail - two.log_mass, 600))

    # Of the gamma distribution with the same mean and variance.
    width = 1 + mu * inverse_r
    guess = gammaincinv(np.maximum(mu, SMALLEST_MEAN) / width, wanted) * width
    return (first_integer(probe, guess),)
