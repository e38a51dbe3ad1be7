# SPDX-License-Identifier: BSD-3-Clause
"""How many of some independent events happen: the Poisson binomial distribution."""

import numpy as np
from numpy.typing import NDArray

_BLOCK = 512  # rows


def log_chance_of_as_many(rates: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log of the chance that at least so many of S independent events happen, row by row.

    Args:
        rates: Chance of each event, in [0, 1], (M, S); 0 for one that cannot be.
        counts: How many, at least 0, (M,).

    Returns:
        Natural logarithms, (M,), at most 0; -inf where it cannot be.

    Source:
        Chen & Liu (1997), Statistica Sinica 7:875, for the recursion, here in logarithms and with all that
        reach the count in one state, so that a small chance is a sum and no difference.

    Example:
        >>> np.exp(log_chance_of_as_many(np.full((3, 2), 0.5), np.array([0, 1, 2]))).round(3)
        array([1.  , 0.75, 0.25])
    """
    log_p = np.empty(len(counts))
    # Rows with like counts together: the work goes with the largest of a block.
    order = np.argsort(counts, kind="stable")
    for rows in np.split(order, range(_BLOCK, len(order), _BLOCK)):
        log_p[rows] = _of_block(rates[rows], counts[rows])
    return np.minimum(log_p, 0.0)


def _of_block(rates: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        log_yes, log_no = np.log(rates), np.log1p(-rates)
    top = int(counts.max(initial=0))
    log_mass = np.full((len(counts), top + 1), -np.inf)
    # Each row starts as far from the last column, where it stays, as events are wanted.
    log_mass[np.arange(len(counts)), top - counts] = 0.0
    for yes, no in zip(log_yes.T[:, :, None], log_no.T[:, :, None], strict=True):
        moved = log_mass[:, :-1] + yes
        log_mass[:, :-1] += no
        log_mass[:, 1:] = np.logaddexp(log_mass[:, 1:], moved)
    return log_mass[:, -1]
