# SPDX-License-Identifier: BSD-3-Clause
"""What was counted against what the closest normal expects."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.genes import Calls, genes_of_sample, scatter_calls


def observed_expected(
    table: pd.DataFrame,
    *,
    sample: str | None = None,
    padj: float = 0.05,
    log2fc: float = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Observed reads of each gene against the reads that its closest normal expects.

    Genes on the diagonal are as in the healthy sample. Both axes are linear below 1 read, so that zeros show.

    Args:
        table: What `pydgd.differential_expression` returns.
        sample: The sample's name; may be left out if the table has only one.
        padj: Adjusted p-value that a coloured gene stays below.
        log2fc: Smallest absolute log2 fold change of a coloured gene.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If a column or the sample is not in the table, or the sample has no gene with a value.

    Example:
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"sample": "T1", "gene": ["TP53", "MYC"], "observed": [9, 80],
        ...                       "baseMean": [10.0, 10.0], "log2FoldChange": [-0.15, 3.0],
        ...                       "padj": [0.9, 1e-8]})
        >>> ax = observed_expected(table, ax=Figure().subplots())
        >>> ax.get_legend_handles_labels()[1]
        ['unchanged (1)', 'down (0)', 'up (1)']
    """
    genes = genes_of_sample(table, sample, ["observed", "baseMean"])
    ax = axes_or_new(ax)
    expected, observed = (genes[name].to_numpy(dtype=float) for name in ("baseMean", "observed"))
    scatter_calls(ax, expected, observed, Calls.of(genes, padj=padj, log2fc=log2fc))
    top = max(1.0, float(np.max([expected.max(), observed.max()]))) * 2.0
    ax.plot([0.0, top], [0.0, top], color="0.2", linewidth=0.8, zorder=2.5)
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_yscale("symlog", linthresh=1.0)
    # A little below zero, so that genes without reads are not cut in half.
    ax.set_xlim(-0.2, top)
    ax.set_ylim(-0.2, top)
    ax.set_xlabel("reads expected by the closest normal")
    ax.set_ylabel("reads observed")
    ax.set_title(str(genes["sample"].iloc[0]).replace("$", r"\$"))
    ax.legend(loc="upper left", fontsize="small")
    return ax
