# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd calibrate`: are a model's p-values what they should be on healthy samples?"""

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import TABLES, Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal

_PICTURES = (".png", ".pdf", ".svg")


def calibrate(
    terminal: Terminal,
    model: shared.ModelFile,
    healthy: Annotated[
        Path,
        typer.Argument(
            metavar="HEALTHY",
            help="Raw counts of healthy samples that training has not seen: h5ad, CSV or TSV (also .gz), or "
            "Parquet.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="TABLE",
            help=f"Write all numbers to a table as well: *{', *'.join(TABLES)}.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="PICTURE",
            help=f"Draw the PIT histogram and the p-values: *{', *'.join(_PICTURES)}.",
            show_default=False,
        ),
    ] = None,
    seed: shared.Seed = 0,
    min_shared: shared.MinShared = 0.5,
    **reading: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Report what the p-values are like on healthy samples, where every call is false.

    Each sample is tested as `pydgd de` does it. The table says how often p-values are below a level, how many
    genes are called, whether calls go up as often as down, and whether the whole distribution is right, for
    the calibrated p-values and for those of the negative binomial. A warning says if it is not.
    """
    start = time.monotonic()
    for path, endings in ((output, TABLES), (plot, _PICTURES)):
        if path is not None:
            check_output(path, endings, inputs=[model, healthy])
    from pydgd import DGD, calibration_report
    from pydgd.cli.calibration import draw_report, print_report, warn_of_problems
    from pydgd.cli.counts import open_rows
    from pydgd.cli.tables import write_table

    trained = DGD.load(model)
    with (
        open_rows(terminal, healthy, Reading.take(reading), genes=trained.genes) as query,
        terminal.progress("calibration", "samples") as progress,
    ):
        report = calibration_report(trained, query, seed=seed, min_shared=min_shared, progress=progress)
    print_report(report)
    writers = ((output, partial(write_table, report.table())), (plot, partial(draw_report, report)))
    for path, write in writers:
        if path is not None:
            news = Announcement(path)
            write(path)
            news.say(terminal, since=start)
    warn_of_problems(report)
