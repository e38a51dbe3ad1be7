# SPDX-License-Identifier: BSD-3-Clause
"""Where a plot is drawn, and which points are kept as pixels in a vector file."""

from matplotlib.axes import Axes

# Beyond this many points a PDF of vector marks opens slowly and gains nothing.
MAX_VECTOR_POINTS = 2_000


def axes_or_new(ax: Axes | None) -> Axes:
    """The Axes to draw on: `ax` itself, or the only one of a new pyplot figure.

    Args:
        ax: The user's Axes, or None.

    Returns:
        `ax`, or Axes that fit their labels and a legend beside them.

    Example:
        >>> from matplotlib.figure import Figure
        >>> mine = Figure().subplots()
        >>> axes_or_new(mine) is mine
        True
    """
    if ax is not None:
        return ax
    # Only here: whoever passes Axes of their own, e.g. on a server, never touches pyplot's global state.
    import matplotlib.pyplot as plt

    _, new = plt.subplots(layout="constrained")
    return new


def too_many_for_vectors(n_points: int) -> bool:
    """Whether to rasterise the points of a plot.

    Args:
        n_points: Points in the whole plot.

    Example:
        >>> too_many_for_vectors(2_000), too_many_for_vectors(2_001)
        (False, True)
    """
    return n_points > MAX_VECTOR_POINTS
