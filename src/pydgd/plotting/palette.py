# SPDX-License-Identifier: BSD-3-Clause
"""Colours and marks that colour-blind readers tell apart."""

from collections.abc import Iterable

# Okabe & Ito (2008), "Color Universal Design"; strongest contrast on white first, yellow last.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#F0E442")
# The star is kept for queries.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")

UP, DOWN, NEITHER = "#D55E00", "#0072B2", "#B0B0B0"
# Colour maps of matplotlib that do not rest on red against green.
DIVERGING, SEQUENTIAL = "RdBu_r", "cividis"


def label_styles(labels: Iterable[object]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each label, the same whatever the order of the samples.

    Of the first eight labels each has a colour and a marker of its own; the next eight have the same colours
    with other markers, and so on: 64 labels differ, further ones start over.

    Args:
        labels: Labels, repeated as they come.

    Returns:
        Label to (colour, marker), in alphabetic order.

    Example:
        >>> label_styles(["liver", "kidney", "liver"])
        {'kidney': ('#0072B2', 'o'), 'liver': ('#D55E00', 's')}
    """
    names = sorted({str(label) for label in labels})
    rounds = {name: divmod(place, len(COLOURS)) for place, name in enumerate(names)}
    return {
        name: (COLOURS[colour], MARKERS[(colour + turn) % len(MARKERS)])
        for name, (turn, colour) in rounds.items()
    }
