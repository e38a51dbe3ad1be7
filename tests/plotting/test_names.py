# SPDX-License-Identifier: BSD-3-Clause
"""Names beside points: where they are, and what leads to them."""

import numpy as np
from matplotlib.text import Text

from pydgd.plotting.names import place_names


def boxes(ax) -> list:
    ax.figure.draw_without_rendering()
    # Without the line that leads there.
    return [Text.get_window_extent(text) for text in ax.texts]


def test_names_of_crowded_points_do_not_overlap(ax) -> None:
    """Ten points within a tenth of the Axes."""
    places = np.random.default_rng(0).uniform(0.45, 0.55, size=(10, 2))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    place_names(ax, places, [f"GENE{i}" for i in range(10)], others=places)
    found = boxes(ax)
    assert not [1 for i, box in enumerate(found) for other in found[:i] if box.overlaps(other)]


def test_a_line_leads_to_a_far_name_and_starts_at_its_edge(ax) -> None:
    """Not in the middle of the text; names that touch their point need none."""
    places = np.vstack([np.full((6, 2), 0.5), [[0.1, 0.1]]])
    ax.set(xlim=(0, 1), ylim=(0, 1))
    place_names(ax, places, [f"GENE{i}" for i in range(7)], others=places)
    leaders = [text.arrow_patch for text in ax.texts]
    assert leaders[-1] is None
    far = [text for text in ax.texts if text.arrow_patch is not None]
    assert far
    assert all(set(text.arrowprops["relpos"]) & {0.0, 1.0} for text in far)
