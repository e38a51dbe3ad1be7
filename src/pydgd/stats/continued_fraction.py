# SPDX-License-Identifier: BSD-3-Clause
"""Continued fractions of many elements at once, each stopped by itself."""

from collections.abc import Callable

import numpy as np

from pydgd.stats.arguments import FloatArray

Terms = Callable[..., tuple[FloatArray, FloatArray]]

_BETWEEN_CHECKS = 6
_TOLERANCE = 1e-14
_MOST_TERMS = 1_000


def continued_fraction(terms: Terms, first: FloatArray, parameters: tuple[FloatArray, ...]) -> FloatArray:
    """Evaluate ``b0 + a1/(b1 + a2/(b2 + …))`` until six more terms change it by less than 1e-14 of itself.

    Numerators and denominators of the convergents follow their three-term recurrence, rescaled every six
    terms: no division in between. Elements that have settled leave the arrays, so that one that is slow does
    not cost the others; what an element evaluates to does not depend on its neighbours.

    Args:
        terms: ``terms(n, *parameters) -> (a_n, b_n)`` for n = 1, 2, …
        first: b0, 1-D.
        parameters: 1-D arrays as long as `first`, handed to `terms`.

    Returns:
        The value of each element; NaN, never something else, where 1,000 terms do not settle it.

    Source:
        Cuyt et al. (2008), "Handbook of Continued Fractions for Special Functions", section 8.

    Example:
        >>> def golden(n, ones):
        ...     return ones, ones
        >>> continued_fraction(golden, np.ones(1), (np.ones(1),))
        array([1.61803399])
    """
    result = np.empty_like(first)
    place = np.arange(first.size)
    top, bottom, value = first, np.ones_like(first), first
    top_before, bottom_before = np.ones_like(first), np.zeros_like(first)
    n = 0
    while place.size:
        for step in range(1, 1 + _BETWEEN_CHECKS):
            a, b = terms(n + step, *parameters)
            top, top_before = b * top + a * top_before, top
            bottom, bottom_before = b * bottom + a * bottom_before, bottom
        n += _BETWEEN_CHECKS
        scale = 1 / bottom
        top, top_before, bottom_before = top * scale, top_before * scale, bottom_before * scale
        result[place] = top
        # A comparison with NaN is false: written so that what is not a number has not settled.
        open_ = np.flatnonzero(~(np.abs(top - value) <= _TOLERANCE * np.abs(top)))
        if n >= _MOST_TERMS:
            result[place[open_]] = np.nan
            break
        place, top, value = place[open_], top[open_], top[open_]
        top_before, bottom_before = top_before[open_], bottom_before[open_]
        bottom = np.ones_like(top)
        parameters = tuple(parameter[open_] for parameter in parameters)
    return result
