# SPDX-License-Identifier: BSD-3-Clause
"""Which samples are held out to watch the training."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def split_groups(
    groups: Sequence[str], *, share: float, generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split samples so that no group (donor) is on both sides.

    Args:
        groups: Group of each sample, (N,).
        share: Share of the samples to hold out; whole groups are taken until it is reached.
        generator: Order in which groups are taken.

    Returns:
        Row numbers to train on and to hold out, ascending. Nothing is held out when `share` is 0 or there are
        fewer than ten groups.

    Example:
        >>> train, held_out = split_groups(list("aabbccddeeffgghhiijj"), share=0.1, generator=np.random.default_rng(0))
        >>> len(train), len(held_out)
        (18, 2)
    """
    names, member_of = np.unique(np.asarray(groups), return_inverse=True)
    everyone = np.arange(len(member_of))
    if share == 0 or len(names) < 10:
        return everyone, everyone[:0]
    order = generator.permutation(len(names))
    sizes = np.bincount(member_of)[order].cumsum()
    n_groups = int(np.searchsorted(sizes, math.ceil(share * len(member_of)))) + 1
    held_out = np.isin(member_of, order[: min(n_groups, len(names) - 1)])
    return everyone[~held_out], everyone[held_out]
