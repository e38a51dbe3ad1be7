# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd residuals`: how far each gene of each sample is from its closest normal."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pydgd.cli import analysis_options as shared
from pydgd.cli.outputs import TABLES, check_output
from pydgd.cli.terminal import Terminal

_VIEWS = "Further tables"


def residuals(
    terminal: Terminal,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT",
            help="The h5ad that `pydgd closest-normal` wrote, or the table that `pydgd de` wrote.",
            show_default=False,
        ),
    ],
    output: shared.Output,
    *,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="mid-p|randomised|pearson|deviance",
            help="Kind of residual; of a table, mid-p alone.",
        ),
    ] = "mid-p",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides the randomised ones.")] = 0,
    genes: Annotated[
        Path | None,
        typer.Option(
            "--genes",
            metavar="TABLE",
            help="Write also in how many samples each gene lies beyond a threshold.",
            show_default=False,
            rich_help_panel=_VIEWS,
        ),
    ] = None,
    recurrence: Annotated[
        Path | None,
        typer.Option(
            "--recurrence",
            metavar="TABLE",
            help="Write also how many genes, and which, lie beyond a threshold in exactly so many samples.",
            show_default=False,
            rich_help_panel=_VIEWS,
        ),
    ] = None,
    below: Annotated[
        float, typer.Option("--below", help="Residuals of at most this count.", rich_help_panel=_VIEWS)
    ] = -1.0,
    above: Annotated[
        float, typer.Option("--above", help="Residuals of at least this count.", rich_help_panel=_VIEWS)
    ] = 1.0,
) -> None:
    """Write residuals, samples x genes: above 0 for too many reads, all finite.

    A mid-p residual is a signed z-score. A gene that was not measured has none. Files that are there already
    are replaced.
    """
    start = time.monotonic()
    for path in (output, genes, recurrence):
        if path is not None:
            check_output(path, TABLES, inputs=[source])
    from pydgd import tl
    from pydgd.cli.result_tables import is_annotated, named, read_annotated, read_table, write_and_say

    if is_annotated(source):
        found = tl.residuals(read_annotated(source), kind=kind, seed=seed)
    else:
        found = tl.residuals(read_table(source, needs=["sample", "gene", "stat"]), kind=kind, seed=seed)
    by_gene = tl.genes_by_residual(found, below=below, above=above)
    write_and_say(terminal, named(found), output, since=start)
    if genes is not None:
        write_and_say(terminal, by_gene, genes)
    if recurrence is not None:
        write_and_say(terminal, tl.residual_recurrence(by_gene), recurrence)
