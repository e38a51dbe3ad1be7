# SPDX-License-Identifier: BSD-3-Clause
"""Whether the p-values of healthy samples are what they should be."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pydgd.plotting.axes import axes_or_new
from pydgd.plotting.palette import COLOURS
from pydgd.stats import CalibrationReport
from pydgd.stats.calibration_report import CALIBRATED, NEGATIVE_BINOMIAL

_COLOUR_OF = dict(zip((CALIBRATED, NEGATIVE_BINOMIAL), COLOURS, strict=False))
# How much too small p-values may be, in powers of ten, and still be inside the picture.
_ROOM = 3.0


def calibration(report: CalibrationReport, *, ax: Axes | None = None) -> Axes:
    """Histogram of the randomised PIT of healthy samples: flat at 1 if p-values are right.

    A hump in the middle says that the residuals are smaller than expected, peaks at the ends that they are
    larger, a slope that they have a direction.

    Args:
        report: What `pydgd.calibration_report` returns.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Example:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from pydgd.stats import CalibrationTally, compare
        >>> counts, genes = np.random.default_rng(0).poisson(30, (1, 200)), [f"G{i}" for i in range(200)]
        >>> tally = CalibrationTally(counts.mean(axis=0))
        >>> tally.add(compare(counts, 30.0, None, sample_names=["S1"], genes=genes))
        >>> calibration(tally.report(), ax=Figure().subplots()).get_legend_handles_labels()[1]
        ['negative binomial', 'as it should be']
    """
    ax = axes_or_new(ax)
    for kind, bins in report.pit.groupby("p_values", sort=False):
        edges = np.append(bins["left"], bins["right"].iloc[-1])
        ax.stairs(
            bins["density"], edges, baseline=None, color=_COLOUR_OF[str(kind)], linewidth=1.5, label=str(kind)
        )
    ax.axhline(1.0, color="0.2", linewidth=0.8, linestyle="--", zorder=0.5, label="as it should be")
    ax.set_xlim(0.0, 1.0)
    # Room for the legend above the bars.
    ax.set_ylim(0.0, 1.25 * max(1.0, float(report.pit["density"].max())))
    ax.set_xlabel("randomised PIT (share of the distribution below the count)")
    ax.set_ylabel("density")
    ax.set_title(_title(report))
    ax.legend(loc="upper center", ncols=3, fontsize="small")
    return ax


def calibration_quantiles(
    report: CalibrationReport, *, genes: str = "bright", ax: Axes | None = None
) -> Axes:
    """Observed against expected -log10 p of healthy samples: on the diagonal if p-values are right.

    Points above it are p-values that are too small. Those more than a thousandfold too small are drawn as
    triangles at the upper edge.

    Args:
        report: What `pydgd.calibration_report` returns.
        genes: "bright" (20 reads on average) or "dim", whose discrete p-values stay below the diagonal.
        ax: Where to draw; by default a new pyplot figure.

    Returns:
        The Axes.

    Raises:
        ValueError: If there is no test of such genes.
    """
    points = report.quantiles[report.quantiles["genes"] == genes]
    if points.empty:
        known = ", ".join(map(repr, report.quantiles["genes"].unique()))
        raise ValueError(f"nothing to plot: the report has no tests of genes={genes!r}; there is {known}")
    ax = axes_or_new(ax)
    end = max(1.0, float(points["expected"].max()))
    for kind, of_kind in points.groupby("p_values", sort=False):
        _draw_quantiles(ax, of_kind, str(kind), top=end + _ROOM)
    ax.plot([0.0, end], [0.0, end], color="0.2", linewidth=0.8, linestyle="--", label="as it should be")
    ax.set_xlim(0.0, 1.03 * end)
    ax.set_ylim(0.0, 1.03 * (end + _ROOM))
    ax.set_xlabel(r"expected $-\log_{10}$ p")
    ax.set_ylabel(r"observed $-\log_{10}$ p")
    ax.set_title(f"{genes} genes, {_title(report)}")
    ax.legend(loc="upper left", fontsize="small")
    return ax


def _draw_quantiles(ax: Axes, points: pd.DataFrame, kind: str, *, top: float) -> None:
    inside = points[points["observed"] <= top]
    beyond = points[points["observed"] > top]
    colour = _COLOUR_OF[kind]
    ax.plot(inside["expected"], inside["observed"], color=colour, marker=".", markersize=3, label=kind)
    ax.plot(
        beyond["expected"], np.full(len(beyond), top), color=colour, marker="^", linestyle="", markersize=4
    )


def _title(report: CalibrationReport) -> str:
    return f"{report.n_samples:,} healthy sample" + ("" if report.n_samples == 1 else "s")
