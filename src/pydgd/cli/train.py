# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd train`: counts of healthy samples in, a model out."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal
from pydgd.cli.training_options import to_config


def train(
    terminal: Terminal,
    counts: shared.CountsFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="MODEL", help="File to write: *.dgd.", show_default=False),
    ],
    *,
    seed: shared.Seed = 0,
    **training: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Train a model on raw counts of healthy samples.

    A model that is there already is replaced once the new one is complete.
    """
    start = time.monotonic()
    reading = Reading.take(training)
    check_output(output, [".dgd"], inputs=[counts])
    from pydgd.config import training_config

    options = training_config(**to_config(training, seed=seed)).model_dump()
    from pydgd import DGD
    from pydgd.cli.counts import read
    from pydgd.cli.fitting import EpochNotes, fit_summary

    adata = read(terminal, counts, reading)
    with terminal.progress("training", "epochs") as report:
        model = DGD.fit(adata, progress=EpochNotes(report), **options)
    terminal.say(fit_summary(model))
    news = Announcement(output)
    model.save(output)
    news.say(terminal, since=start)
