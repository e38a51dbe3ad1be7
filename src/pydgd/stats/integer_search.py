# SPDX-License-Identifier: BSD-3-Clause
"""The first integer at which a monotone condition holds, for many elements at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pydgd.stats.arguments import FloatArray

Condition = Callable[[FloatArray, NDArray[np.intp]], NDArray[np.bool_]]


def first_integer(holds: Condition, guess: FloatArray) -> FloatArray:
    """Smallest integer >= 1 at which `holds` is true: doubling from `guess` until it is, then bisection.

    Args:
        holds: ``holds(values, places)`` for 1-D integer-valued `values` of the elements at `places`; once
            true, true for every larger value.
        guess: Where to look first, at least 1; 1-D.

    Returns:
        The integers, as float64; beyond 2**53 the nearest float above.

    Example:
        >>> targets = np.array([3.5, 700.0])
        >>> first_integer(lambda values, places: values**2 >= targets[places], np.ones(2))
        array([ 2., 27.])
    """
    low, high = np.zeros_like(guess), np.floor(guess)
    places = np.arange(guess.size)
    while places.size:
        places = places[~holds(high[places], places) & np.isfinite(high[places])]
        low[places] = high[places]
        high[places] *= 2
    places = np.flatnonzero(high - low > 1)
    while places.size:
        middle = np.floor(low[places] + (high[places] - low[places]) / 2)
        # Beyond 2**53 neighbouring floats are more than 1 apart, and there may be none between the two.
        between = (low[places] < middle) & (middle < high[places])
        places, middle = places[between], middle[between]
        reached = holds(middle, places)
        high[places[reached]] = middle[reached]
        low[places[~reached]] = middle[~reached]
        places = places[high[places] - low[places] > 1]
    return high
