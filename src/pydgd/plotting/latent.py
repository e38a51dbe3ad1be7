# SPDX-License-Identifier: BSD-3-Clause
"""Where samples lie in latent space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pydgd.plotting.axes import axes_or_new, too_many_for_vectors
from pydgd.plotting.names import place_names
from pydgd.plotting.palette import NEITHER, label_styles
from pydgd.plotting.projection import METHODS

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
        representations: Training samples × latent dimensions, e.g. ``DGD.representations``.
        labels: Label of each training sample, e.g. its tissue, ``DGD.labels``; a Series is matched by name.
        queries: Query samples × latent dimensions.
        query_labels: Label of each query in the words of `labels`; it gives the star its colour.
        method: ``"pca"``.
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
    names = _labels_of(representations, labels, "labels")
    query_names = _labels_of(queries, query_labels, "query_labels")
    styles = label_styles(names + query_names)
    ax = axes_or_new(ax)
    places = plane.project(train)
    _draw_samples(ax, places, names, styles)
    for number, (axis, share) in enumerate(zip((ax.xaxis, ax.yaxis), plane.shares, strict=True), 1):
        axis.set_label_text(
            f"PC {number}" + ("" if np.isnan(share) else f" ({share:.0%} of variance)".replace("%", " %"))
        )
    if queries is not None:
        stars = plane.project(_matrix(queries, "queries", n_dims=train.shape[1]))
        _draw_queries(ax, stars, query_names, styles)
        if len(stars) <= _MAX_NAMES and isinstance(queries, pd.DataFrame):
            place_names(ax, stars, queries.index.astype(str).tolist(), others=places)
    _legend(ax)
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


def _labels_of(points: Points | None, labels: Labels | None, what: str) -> list[str]:
    """One text per sample, or none at all; a Series goes by the names of the samples."""
    if labels is None or points is None:
        return []
    if isinstance(labels, pd.Series) and isinstance(points, pd.DataFrame):
        labels = labels.reindex(points.index).tolist()
    if len(labels) != len(points):
        raise ValueError(f"{what} has {len(labels)} values for {len(points)} samples; give one for each")
    given = pd.Series(list(labels), dtype=object)
    return given.where(given.notna(), "unknown").astype(str).tolist()


def _draw_samples(
    ax: Axes, places: NDArray[np.float64], labels: list[str], styles: dict[str, tuple[str, str]]
) -> None:
    look: dict[str, Any] = {
        "s": 18,
        "alpha": 0.8,
        "linewidths": 0.3,
        "edgecolors": "0.3",
        "rasterized": too_many_for_vectors(len(places)),
    }
    if not labels:
        ax.scatter(places[:, 0], places[:, 1], c=NEITHER, label="training samples", **look)
        return
    given = np.array(labels)
    for label in sorted(set(labels)):
        colour, marker = styles[label]
        chosen = places[given == label]
        ax.scatter(chosen[:, 0], chosen[:, 1], c=colour, marker=marker, label=label, **look)


def _draw_queries(
    ax: Axes, stars: NDArray[np.float64], labels: list[str], styles: dict[str, tuple[str, str]]
) -> None:
    colours = [styles[label][0] for label in labels] or ["white"] * len(stars)
    ax.scatter(
        stars[:, 0],
        stars[:, 1],
        s=110 if len(stars) <= _MAX_NAMES else 45,
        c=colours,
        marker="*",
        edgecolors="black",
        linewidths=0.7,
        label="queries",
        zorder=3,
    )


def _legend(ax: Axes) -> None:
    """Beside the plot, so that it hides no sample."""
    n_entries = len(ax.get_legend_handles_labels()[1])
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        fontsize="small",
        ncols=1 + (n_entries - 1) // _ROWS_OF_LEGEND,
        frameon=False,
    )
