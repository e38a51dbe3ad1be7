# SPDX-License-Identifier: BSD-3-Clause
"""A quantity of genes as it goes with their mean reads."""

import numpy as np
from numpy.typing import NDArray

# Places along the mean at which a curve is drawn. Each is the median of so many genes at least, so that of a
# normal quantity it is known to an eighth of the standard deviation, or of this share of many genes.
_N_PLACES, _N_GENES, _SHARE = 100, 101, 1 / 30


def local_median(
    mean: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median of the values of the genes whose mean reads are nearest in rank, along the mean.

    Args:
        mean: Mean reads of each gene, shape (G,), G at least 1.
        values: What the curve is of, shape (G,).

    Returns:
        Means in rising order, and the median there.

    Example:
        >>> place, median = local_median(np.array([1.0, 10.0, 100.0]), np.array([3.0, 5.0, 4.0]))
        >>> median
        array([4., 4., 4.])
    """
    order = np.argsort(mean, kind="stable")
    window = min(max(_N_GENES, round(_SHARE * len(mean))), len(mean))
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values[order], window), axis=1)
    centre = np.unique(np.linspace(0, len(mean) - 1, min(_N_PLACES, len(mean))).round().astype(int))
    return mean[order][centre], medians[np.clip(centre - window // 2, 0, len(medians) - 1)]
