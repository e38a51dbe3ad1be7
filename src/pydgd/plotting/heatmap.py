# SPDX-License-Identifier: BSD-3-Clause
"""Residuals of many samples at a glance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.palette import DIVERGING
from pydgd.plotting.text import plain
from pydgd.words import plural

# More names than this along an axis run into each other.
_MAX_NAMES = 60


def residual_heatmap(
    residuals: pd.DataFrame,
    *,
    n_genes: int = 50,
    limit: float = 5.0,
    ordered: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Heatmap of residuals, samples in rows: the genes with the largest ones, red for too many reads.

    Args:
        residuals: Samples × genes, signed z-scores; or the table of `pydgd.differential_expression`, whose
            ``stat`` is taken. Missing values are white.
        n_genes: How many genes to show: those of the largest mean absolute residual.
        limit: Residual at which the colours end, > 0; the same for all pictures, so that they compare.
        ordered: Put like samples and like genes side by side, by their first principal component; else both
            stay in the order given.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes; a colour bar stands beside them.

    Raises:
        ValueError: If there is no sample or no gene with a residual, or `n_genes` or `limit` is out of range.

    Example:
        >>> from matplotlib.figure import Figure
        >>> z = pd.DataFrame({"TP53": [0.1, -6.0], "ACTB": [0.2, 0.1]}, index=["T1", "T2"])
        >>> ax = residual_heatmap(z, n_genes=1, ax=Figure().subplots())
        >>> [tick.get_text() for tick in ax.get_xticklabels()]
        ['TP53']
    """
    if n_genes < 1 or not limit > 0:
        raise ValueError(f"n_genes is {n_genes} and limit {limit}; allowed are n_genes >= 1 and limit > 0")
    shown = _largest(_wide(residuals), n_genes)
    if ordered:
        shown = shown.iloc[_by_likeness(shown.to_numpy()), _by_likeness(shown.to_numpy().T)]
    ax = axes_or_new(ax)
    image = ax.imshow(shown.to_numpy(), aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit)
    for axis, names, what in ((ax.xaxis, shown.columns, "gene"), (ax.yaxis, shown.index, "sample")):
        if len(names) <= _MAX_NAMES:
            axis.set_ticks(range(len(names)), [plain(name) for name in names], fontsize="small")
        else:
            axis.set_ticks([])
            axis.set_label_text(plural(len(names), what))
    ax.tick_params(axis="x", labelrotation=90)
    ax.figure.colorbar(image, ax=ax, label="residual (z)", extend="both")
    return ax


def _wide(residuals: pd.DataFrame) -> pd.DataFrame:
    """Samples × genes with at least one number in each."""
    if {"sample", "gene", "stat"} <= set(residuals.columns):
        residuals = residuals.pivot(index="sample", columns="gene", values="stat")
    found = residuals.dropna(axis=1, how="all")
    if 0 in found.shape:
        raise ValueError(
            f"nothing to plot: residuals has {residuals.shape[0]} samples x {residuals.shape[1]} genes, none "
            "with a residual"
        )
    try:
        return found.astype(float)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "residuals must be numbers, samples x genes, or a table with sample, gene and stat"
        ) from error


def _largest(residuals: pd.DataFrame, n_genes: int) -> pd.DataFrame:
    size = np.nanmean(np.abs(residuals.to_numpy()), axis=0)
    chosen = np.sort(np.argsort(-size, kind="stable")[:n_genes])
    return residuals.iloc[:, chosen]


def _by_likeness(rows: NDArray[np.float64]) -> NDArray[np.int_]:
    """Order of rows along their first principal component, its largest loading upwards."""
    filled = np.nan_to_num(rows, posinf=0.0, neginf=0.0)
    centred = filled - filled.mean(axis=0)
    # Through the smaller of the two products: ten thousand samples of fifty genes take milliseconds.
    if len(rows) > rows.shape[1]:
        axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    else:
        axis = centred.T @ np.linalg.eigh(centred @ centred.T)[1][:, -1]
    axis = axis * (1.0 if axis[np.argmax(np.abs(axis))] >= 0 else -1.0)
    return np.argsort(centred @ axis, kind="stable")
