# SPDX-License-Identifier: BSD-3-Clause
"""Where samples lie in latent space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from pydgd.plotting.axes import axes_or_new, too_many_for_vectors
from pydgd.plotting.colouring import Colouring, colouring
from pydgd.plotting.names import place_names
from pydgd.plotting.projection import METHODS, Plane
from pydgd.plotting.text import plain

Points = pd.DataFrame | NDArray[Any]
Labels = pd.Series | Sequence[object]

# More names than this become a thicket.
_MAX_NAMES = 20
_ROWS_OF_LEGEND = 22


def latent_map(
    representations: Points,
    *,
    labels: Labels | None = None,
    queries: Points | None = None,
    query_labels: Labels | None = None,
    method: str = "pca",
    ax: Axes | None = None,
) -> Axes:
    """Map of the latent space: training samples, and queries on top as stars.

    The axes are fitted on the training samples alone, so a query never moves them. Up to twenty queries are
    named.

    Args:
        representations: Training samples × latent dimensions, e.g. ``DGD.representations``, or the columns of
            an embedding.
        labels: What colours each training sample: words, e.g. its tissue, ``DGD.labels``, or numbers, which
            get a colour bar; a Series is matched by name.
        queries: Query samples × latent dimensions.
        query_labels: Label of each query in the words (or numbers) of `labels`; it gives the star its colour.
        method: ``"pca"``, or ``"columns"`` for the first two columns as they are.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If there is no sample, shapes or labels do not match, or the method is unknown.

    Example:
        >>> from matplotlib.figure import Figure
        >>> z = pd.DataFrame([[0.0, 1.0], [2.0, 0.0], [4.0, 1.0]], index=["S1", "S2", "S3"])
        >>> latent_map(z, labels=["liver", "liver", "kidney"], ax=Figure().subplots()).get_xlabel()
        'PC 1 (92 % of variance)'
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(map(repr, METHODS))}")
    train = _matrix(representations, "representations")
    plane = METHODS[method](train)
    colours = colouring(
        _labels_of(representations, labels, "labels"), _labels_of(queries, query_labels, "query_labels")
    )
    ax = axes_or_new(ax)
    places = plane.project(train)
    _draw_samples(ax, places, colours)
    _name_axes(ax, plane, representations)
    if queries is not None:
        stars = plane.project(_matrix(queries, "queries", n_dims=train.shape[1]))
        _draw_queries(ax, stars, colours)
        if len(stars) <= _MAX_NAMES and isinstance(queries, pd.DataFrame):
            place_names(ax, stars, queries.index.astype(str).tolist(), others=places)
    _legend(ax, colours)
    colours.explain(ax)
    return ax


def _matrix(points: Points, what: str, *, n_dims: int | None = None) -> NDArray[np.float64]:
    """Finite numbers, samples × dimensions, at least one."""
    matrix = np.asarray(points, dtype=float)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(
            f"nothing to plot: {what} has shape {matrix.shape}; give samples x latent dimensions"
        )
    if n_dims is not None and matrix.shape[1] != n_dims:
        raise ValueError(f"{what} has {matrix.shape[1]} latent dimensions, the representations have {n_dims}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{what} has missing or infinite values; every sample needs a place")
    return matrix


def _labels_of(points: Points | None, labels: Labels | None, what: str) -> pd.Series | None:
    """One label per sample, or none at all; a Series goes by the names of the samples."""
    if labels is None or points is None:
        return None
    if isinstance(labels, pd.Series) and isinstance(points, pd.DataFrame):
        return labels.reindex(points.index)
    if len(labels) != len(points):
        raise ValueError(f"{what} has {len(labels)} values for {len(points)} samples; give one for each")
    return labels if isinstance(labels, pd.Series) else pd.Series(list(labels))


def _name_axes(ax: Axes, plane: Plane, points: Points) -> None:
    for number, (axis, share) in enumerate(zip((ax.xaxis, ax.yaxis), plane.shares, strict=True)):
        if plane.is_given:
            names = points.columns if isinstance(points, pd.DataFrame) else pd.Index([])
            axis.set_label_text(plain(names[number]) if number < len(names) else f"dimension {number + 1}")
        else:
            known = "" if np.isnan(share) else f" ({100 * share:.0f} % of variance)"
            axis.set_label_text(f"PC {number + 1}{known}")


def _draw_samples(ax: Axes, places: NDArray[np.float64], colours: Colouring) -> None:
    look: dict[str, Any] = {
        "s": 18,
        "alpha": 0.8,
        "linewidths": 0.3,
        "edgecolors": "0.3",
        "rasterized": too_many_for_vectors(len(places)),
    }
    for group in colours.samples(len(places)):
        ax.scatter(
            places[group.rows, 0], places[group.rows, 1], marker=group.marker, label=group.label,
            **group.colour, **look,
        )  # fmt: skip


def _draw_queries(ax: Axes, stars: NDArray[np.float64], colours: Colouring) -> None:
    size = 110 if len(stars) <= _MAX_NAMES else 45
    look: dict[str, Any] = {"marker": "*", "s": size, "edgecolors": "black", "linewidths": 0.7, "zorder": 3}
    ax.scatter(stars[:, 0], stars[:, 1], label="queries", **colours.queries(len(stars)), **look)


def _legend(ax: Axes, colours: Colouring) -> None:
    """Beside the plot, so that it hides no sample."""
    entries = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if "queries" in entries:
        # All stars together have no colour of their own.
        entries["queries"] = _star("white")
        entries |= {label: _star(colour) for label, colour in colours.of_queries_alone().items()}
    ax.legend(
        list(entries.values()),
        list(entries),
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        fontsize="small",
        ncols=1 + (len(entries) - 1) // _ROWS_OF_LEGEND,
        frameon=False,
    )


def _star(colour: str) -> Line2D:
    return Line2D([], [], linestyle="", marker="*", markersize=10, color=colour, markeredgecolor="black")
