# SPDX-License-Identifier: BSD-3-Clause
"""The first integer at which a monotone condition holds, for many elements at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pydgd.stats.arguments import FloatArray

Probe = Callable[[FloatArray, NDArray[np.intp]], tuple[NDArray[np.bool_], FloatArray]]


_PATIENCE = 6


def first_integer(probe: Probe, guess: FloatArray) -> FloatArray:
    """Smallest integer >= 0 at which a condition holds, where each look proposes the next.

    Args:
        probe: ``probe(values, places)`` for 1-D integer-valued `values` of the elements at `places`: whether
            the condition holds there, which it then does for every larger value, and where to look next, such
            as Newton's step. NaN, and after six looks every third proposal, gives way to bisection, or to
            doubling.
        guess: Where to look first; 1-D.

    Returns:
        The integers, as float64; beyond 2**53 the nearest float above.

    Example:
        >>> targets = np.array([3.5, 700.0])
        >>> def probe(values, places):
        ...     missing = targets[places] - values**2
        ...     return missing <= 0, values + missing / (2 * values + 1)
        >>> first_integer(probe, np.zeros(2))
        array([ 2., 27.])
    """
    low, high = np.full_like(guess, -1.0), np.full_like(guess, np.inf)
    places, value, looks = np.arange(guess.size), np.maximum(np.floor(guess), 0), 0
    while places.size:
        holds, proposal = probe(value, places)
        high[places[holds]], low[places[~holds]] = value[holds], value[~holds]
        least, most = _next_float(low[places], 1.0), _next_float(high[places], -1.0)
        open_ = least <= most
        places, proposal, least, most = places[open_], proposal[open_], least[open_], most[open_]
        looks += 1
        if looks > _PATIENCE and looks % 3 == 0:
            proposal[:] = np.nan
        doubled = np.minimum(2 * least, most)
        halfway = np.where(np.isinf(high[places]), doubled, least + (most - least) / 2)
        proposal = np.where(np.isnan(proposal), halfway, proposal)
        value = np.clip(np.ceil(proposal), least, most)
    return high


def _next_float(integers: FloatArray, step: float) -> FloatArray:
    """The integers plus `step`, 1 or -1, or beyond 2**53 the next float in that direction."""
    return np.where(np.abs(integers) < 2.0**53, integers + step, np.nextafter(integers, step * np.inf))
