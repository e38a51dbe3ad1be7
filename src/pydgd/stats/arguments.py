# SPDX-License-Identifier: BSD-3-Clause
"""What every function of counts, means and r does first: check, broadcast, cut into blocks for the cache."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

Numbers = NDArray[Any] | np.generic | Sequence[Any] | float | int
"""What numpy makes a numeric array of. (numpy's own Numbers names complex numbers for all others.)"""

SMALLEST_MEAN = 1e-10
"""Counts above 0 are judged against at least this mean: beside 0 they would be impossible, not improbable."""

SMALLEST_R = 1e-100
"""Smaller r are read as this one, so that the squares of 1/r stay finite."""

LARGEST = 2.0**53 - 1
"""Most reads and largest mean: beyond, float64 does not tell a whole number from the next."""

BLOCK = 16_384
"""Elements worked on at a time: 128 KiB an array, so that what one formula needs at once stays in cache."""


def broadcast_arguments(
    counts: Numbers, mu: Numbers, r: Numbers | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Checked float64 `counts`, `mu` and ``1/r`` of one common shape.

    Args:
        counts: Reads, whole numbers of at least 0 and below 2**53.
        mu: Expected reads, at least 0 and below 2**53.
        r: Inverse dispersion, above 0; ``inf`` or None is Poisson.

    Returns:
        Counts, means and 1/r (0 for Poisson), broadcast against each other.

    Raises:
        ValueError: If a value is outside its range or the shapes do not broadcast.

    Example:
        >>> broadcast_arguments([3, 4], 5.0, None)
        (array([3., 4.]), array([5., 5.]), array([0., 0.]))
    """
    k, mean = _checked("counts", counts), _checked("mu", mu)
    if not (k == np.rint(k)).all():
        raise ValueError(
            f"counts has the value {_first(k[k != np.rint(k)])}; allowed are whole numbers. "
            "Round estimated counts first: the tails of a discrete distribution begin at whole numbers."
        )
    shape_parameter = np.asarray(np.inf if r is None else r, dtype=np.float64)
    if not (shape_parameter > 0).all():
        raise ValueError(
            f"r has the value {_first(shape_parameter[~(shape_parameter > 0)])}; allowed is any r > 0, "
            "with inf for Poisson. Pass the inverse dispersion, 1/alpha, not its logarithm."
        )
    with np.errstate(divide="ignore"):
        inverse_r = 1 / np.maximum(shape_parameter, SMALLEST_R)
    k, mean, inverse_r = np.broadcast_arrays(k, mean, inverse_r)
    return k, mean, inverse_r


def _checked(name: str, values: Numbers) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    # A comparison with NaN is false, so one pass finds negative, too large and missing values.
    allowed = (array >= 0) & (array <= LARGEST)
    if not allowed.all():
        raise ValueError(
            f"{name} has the value {_first(array[~allowed])}; allowed are values >= 0 and below 2**53, from "
            "which on float64 does not tell a whole number from the next."
        )
    return array


def _first(refused: FloatArray) -> float:
    return float(refused[0])


def in_blocks(
    function: Callable[..., tuple[NDArray[Any], ...]],
    arrays: tuple[FloatArray, ...],
    dtypes: tuple[type, ...],
) -> tuple[NDArray[Any], ...]:
    """Apply an element-wise `function` of 1-D arrays to arrays of any one shape, `BLOCK` elements at a time.

    Args:
        function: From 1-D arrays of one length to a tuple of such arrays, one for each of `dtypes`.
        arrays: Arguments of the same shape.
        dtypes: Element types of the results.

    Returns:
        The results in the shape of the arguments.

    Example:
        >>> in_blocks(lambda x: (x + 1, x > 0), (np.array([[0.0, 1.0]]),), (float, bool))
        (array([[1., 2.]]), array([[False,  True]]))
    """
    flat = tuple(array.ravel() for array in arrays)
    results: tuple[NDArray[Any], ...] = tuple(np.empty(flat[0].size, dtype=dtype) for dtype in dtypes)
    for start in range(0, flat[0].size, BLOCK):
        part = slice(start, start + BLOCK)
        for result, values in zip(results, function(*(array[part] for array in flat)), strict=True):
            result[part] = values
    return tuple(result.reshape(arrays[0].shape) for result in results)
