# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd train`: counts of healthy samples in, a model out."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import TABLES, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal
from pydgd.cli.training_options import CheckpointEvery, Resume, to_config
from pydgd.errors import ConfigError

_RUN = "The training"


def train(
    terminal: Terminal,
    counts: shared.CountsFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="MODEL", help="File to write: *.dgd.", show_default=False),
    ],
    *,
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="First try latent sizes, decoder heads and numbers of components on held-out donors, and "
            "train the best. What is given by its own option is not varied.",
        ),
    ] = False,
    search_table: Annotated[
        Path | None,
        typer.Option(
            "--search-table",
            metavar="TABLE",
            help=f"Write what --search tried as well: *{', *'.join(TABLES)}.",
            show_default=False,
        ),
    ] = None,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = 5.0,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--in-memory",
            help="Read h5ad or zarr while training, a part at a time; by default if it would not fit in "
            "memory.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            help="What computes the steps: cpu, cuda, mps, or auto for a CUDA GPU where there is one.",
            rich_help_panel=_RUN,
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            help="Of the decoder's matrix products: 32, tf32 or bf16; the likelihood keeps its stable form.",
            rich_help_panel=_RUN,
        ),
    ] = "32",
    seed: shared.Seed = 0,
    **training: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Train a model on raw counts of healthy samples.

    A model that is there already is replaced once the new one is complete. Started by torchrun, several
    processes train one model together.
    """
    start = time.monotonic()
    reading = Reading.take(training)
    check_output(output, [".dgd"], inputs=[counts])
    if search_table is not None:
        _check_search_table(search_table, counts, search=search)
    from pydgd.config import training_config

    config = training_config(**to_config(training, seed=seed))
    options = config.model_dump()
    from pydgd.cli.fitting import Fitting, in_memory
    from pydgd.training import Hardware

    Hardware.chosen(device, precision)  # before the counts are read

    with (
        Fitting.joined(terminal, output, minutes=checkpoint_every, resume=resume) as fitting,
        fitting.opened(counts, reading, config, stream=stream) as data,
    ):
        if search:
            from pydgd.cli.capacity import searched

            options = searched(fitting.terminal, in_memory(data), options, table=search_table)
        fitting.run(data, {**options, "device": device, "precision": precision}, since=start)


def _check_search_table(path: Path, counts: Path, *, search: bool) -> None:
    if not search:
        raise ConfigError(f"--search-table {path} is written by --search, which was not given; add --search")
    check_output(path, TABLES, inputs=[counts])
