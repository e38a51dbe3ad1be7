# SPDX-License-Identifier: BSD-3-Clause
"""Bars with names: gene sets of a sample, and genes that many samples share."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.genes import Calls
from pydgd.plotting.palette import DOWN, NEITHER, UP
from pydgd.plotting.text import plain

_NAME_WIDTH = 45
# Room for so many bars at least: one alone would be a wall.
_FEWEST_BARS = 6


def enrichment_bars(
    table: pd.DataFrame,
    *,
    sample: str | None = None,
    value: str = "padj",
    top: int = 15,
    padj: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Bars of the gene sets that a sample's changed genes fall into, the surest on top.

    Args:
        table: One row per gene set (and sample): ``gene_set``, ``padj`` and, where several samples are in it,
            ``sample``; ``n_overlap`` and ``n_genes``, if there, are written beside the bars.
        sample: The sample's name; may be left out if the table has only one or no such column.
        value: ``"padj"`` for bars of -log10 of it, or another column, e.g. an enrichment score.
        top: How many sets to show.
        padj: Adjusted p-value below which a bar is coloured.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If a column or the sample is missing, or no set has a value.

    Example:
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"gene_set": ["Apoptosis", "Hypoxia"], "padj": [0.4, 1e-6]})
        >>> ax = enrichment_bars(table, ax=Figure().subplots())
        >>> [tick.get_text() for tick in ax.get_yticklabels()]
        ['Hypoxia', 'Apoptosis']
    """
    sets = _sets_of_sample(table, sample, value)
    sets = sets.sort_values(["padj", "gene_set"], kind="stable").head(top)
    # The smallest float stands for p-values that are 0.
    length = sets[value] if value != "padj" else -np.log10(sets["padj"].clip(lower=np.finfo(float).tiny))
    ax = axes_or_new(ax)
    colours = np.where(sets["padj"] < padj, UP, NEITHER).tolist()
    bars = ax.barh(np.arange(len(sets)), length.to_numpy(dtype=float), color=colours)
    if {"n_overlap", "n_genes"} <= set(sets.columns):
        pairs = zip(sets["n_overlap"], sets["n_genes"], strict=True)
        ax.bar_label(bars, [f"{k:,.0f} of {n:,.0f}" for k, n in pairs], padding=3, fontsize="small")
        ax.margins(x=0.15)
    names = [textwrap.fill(plain(str(name).replace("_", " ")), _NAME_WIDTH) for name in sets["gene_set"]]
    ax.set_yticks(range(len(sets)), names, fontsize="small")
    ax.set_ylim(*_limits(len(sets)))
    if value == "padj":
        ax.axvline(-np.log10(padj), color="0.4", linewidth=0.8, linestyle="--")
    ax.set_xlabel(r"$-\log_{10}$ adjusted p" if value == "padj" else plain(value))
    if "sample" in sets.columns:
        ax.set_title(plain(sets["sample"].iloc[0]))
    return ax


