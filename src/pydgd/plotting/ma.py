# SPDX-License-Identifier: BSD-3-Clause
"""How much each gene changed against how much of it is expected."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.genes import Calls, genes_of_sample, name_surest, scatter_calls, title_of


def ma(
    table: pd.DataFrame,
    *,
    sample: str | None = None,
    padj: float = 0.05,
    log2fc: float = 1.0,
    label_top: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """MA plot of one sample: log2 fold change of each gene against the reads that are expected of it.

    The reads' axis is linear below 1, where genes are too dim for a logarithm to mean much.

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
        ...                       "padj": [0.9, 1e-8], "log_pvalue": [-0.1, -20.0], "baseMean": [9.0, 30.0]})
        >>> [text.get_text() for text in ma(table, ax=Figure().subplots()).texts]
        ['MYC']
    """
    genes = genes_of_sample(table, sample, ["baseMean", "log2FoldChange", "padj", "log_pvalue"])
    calls = Calls.of(genes, padj=padj, log2fc=log2fc)
    ax = axes_or_new(ax)
    places = genes[["baseMean", "log2FoldChange"]].to_numpy(dtype=float)
    scatter_calls(ax, places[:, 0], places[:, 1], calls)
    ax.axhline(0.0, color="0.2", linewidth=0.8, zorder=2.5)
    ax.set_xscale("symlog", linthresh=1.0)
    # A little below zero, so that genes without reads are not cut in half.
    ax.set_xlim(-0.2, max(1.0, float(np.max(places[:, 0]))) * 2.0)
    ax.set_xlabel("reads expected by the closest normal")
    ax.set_ylabel(r"$\log_2$ fold change (observed / closest normal)")
    ax.set_title(title_of(genes))
    ax.margins(y=0.1)
    ax.legend(loc="lower right", fontsize="small", framealpha=0.8)
    name_surest(ax, genes, calls, places, label_top)
    return ax
