# SPDX-License-Identifier: BSD-3-Clause
"""Names beside points, placed so that they neither hide each other nor more points than needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from pydgd.plotting.text import plain

# A letter of a sans-serif font is about 0.6 em wide; a line 1.2 em high.
_LETTER, _LINE = 0.62, 1.25
_GAP = 4.0  # points between a mark and its name
# Beside the point first, then around it, then further away in rising rings.
_DIRECTIONS = np.array([(1, 0), (-1, 0), (1, 1), (-1, 1), (0, 1), (1, -1), (-1, -1), (0, -1)], dtype=float)
_RINGS = (1.0, 3.0, 6.0, 9.0, 13.0)
_LEADER_POINTS = 12


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
    taken, leaders = np.empty((0, 4)), np.empty((0, 2))
    for place, mark, name in zip(places, marks, names, strict=True):
        boxes, far = _boxes(mark, _extent(name, size))
        lines = _leaders(mark, boxes)
        # An overlap with another name is worst, then a line through a name, then leaving the frame, then
        # hidden points, then distance.
        cost = (
            1e4 * _overlaps(boxes, taken)
            + 1e3 * (_hidden(boxes, leaders) + (far[:, None] & _any_inside(lines, taken)).sum(axis=1))
            + 1e2 * _outside(boxes, frame)
            + 2.0 * _hidden(boxes, np.vstack([crowd, marks]))
            + far
        )
        best = int(np.argmin(cost))
        taken = np.vstack([taken, boxes[best]])
        if far[best]:
            leaders = np.vstack([leaders, lines[best]])
        _write(ax, name, place, mark, boxes[best], with_leader=bool(far[best]), size=size)


def _extent(name: str, size: float) -> NDArray[np.float64]:
    return np.array([_LETTER * size * len(name), _LINE * size])


def _boxes(
    mark: NDArray[np.float64], extent: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where a name could be: boxes (left, bottom, right, top) in points, and whether each needs a line."""
    rings = np.repeat(_RINGS, len(_DIRECTIONS))
    directions = np.tile(_DIRECTIONS, (len(_RINGS), 1))
    centres = mark + directions * (extent / 2 + _GAP * rings[:, None])
    return np.hstack([centres - extent / 2, centres + extent / 2]), rings > _RINGS[0]


def _leaders(mark: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points along the line from a mark to the nearest edge of each box, (n_boxes, n_points, 2)."""
    ends = np.clip(mark, boxes[:, :2], boxes[:, 2:])
    steps = np.linspace(0.0, 1.0, _LEADER_POINTS)[None, :, None]
    return np.asarray(mark + steps * (ends - mark)[:, None, :])


def _outside(boxes: NDArray[np.float64], frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much each box leaves the frame."""
    low, high = np.maximum(frame[:2] - boxes[:, :2], 0), np.maximum(boxes[:, 2:] - frame[2:], 0)
    return np.asarray(low.sum(axis=1) + high.sum(axis=1))


def _any_inside(lines: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each line has a point in each box, (n_lines, n_boxes)."""
    points = lines[:, :, None, :]
    inside = (points >= boxes[None, None, :, :2]) & (points <= boxes[None, None, :, 2:])
    return np.asarray(np.any(inside.all(axis=3), axis=1))


def _overlaps(boxes: NDArray[np.float64], taken: NDArray[np.float64]) -> NDArray[Any]:
    """How many taken boxes each box touches."""
    apart = (boxes[:, None, 2:] <= taken[None, :, :2]) | (boxes[:, None, :2] >= taken[None, :, 2:])
    return np.asarray((~apart.any(axis=2)).sum(axis=1))


def _hidden(boxes: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[Any]:
    """How many points lie in each box."""
    inside = (points >= boxes[:, None, :2]) & (points <= boxes[:, None, 2:])
    return np.asarray(inside.all(axis=2).sum(axis=1))


def _write(
    ax: Axes,
    name: str,
    place: NDArray[np.float64],
    mark: NDArray[np.float64],
    box: NDArray[np.float64],
    *,
    with_leader: bool,
    size: float,
) -> None:
    """Write a name into its box; a thin line leads from its nearest edge to the mark if that is far."""
    (left, bottom), (right, top) = (corner - mark for corner in box.reshape(2, 2))
    edge = np.clip([-left / (right - left), -bottom / (top - bottom)], 0.0, 1.0)
    leader = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.5", "shrinkA": 0.0, "shrinkB": 0.0}
    ax.annotate(
        plain(name),
        xy=(float(place[0]), float(place[1])),
        xytext=(float(left + right) / 2, float(bottom + top) / 2),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=size,
        arrowprops={**leader, "relpos": (float(edge[0]), float(edge[1]))} if with_leader else None,
    )
