# SPDX-License-Identifier: BSD-3-Clause
"""How variable genes are among healthy samples."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pydgd.plotting.axes import axes_or_new, too_many_for_vectors
from pydgd.plotting.local import local_median
from pydgd.plotting.palette import COLOURS, NEITHER
from pydgd.plotting.text import plain

KINDS = ("histogram", "violin", "box")

_N_BINS = 60


def dispersion_mean(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Dispersion 1/r of each gene (DESeq2's alpha) against its mean reads, and the median along the mean.

    Args:
        table: Columns ``gene``, ``baseMean`` and ``r``, as `pydgd.differential_expression` returns them; of
            several samples the mean of either is taken over the samples.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If a column is missing, or no gene has a finite r.

    Example:
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"gene": ["TP53", "MYC"], "baseMean": [30.0, 90.0], "r": [4.0, 10.0]})
        >>> dispersion_mean(table, ax=Figure().subplots()).get_legend_handles_labels()[1]
        ['2 genes', 'local median']
    """
    missing = [name for name in ("gene", "baseMean", "r") if name not in table.columns]
    if missing:
        raise ValueError(
            f"table lacks the columns {', '.join(missing)}; pass what pydgd.differential_expression returns"
        )
    genes = table.groupby("gene", observed=True, sort=False)[["baseMean", "r"]].mean()
    genes = genes[np.isfinite(genes["r"]) & (genes["r"] > 0) & (genes["baseMean"] > 0)]
    if genes.empty:
        raise ValueError("nothing to plot: no gene has a finite r; a Poisson model has no dispersion")
    ax = axes_or_new(ax)
    mean, dispersion = genes["baseMean"].to_numpy(), 1 / genes["r"].to_numpy()
    ax.scatter(
        mean, dispersion, s=8, c=NEITHER, alpha=0.5, linewidths=0,
        label=f"{len(genes):,} gene" + ("" if len(genes) == 1 else "s"),
        rasterized=too_many_for_vectors(len(genes)),
    )  # fmt: skip
    ax.plot(*local_median(mean, dispersion), color=COLOURS[1], linewidth=1.5, label="local median")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("mean reads expected")
    ax.set_ylabel("dispersion 1/r")
    ax.legend(fontsize="small")
    return ax


def r_values(
    values: pd.DataFrame | pd.Series | NDArray[np.float64],
    *,
    kind: str = "histogram",
    ax: Axes | None = None,
) -> Axes:
    r"""Distribution of the genes' inverse dispersion r, on a logarithmic axis.

    Args:
        values: r of each gene; the columns of a frame are groups of their own, e.g. models or samples.
            Missing and infinite values (Poisson) are left out.
        kind: ``"histogram"``, or ``"violin"`` or ``"box"`` side by side.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If the kind is unknown, or a group has no finite r above 0.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = r_values(pd.Series([1.0, 10.0, 100.0], name="healthy"), ax=Figure().subplots())
        >>> ax.get_xlabel(), ax.get_legend_handles_labels()[1]
        ('$\\log_{10}$ r (inverse dispersion)', ['healthy (3)'])
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown; choose one of {', '.join(map(repr, KINDS))}")
    groups = _log_groups(values)
    ax = axes_or_new(ax)
    label = r"$\log_{10}$ r (inverse dispersion)"
    if kind == "histogram":
        _draw_histograms(ax, groups)
        ax.set_xlabel(label)
        ax.set_ylabel("genes")
        return ax
    if kind == "violin":
        ax.violinplot(list(groups.values()), showmedians=True)
    else:
        ax.boxplot(list(groups.values()), flierprops={"rasterized": True, "markersize": 2})
    ax.set_xticks(range(1, len(groups) + 1), [f"{plain(name)} ({len(x):,})" for name, x in groups.items()])
    ax.tick_params(axis="x", labelrotation=0 if len(groups) <= 4 else 90)
    ax.set_ylabel(label)
    return ax


def _log_groups(values: pd.DataFrame | pd.Series | NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Common logarithms of each group's values."""
    frame = values if isinstance(values, pd.DataFrame) else pd.Series(values, dtype=float).to_frame()
    groups = {}
    for name, column in frame.items():
        r = column.to_numpy(dtype=float)
        r = r[np.isfinite(r) & (r > 0)]
        if not r.size:
            raise ValueError(f"nothing to plot: {name!r} has no finite r above 0; a Poisson model has none")
        groups["r" if name in (None, 0) else str(name)] = np.log10(r)
    if not groups:
        raise ValueError("nothing to plot: values has no column")
    return groups


def _draw_histograms(ax: Axes, groups: dict[str, NDArray[np.float64]]) -> None:
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), bins=_N_BINS)
    for (name, logs), colour in zip(groups.items(), cycle(COLOURS), strict=False):
        ax.stairs(
            np.histogram(logs, edges)[0], edges, color=colour, linewidth=1.5, fill=len(groups) == 1,
            label=f"{plain(name)} ({len(logs):,})",
        )  # fmt: skip
    ax.set_ylim(bottom=0.0)
    ax.legend(fontsize="small")
