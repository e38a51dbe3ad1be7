# SPDX-License-Identifier: BSD-3-Clause
"""How much each gene changed against how sure that is."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.genes import Calls, genes_of_sample, name_surest, scatter_calls, title_of

_LN10 = float(np.log(10.0))


def volcano(
    table: pd.DataFrame,
    *,
    sample: str | None = None,
    padj: float = 0.05,
    log2fc: float = 1.0,
    label_top: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Volcano plot of one sample: log2 fold change against its closest normal, and -log10 p.

    p-values are drawn from their logarithms, so that none is too small to show.

    Args:
        table: What `pydgd.differential_expression` returns.
        sample: The sample's name; may be left out if the table has only one.
        padj: Adjusted p-value that a coloured gene stays below.
        log2fc: Smallest absolute log2 fold change of a coloured gene.
        label_top: How many coloured genes are named: the surest, half of them up and half down if possible.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If a column or the sample is not in the table, or the sample has no tested gene.

    Example:
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"sample": "T1", "gene": ["TP53", "MYC"], "log2FoldChange": [-0.1, 3.0],
        ...                       "padj": [0.9, 1e-8], "log_pvalue": [-0.1, -20.0]})
        >>> ax = volcano(table, sample="T1", ax=Figure().subplots())
        >>> [text.get_text() for text in ax.texts]
        ['MYC']
    """
    genes = genes_of_sample(table, sample, ["log2FoldChange", "padj", "log_pvalue"])
    calls = Calls.of(genes, padj=padj, log2fc=log2fc)
    ax = axes_or_new(ax)
    places = np.column_stack([genes["log2FoldChange"], genes["log_pvalue"] / -_LN10]).astype(float)
    scatter_calls(ax, places[:, 0], places[:, 1], calls)
    _thresholds(ax, genes, padj=padj, log2fc=log2fc)
    ax.set_xlabel(r"$\log_2$ fold change (observed / closest normal)")
    ax.set_ylabel(r"$-\log_{10}$ p")
    ax.set_title(title_of(genes))
    # Room above the highest points for their names.
    ax.margins(y=0.1)
    ax.set_ylim(bottom=0.0)
    ax.legend(loc=_emptier_corner(places), fontsize="small", framealpha=0.8)
    name_surest(ax, genes, calls, places, label_top)
    return ax


def _thresholds(ax: Axes, genes: pd.DataFrame, *, padj: float, log2fc: float) -> None:
    """Dashed lines at the smallest fold change and at the largest p that passes."""
    style: dict[str, Any] = {"color": "0.4", "linewidth": 0.8, "linestyle": "--", "zorder": 0.5}
    if log2fc > 0:
        for change in (-log2fc, log2fc):
            ax.axvline(change, **style)
    passing = genes.loc[genes["padj"] < padj, "log_pvalue"]
    if len(passing):
        ax.axhline(float(passing.max()) / -_LN10, **style)


def _emptier_corner(places: NDArray[np.float64]) -> Literal["upper left", "upper right"]:
    """The upper corner that the points rise less high in."""
    left, right = (np.max(places[side, 1], initial=0.0) for side in (places[:, 0] < 0, places[:, 0] > 0))
    return "upper left" if left <= right else "upper right"
