# SPDX-License-Identifier: BSD-3-Clause
"""How training went."""

import pandas as pd
from matplotlib.axes import Axes

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.palette import COLOURS

_CURVES = {"train_nll": "training samples", "validation_nll": "held-out samples"}


def loss_history(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Negative log-likelihood per count over the epochs of training, and the epoch that was best.

    Args:
        history: ``DGD.history``: epoch, train_nll and, if samples were held out, validation_nll.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If there is no epoch or a column is missing.

    Example:
        >>> from matplotlib.figure import Figure
        >>> history = pd.DataFrame({"epoch": [1, 2], "train_nll": [6.4, 5.9], "validation_nll": [6.5, 6.0]})
        >>> [line.get_label() for line in loss_history(history, ax=Figure().subplots()).lines][:2]
        ['training samples', 'held-out samples']
    """
    missing = [name for name in ("epoch", "train_nll") if name not in history.columns]
    if missing:
        raise ValueError(f"history lacks the columns {', '.join(missing)}; pass DGD.history")
    if history.empty:
        raise ValueError("nothing to plot: the history has no epoch")
    ax = axes_or_new(ax)
    for (column, label), colour in zip(_CURVES.items(), COLOURS, strict=False):
        measured = history.dropna(subset=[column]) if column in history.columns else history.iloc[:0]
        if len(measured):
            # A single epoch, or one measured between others, would be an invisible line.
            marker = "o" if len(measured) < 3 else None
            ax.plot(measured["epoch"], measured[column], color=colour, label=label, marker=marker)
    _mark_best(ax, history)
    ax.set_xlabel("epoch")
    ax.set_ylabel("negative log-likelihood per count (nats)")
    ax.legend()
    return ax


def _mark_best(ax: Axes, history: pd.DataFrame) -> None:
    if "validation_nll" not in history.columns or history["validation_nll"].isna().all():
        return
    epoch, nll = history.loc[
        history["validation_nll"] == history["validation_nll"].min(), ["epoch", "validation_nll"]
    ].iloc[0]
    ax.axvline(
        float(epoch),
        color="0.4",
        linewidth=0.8,
        linestyle="--",
        label=f"best: epoch {epoch:.0f}, {nll:.3f}",
    )
