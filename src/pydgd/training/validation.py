# SPDX-License-Identifier: BSD-3-Clause
"""Which samples are held out to watch the training."""

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pydgd.stats.named_uniforms import named_uniforms
from pydgd.training.counts import evenly_spaced

_log = logging.getLogger(__name__)

MOST_HELD_OUT = 1_000
"""Nothing that is learnt on them is known better from more."""
# One group may be most of the samples; what watches should never be more than a fifth of them by accident.
MOST_SHARE = 0.2
# Of fewer groups none is held out.
FEWEST_GROUPS = 10


def split_groups(
    groups: Sequence[str], *, share: float, seed: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split samples so that no group (donor) is on both sides, by the groups' names.

    Each name draws a number of its own, and the groups with the smallest numbers are held out. So who is held
    out hardly changes when samples come or go, and what is calibrated on them differs no more between two
    runs than the runs do.

    Args:
        groups: Group of each sample, (N,).
        share: Share of the samples to hold out; whole groups are taken until it is reached, or
            `MOST_HELD_OUT` samples are. A group that would make it more than double, and a fifth of all
            samples, or half of them, is passed over.
        seed: Another one holds out others.

    Returns:
        Row numbers to train on and to hold out, ascending. Nothing is held out when `share` is 0 or there are
        fewer than ten groups. Of groups so large that more than twice `MOST_HELD_OUT` samples would be, the
        others are in neither.

    Example:
        >>> donors = list("aabbccddeeffgghhiijj")
        >>> train, held_out = split_groups(donors, share=0.1)
        >>> len(train), len(held_out)
        (18, 2)
    """
    names, member_of = np.unique(np.asarray(groups), return_inverse=True)
    everyone = np.arange(len(member_of))
    if share > 0 and len(names) < FEWEST_GROUPS:
        _log.info("nothing is held out: %d groups of samples are too few to spare one", len(names))
    if share == 0 or len(names) < FEWEST_GROUPS:
        return everyone, everyone[:0]
    sizes, wanted = np.bincount(member_of), min(math.ceil(share * len(member_of)), MOST_HELD_OUT)
    limit = min(max(2 * wanted, MOST_SHARE * len(member_of)), len(member_of) / 2)
    held_out: list[int] = []
    numbers = named_uniforms(names.astype(str).tolist(), ["held out"], seed=seed)[:, 0]
    for group in numbers.argsort(kind="stable").tolist():
        n_held_out = sizes[held_out].sum()
        if n_held_out < wanted and n_held_out + sizes[group] <= limit:
            held_out.append(group)
    chosen = np.isin(member_of, held_out)
    watching = everyone[chosen]
    return everyone[~chosen], watching[evenly_spaced(len(watching), 2 * MOST_HELD_OUT)]
