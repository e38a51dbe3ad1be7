# SPDX-License-Identifier: BSD-3-Clause
"""Which genes a cohort shows at all."""

import numpy as np
from jaxtyping import Bool

from pydgd.data.blocks import Matrix, by_rows, row_blocks
from pydgd.errors import ConfigError


def detected_genes(counts: Matrix, *, min_share: float = 0.2) -> Bool[np.ndarray, " genes"]:
    """Genes with at least one read in more than a share of the samples.

    Args:
        counts: Samples × genes.
        min_share: The share, 0 or more and below 1. Exactly this share is not enough.

    Returns:
        True for each gene that is detected.

    Raises:
        ConfigError: If `min_share` is out of range.

    Example:
        >>> detected_genes(np.array([[5, 0], [1, 0], [2, 1], [3, 0], [1, 0]]), min_share=0.2)
        array([ True, False])
    """
    if not 0 <= min_share < 1:
        raise ConfigError(f"min_share is {min_share}; give a share of the samples, 0 or more and below 1")
    seen = np.zeros(counts.shape[1], dtype=np.int64)
    for _, block in row_blocks(by_rows(counts)):
        seen += np.count_nonzero(block > 0, axis=0)
    return np.asarray(seen / counts.shape[0] > min_share)
