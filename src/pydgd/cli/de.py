# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd de`: which genes of each sample differ from its closest normal?"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import TABLES, Announcement, check_output
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError


def de(
    terminal: Terminal,
    model: shared.ModelFile,
    counts: shared.CountsFile,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="TABLE",
            help=f"Table to write: *{', *'.join(TABLES)}.",
            show_default=False,
        ),
    ],
    *,
    rule: Annotated[
        str,
        typer.Option(
            help="P-value of a count: equal-tail mid-p, equal-tail, minimum-likelihood, up or down."
        ),
    ] = "equal-tail mid-p",
    adjust: Annotated[
        str, typer.Option(metavar="bh|by", help="Adjustment of p-values over the genes of each sample.")
    ] = "bh",
    padj_below: Annotated[
        float | None,
        typer.Option(help="Write only rows with a smaller adjusted p-value.", show_default=False),
    ] = None,
    point: shared.Point = "map",
    min_shared: shared.MinShared = 0.5,
    where: shared.Where = None,
    orient: shared.Orient = "auto",
    layer: shared.Layer = None,
    round_counts: shared.Round = False,
) -> None:
    """Test every gene of every sample against the sample's closest normal.

    The table has one row per sample and gene: sample, gene, observed, baseMean (expected reads),
    log2FoldChange (above 0: up in the sample), lfcSE, stat, pvalue, padj and more. A file that is there
    already is replaced.
    """
    start = time.monotonic()
    check_output(output, TABLES, inputs=[model, counts])
    settings: dict[str, Any] = {"rule": rule, "adjust": adjust, "padj_below": padj_below}
    _check(settings)
    from pydgd import DGD, differential_expression
    from pydgd.cli.counts import read
    from pydgd.cli.search import find
    from pydgd.cli.tables import called_genes, write_table

    trained = DGD.load(model)
    query = read(terminal, counts, where=where, orient=orient, layer=layer, round_counts=round_counts)
    normal = find(terminal, trained, query, point=point, min_shared=min_shared)
    table = differential_expression(query, normal, **settings)
    terminal.say(called_genes(table, n_samples=query.n_obs))
    news = Announcement(output)
    write_table(table, output)
    news.say(terminal, f"{len(table):,} rows", since=start)


def _check(settings: dict[str, Any]) -> None:
    """Refuse settings before the search rather than after it."""
    from pydgd.stats import Settings

    try:
        Settings(**settings)
    except ValueError as error:
        raise ConfigError(str(error)) from None
