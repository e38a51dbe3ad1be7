# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd saliency`: which genes move with the representation, and which moved it."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pydgd.cli import analysis_options as shared
from pydgd.cli import options
from pydgd.cli.outputs import TABLES, check_output
from pydgd.cli.terminal import Terminal


def saliency(
    terminal: Terminal,
    model: options.ModelFile,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RESULT]",
            help="The h5ad that `pydgd closest-normal` wrote; by default the training samples.",
            show_default=False,
        ),
    ] = None,
    *,
    output: shared.Output,
    of: Annotated[
        str,
        typer.Option(
            "--of",
            metavar="genes|representations",
            help="How genes' means move with z, or how z moves with a gene's reads (needs RESULT).",
        ),
    ] = "genes",
    sets: Annotated[
        list[Path] | None,
        typer.Option(
            "--sets",
            metavar="FILE",
            help="Of gene sets instead of genes: a *.gmt, or a list with one gene per line. May be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option("--scale", metavar="log|mean", help="Changes of ln means, or of means (--of genes)."),
    ] = "log",
    signed: Annotated[
        bool, typer.Option("--signed", help="Average derivatives rather than their sizes (--of genes).")
    ] = False,
    top: Annotated[
        int | None,
        typer.Option("--top", help="Only so many rows per sample (--of representations).", min=1),
    ] = None,
) -> None:
    """Write exact derivatives of means in the representation, or of representations in reads.

    Of genes: one row per gene with z1, z2, … (average size of the derivative over the samples) and spread,
    the move of the mean with one standard deviation of z. Of representations: one row per sample and gene
    with shift, the move of z, in standard deviations, if the gene's reads doubled. A file that is there
    already is replaced.
    """
    start = time.monotonic()
    inputs = [path for path in (model, source, *(sets or [])) if path is not None]
    check_output(output, TABLES, inputs=inputs)
    from pydgd import DGD, tl
    from pydgd.cli.result_tables import read_annotated, read_positions, write_and_say
    from pydgd.errors import ConfigError

    if of not in ("genes", "representations"):
        raise ConfigError(f"--of is {of!r}; choose one of genes, representations")
    if of == "representations" and source is None:
        raise ConfigError("give what `pydgd closest-normal` wrote: reads of training samples are not kept")
    given = None if sets is None else tl.read_gene_sets(sets)
    trained = DGD.load(model)
    if of == "representations" and source is not None:
        found = tl.representation_sensitivity(trained, read_annotated(source), gene_sets=given, top=top)
    else:
        positions = None if source is None else read_positions(source)
        found = tl.gene_sensitivity(trained, positions, gene_sets=given, scale=scale, signed=signed)
    write_and_say(terminal, found, output, since=start)
