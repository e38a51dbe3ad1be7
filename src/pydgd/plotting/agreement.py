# SPDX-License-Identifier: BSD-3-Clause
"""What was counted against what the closest normal expects."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.genes import Calls, genes_of_sample, scatter_calls, title_of
from pydgd.plotting.local import local_median
from pydgd.stats import quantile


def observed_expected(
    table: pd.DataFrame,
    *,
    sample: str | None = None,
    padj: float = 0.05,
    log2fc: float = 1.0,
    band: float | None = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Observed reads of each gene against the reads that its closest normal expects.

    Genes on the diagonal are as in the healthy sample. Both axes are linear below 1 read, so that zeros show.

    Args:
        table: What `pydgd.differential_expression` returns.
        sample: The sample's name; may be left out if the table has only one.
        padj: Adjusted p-value that a coloured gene stays below.
        log2fc: Smallest absolute log2 fold change of a coloured gene.
        band: Share of a healthy gene's reads that the shaded band holds, by the count distribution with the
            median dispersion of genes of that mean; between 0 and 1, or None for no band.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If a column or the sample is not in the table, the sample has no gene with a value, or
            `band` is out of range.

    Example:
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"sample": "T1", "gene": ["TP53", "MYC"], "observed": [9, 80],
        ...                       "baseMean": [10.0, 10.0], "log2FoldChange": [-0.15, 3.0],
        ...                       "padj": [0.9, 1e-8], "r": [5.0, 5.0]})
        >>> ax = observed_expected(table, ax=Figure().subplots())
        >>> ax.get_legend_handles_labels()[1]
        ['95 % of healthy reads', 'unchanged (1)', 'down (0)', 'up (1)']
    """
    if band is not None and not 0 < band < 1:
        raise ValueError(f"band is {band}; allowed is 0 < band < 1, a share such as 0.95, or None")
    genes = genes_of_sample(table, sample, ["observed", "baseMean", *(["r"] if band else [])])
    ax = axes_or_new(ax)
    expected, observed = (genes[name].to_numpy(dtype=float) for name in ("baseMean", "observed"))
    if band is not None:
        _draw_band(ax, expected, genes["r"].to_numpy(dtype=float), share=band)
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
    ax.set_title(title_of(genes))
    ax.legend(loc="upper left", fontsize="small")
    return ax


def _draw_band(ax: Axes, mean: NDArray[np.float64], r: NDArray[np.float64], *, share: float) -> None:
    """Between the quantiles that leave out as many reads below as above."""
    place, usual_r = local_median(mean, r)
    lower, upper = (quantile(p, place, usual_r) for p in ((1 - share) / 2, (1 + share) / 2))
    ax.fill_between(
        place,
        lower,
        upper,
        color="0.85",
        linewidth=0,
        zorder=0.5,
        label=f"{100 * share:g} % of healthy reads",
    )
    # Where points cover the band its edges still show.
    for edge in (lower, upper):
        ax.plot(place, edge, color="0.3", linewidth=0.7, linestyle=":", zorder=2.4)