def recurrence(
    table: pd.DataFrame,
    *,
    group: str | None = None,
    top: int = 25,
    padj: float = 0.05,
    log2fc: float = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Bars of the genes that are called in most samples of a cohort: up to the right, down to the left.

    Args:
        table: One row per gene: ``gene``, ``n_up`` and ``n_down`` (samples in which it is called) and
            ``n_tested`` or ``n_samples`` (in which it is tested), as `pydgd.tl.aberrant_genes` and
            `pydgd.tl.recurrence` return them; or the table of `pydgd.differential_expression`, in which calls
            are counted.
        group: Group of samples, if the table has a column ``group`` with several.
        top: How many genes to show; of two called equally often the one that comes first in the alphabet.
        padj: Adjusted p-value that a call stays below, where calls are counted here.
        log2fc: Smallest absolute log2 fold change of a call, where calls are counted here.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If a column is missing, or no gene is called.

    Example:
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"gene": ["TP53", "MYC"], "n_up": [0, 3], "n_down": [2, 0], "n_tested": 4})
        >>> ax = recurrence(table, ax=Figure().subplots())
        >>> [tick.get_text() for tick in ax.get_yticklabels()]
        ['MYC', 'TP53']
    """
    counted = table if "n_up" in table.columns else count_calls(table, padj=padj, log2fc=log2fc)
    if "n_tested" not in counted.columns:
        counted = counted.rename(columns={"n_samples": "n_tested"})
    counted = _rows_of(counted, "group", group)
    _check_columns(counted, ("gene", "n_up", "n_down", "n_tested"))
    counted = counted.assign(n_called=counted["n_up"] + counted["n_down"], gene=counted["gene"].astype(str))
    counted = counted[counted["n_called"] > 0]
    if counted.empty:
        raise ValueError("nothing to plot: no gene is called in any sample; try a larger padj")
    shown = counted.sort_values(["n_called", "gene"], ascending=[False, True], kind="stable").head(top)
    ax = axes_or_new(ax)
    places = np.arange(len(shown))
    ax.barh(places, shown["n_up"].to_numpy(), color=UP, label="up")
    ax.barh(places, -shown["n_down"].to_numpy(), color=DOWN, label="down")
    ax.axvline(0.0, color="0.2", linewidth=0.8)
    ax.set_yticks(places, [plain(name) for name in shown["gene"]], fontsize="small")
    ax.set_ylim(*_limits(len(shown)))
    end = 1.05 * float(shown[["n_up", "n_down"]].to_numpy().max())
    ax.set_xlim(-end, end)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{abs(n):,.0f}"))
    ax.set_xlabel(f"samples in which the gene is called, of {int(shown['n_tested'].max()):,}")
    ax.legend(loc="lower right", fontsize="small")
    if group is not None:
        ax.set_title(plain(group))
    return ax


def count_calls(table: pd.DataFrame, *, padj: float = 0.05, log2fc: float = 1.0) -> pd.DataFrame:
    """In how many samples each gene is called.

    Args:
        table: What `pydgd.differential_expression` returns, all genes of all samples.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        ``gene``, ``n_up``, ``n_down`` and ``n_tested``, the samples in which the gene was tested.

    Raises:
        ValueError: If a column is missing.
    """
    _check_columns(table, ("sample", "gene", "log2FoldChange", "padj"))
    calls = Calls.of(table, padj=padj, log2fc=log2fc)
    each = pd.DataFrame(
        {
            "gene": table["gene"].to_numpy(),
            "n_up": calls.up,
            "n_down": calls.down,
            "n_tested": table["padj"].notna().to_numpy(),
        }
    )
    return each.groupby("gene", observed=True, sort=False).sum().reset_index()


def _limits(n_bars: int) -> tuple[float, float]:
    """Of the vertical axis: the first bar on top."""
    return max(n_bars, _FEWEST_BARS) - 0.5, -0.5


def _check_columns(table: pd.DataFrame, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"table lacks the columns {', '.join(missing)}; it has {', '.join(table.columns)}")


def _sets_of_sample(table: pd.DataFrame, sample: str | None, value: str) -> pd.DataFrame:
    """The rows of one sample that have a value."""
    _check_columns(table, ("gene_set", "padj", value))
    table = _rows_of(table, "sample", sample)
    rows = table.dropna(subset=["padj", value])
    if rows.empty:
        raise ValueError(f"nothing to plot: no gene set has a value in padj and {value}")
    return rows


def _rows_of(table: pd.DataFrame, column: str, wanted: str | None) -> pd.DataFrame:
    """The rows of one sample or group; all rows if there is no such column."""
    if column not in table.columns:
        return table
    names = table[column].astype(str)
    found = names.unique().tolist()
    if wanted is None and len(found) > 1:
        raise ValueError(
            f"the table has {len(found)} {column}s; say which with {column}=..., e.g. {found[0]!r}"
        )
    if wanted is not None and wanted not in found:
        raise ValueError(f"no {column} {wanted!r} in the table; there is {', '.join(found[:5])}")
    return table if wanted is None else table[names == wanted]
