# SPDX-License-Identifier: BSD-3-Clause
"""How many of some independent events happen: the Poisson binomial distribution."""

import numpy as np
from numpy.typing import NDArray


def log_chance_of_as_many(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the chance that at least 0, 1, …, S of S independent events happen.

    Args:
        rates: Chance of each event, in [0, 1], (S,).

    Returns:
        Natural logarithms, (S + 1,), falling from 0; -inf where it cannot be.

    Source:
        Chen & Liu (1997), Statistica Sinica 7:875, for the recursion, here in logarithms.

    Example:
        >>> np.exp(log_chance_of_as_many(np.array([0.5, 0.5]))).round(3)
        array([1.  , 0.75, 0.25])
    """
    with np.errstate(divide="ignore"):
        log_yes, log_no = np.log(rates), np.log1p(-rates)
    log_mass = np.full(len(rates) + 1, -np.inf)
    log_mass[0] = 0.0
    for yes, no in zip(log_yes, log_no, strict=True):
        log_mass[1:] = np.logaddexp(log_mass[1:] + no, log_mass[:-1] + yes)
        log_mass[0] += no
    tail = np.logaddexp.accumulate(log_mass[::-1])[::-1]
    return np.minimum(tail, 0.0)
