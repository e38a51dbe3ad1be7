# SPDX-License-Identifier: BSD-3-Clause
"""Names beside points, placed so that they neither hide each other nor more points than needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

# A letter of a sans-serif font is about 0.6 em wide; a line 1.2 em high.
_LETTER, _LINE = 0.62, 1.25
_GAP = 4.0  # points between a mark and its name
# Beside the point first, then around it, then further away in rising rings.
_DIRECTIONS = np.array([(1, 0), (-1, 0), (1, 1), (-1, 1), (0, 1), (1, -1), (-1, -1), (0, -1)], dtype=float)
_RINGS = (1.0, 3.0, 6.0, 9.0)


def place_names(
    ax: Axes,
    places: NDArray[np.float64],
    names: Sequence[str],
    *,
    others: NDArray[np.float64],
    font_size: str | float = "small",
) -> None:
    """Write a name beside each place, in the free spot that hides fewest points.

    Call it last: it reckons with the limits that the Axes have now. Good for some twenty names.

    Args:
        ax: Where to write.
        places: Positions of the named points in data units, shape (n_names, 2).
        names: Their names; what is no text must be escaped by the caller.
        others: Positions of all points that a name should not hide, shape (n_points, 2).
        font_size: As matplotlib takes it.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> place_names(ax, np.array([[0.5, 0.5]]), ["TP53"], others=np.empty((0, 2)))
        >>> [text.get_text() for text in ax.texts]
        ['TP53']
    """
    # Limits and layout settle only when a figure is drawn; names placed before would drift.
    ax.figure.canvas.figure.draw_without_rendering()
    points_per_pixel = 72.0 / ax.figure.dpi
    to_points = ax.transData
    marks, crowd = (to_points.transform(xy) * points_per_pixel for xy in (places, others))
    frame = np.concatenate([ax.bbox.min, ax.bbox.max]) * points_per_pixel
    size = FontProperties(size=font_size).get_size_in_points()
    taken = np.empty((0, 4))
    for place, mark, name in zip(places, marks, names, strict=True):
        box = _best_box(mark, _extent(name, size), frame, taken, np.vstack([crowd, marks]))
        taken = np.vstack([taken, box])
        _write(ax, name, place, (box[:2] + box[2:]) / 2 - mark, size=size)


def _extent(name: str, size: float) -> NDArray[np.float64]:
    return np.array([_LETTER * size * len(name), _LINE * size])


def _best_box(
    mark: NDArray[np.float64],
    extent: NDArray[np.float64],
    frame: NDArray[np.float64],
    taken: NDArray[np.float64],
    crowd: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The cheapest box (left, bottom, right, top) for a name, all in points."""
    rings = np.repeat(_RINGS, len(_DIRECTIONS))
    directions = np.tile(_DIRECTIONS, (len(_RINGS), 1))
    centres = mark + directions * (extent / 2 + _GAP * rings[:, None])
    boxes = np.hstack([centres - extent / 2, centres + extent / 2])
    outside = np.maximum(frame[:2] - boxes[:, :2], 0).sum(1) + np.maximum(boxes[:, 2:] - frame[2:], 0).sum(1)
    # An overlap with another name is worst, then leaving the frame, then hidden points, then distance.
    cost = 1e4 * _overlaps(boxes, taken) + 1e2 * outside + 2.0 * _hidden(boxes, crowd) + rings
    best: NDArray[np.float64] = boxes[int(np.argmin(cost))]
    return best


def _overlaps(boxes: NDArray[np.float64], taken: NDArray[np.float64]) -> NDArray[Any]:
    """How many taken boxes each box touches."""
    apart = (boxes[:, None, 2:] <= taken[None, :, :2]) | (boxes[:, None, :2] >= taken[None, :, 2:])
    return np.asarray((~apart.any(axis=2)).sum(axis=1))


def _hidden(boxes: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[Any]:
    """How many points lie in each box."""
    inside = (points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])
    return np.asarray(inside.all(axis=2).sum(axis=1))


def _write(
    ax: Axes, name: str, place: NDArray[np.float64], offset: NDArray[np.float64], *, size: float
) -> None:
    far = float(np.abs(offset[1])) > 1.5 * size
    ax.annotate(
        # A dollar sign would start mathematics.
        name.replace("$", r"\$"),
        xy=(float(place[0]), float(place[1])),
        xytext=(float(offset[0]), float(offset[1])),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=size,
        arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "0.5"} if far else None,
    )
