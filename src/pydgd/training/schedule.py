# SPDX-License-Identifier: BSD-3-Clause
"""Learning rates over a run, by name."""

import math
from collections.abc import Callable

# Share of the run in which one_cycle rises, and what it starts and ends at, as shares of the peak.
RISE, FIRST, LAST = 0.1, 0.04, 1e-4


def one_cycle(progress: float) -> float:
    """Rise along a cosine to 1 at a tenth of the run, fall to 1e-4 (Smith & Topin 2018, arXiv:1708.07120)."""
    if progress < RISE:
        return _cosine(FIRST, 1.0, progress / RISE)
    return _cosine(1.0, LAST, (progress - RISE) / (1 - RISE))


def cosine(progress: float) -> float:
    """Fall along a cosine from 1 to 1e-4 (Loshchilov & Hutter 2017, arXiv:1608.03983)."""
    return _cosine(1.0, LAST, progress)


def constant(progress: float) -> float:  # noqa: ARG001  # every schedule is called alike
    """Always 1."""
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one_cycle": one_cycle,
    "cosine": cosine,
    "constant": constant,
}
"""Name to function of the share of the run that is done, giving the share of the peak learning rate."""


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))
