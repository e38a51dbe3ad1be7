# SPDX-License-Identifier: BSD-3-Clause
"""What counts as a call: an adjusted p-value small enough and a change large enough."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pydgd.errors import ConfigError


def check_thresholds(*, padj: float, log2fc: float) -> None:
    """Refuse thresholds that no call could mean.

    Args:
        padj: Above 0 and at most 1.
        log2fc: At least 0 and finite.

    Raises:
        ConfigError: If one is out of range.
    """
    if not 0 < padj <= 1:
        raise ConfigError(f"padj is {padj}; give an adjusted p-value, above 0 and at most 1")
    if not 0 <= log2fc < np.inf:
        raise ConfigError(f"log2fc is {log2fc}; give the smallest absolute log2 fold change, at least 0")


def call_directions(
    log2_fold_change: ArrayLike, adjusted_p: ArrayLike, *, padj: float, log2fc: float
) -> NDArray[np.int8]:
    """Call of every gene: 1 up, -1 down, 0 not called.

    Args:
        log2_fold_change: Of each gene; NaN is not called.
        adjusted_p: Of each gene, in the same shape; NaN is not tested, so not called.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Raises:
        ConfigError: If a threshold is out of range.

    Example:
        >>> call_directions([3.0, -3.0, 3.0, 0.5], [0.01, 0.01, 0.5, 0.01], padj=0.05, log2fc=1.0).tolist()
        [1, -1, 0, 0]
    """
    check_thresholds(padj=padj, log2fc=log2fc)
    change = np.asarray(log2_fold_change, dtype=float)
    called = (np.asarray(adjusted_p, dtype=float) < padj) & (np.abs(change) >= log2fc)
    return np.where(called, np.sign(change), 0).astype(np.int8)
