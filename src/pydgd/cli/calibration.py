# SPDX-License-Identifier: BSD-3-Clause
"""A calibration report for people: printed, drawn, complained about. Heavy: imported late."""

import logging
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pydgd.cli.drawing import save_figure
from pydgd.plotting import calibration, calibration_quantiles
from pydgd.stats import CalibrationReport
from pydgd.stats.calibration_report import CALIBRATED, reads
from pydgd.words import plural

_log = logging.getLogger(__name__)

_IDEAL_SIZE = {"bright": "1", "dim": "at most 1"}

_Line = tuple[str, str, dict[str, str]]


def print_report(report: CalibrationReport) -> None:
    """Print the numbers on stdout.

    Args:
        report: Of healthy samples.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{plural(report.n_samples, 'healthy sample')}, {plural(report.n_genes, 'gene')} each")
    for name in (*report.kinds, "ideal"):
        table.add_column(name, justify="right", no_wrap=True)
    for heading, lines in _parts(report).items():
        table.add_row(heading)
        for name, ideal, values in lines:
            table.add_row(f"  {name}", *(values[kind] for kind in report.kinds), ideal)
    Console(highlight=False, markup=False).print(table)


def warn_of_problems(report: CalibrationReport) -> None:
    """Log a warning if the p-values are not what they should be, or are not calibrated at all.

    Args:
        report: Of healthy samples.
    """
    if CALIBRATED not in report.kinds:
        _log.warning(
            "the model is not calibrated: its p-values are those of the negative binomial; train with more "
            "healthy samples held out"
        )
    if problems := report.problems():
        _log.warning(
            "p-values look too small on these samples: %s. Either they are not healthy or of another "
            "protocol than the training samples, or the model promises too much: trust the order of its "
            "calls only",
            "; ".join(problems),
        )


def draw_report(report: CalibrationReport, path: Path) -> None:
    """Draw the PIT histogram and the p-values of bright genes, side by side.

    Args:
        report: Of healthy samples.
        path: Ends in .png, .pdf or .svg.

    Raises:
        OutputError: If it cannot be written.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    calibration(report, ax=left)
    genes = report.sizes["genes"].iloc[0]
    calibration_quantiles(report, genes=genes, ax=right)
    save_figure(figure, path, dpi=150)


def _parts(report: CalibrationReport) -> dict[str, list[_Line]]:
    return {
        "p below a level, over the level": [
            (f"{genes} genes, {level:g}", _IDEAL_SIZE[str(genes)], _each(rows, "size_over_level", "{:.2f}"))
            for (genes, level), rows in report.sizes.groupby(["genes", "level"], sort=False)
        ],
        "calls per sample at BH 5 %": _calls(report),
        "up over down at p below 0.001": [
            ("genes that could go either way", "1", _each(report.directions, "up_per_down", "{:.2f}"))
        ],
        "PIT from uniform, by mean reads": [
            (_interval(rows), "0", _each(rows, "distance", "{:.3f}"))
            for _, rows in report.ks.groupby("decile", sort=False)
        ],
    }


def _calls(report: CalibrationReport) -> list[_Line]:
    calls = report.calls.groupby("p_values", sort=False)["calls"].agg(["mean", "median", "max"]).reset_index()
    return [
        (name, "0", _each(calls, column, form))
        for name, column, form in (
            ("mean", "mean", "{:,.2f}"),
            ("median", "median", "{:,g}"),
            ("most", "max", "{:,}"),
        )
    ]


def _interval(rows: pd.DataFrame) -> str:
    return f"{reads(rows['lowest'].iloc[0])} to {reads(rows['highest'].iloc[0])}"


def _each(rows: pd.DataFrame, column: str, form: str) -> dict[str, str]:
    """A number of each kind of p-values as text."""
    return {
        kind: form.format(value) if pd.notna(value) else "-"
        for kind, value in zip(rows["p_values"], rows[column], strict=True)
    }
