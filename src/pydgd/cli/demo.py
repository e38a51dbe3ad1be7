# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd demo`: the whole job on simulated samples, checked against the truth."""

from pathlib import Path
from typing import Annotated

import typer

from pydgd.cli import options as shared
from pydgd.cli.terminal import Terminal

SHIPPED_MODEL = "normal-tissues"


def demo(
    terminal: Terminal,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write into.")
    ] = Path("pydgd-demo"),
    *,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Draw patients from this model and ask it, e.g. normal-tissues; by default one is trained "
            "on simulated samples.",
            show_default=False,
        ),
    ] = None,
    seed: shared.Seed = 0,
) -> None:
    """Do the whole job on simulated samples and compare what is found with the truth.

    Takes about half a minute, with --model less. Files of an earlier demo in FOLDER are replaced.
    """
    from pydgd.demo import run_demo

    with terminal.progress("demo", "steps") as report:
        result = run_demo(output, model=model, seed=seed, progress=report)
    typer.echo(result.summary())
    typer.echo(f"\nNext, your own counts:\n  pydgd de {model or SHIPPED_MODEL} COUNTS -o de.csv")
