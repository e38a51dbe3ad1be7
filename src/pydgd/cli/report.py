# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd report`: one page about some samples, to look into and to pass on."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pydgd.cli import analysis_options
from pydgd.cli import options as shared
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.search_options import SEARCH_OPTIONS, refuse_with_saved_normal
from pydgd.cli.terminal import Terminal

if TYPE_CHECKING:
    from pydgd import DGD
    from pydgd.stats import CalibrationReport

_ENDINGS = (".html", ".htm")
# A page of more opens slowly; mail servers refuse it sooner.
_LARGE = 50_000_000


def report(
    terminal: Terminal,
    model: shared.ModelFile,
    counts: shared.CountsFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="PAGE", help="Page to write: *.html.", show_default=False),
    ],
    *,
    given: frozenset[str],
    title: Annotated[
        str | None, typer.Option("--title", help="Heading of the page.", show_default=False)
    ] = None,
    padj: analysis_options.Padj = 0.05,
    log2fc: analysis_options.Log2FC = 1.0,
    gene_sets: Annotated[
        list[Path] | None,
        typer.Option(
            "--gene-sets",
            metavar="FILE",
            help="Show which gene sets the calls fall into: GMT, or a list of genes. May be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    healthy: Annotated[
        Path | None,
        typer.Option(
            "--healthy",
            metavar="COUNTS",
            help="Raw counts of healthy samples that training has not seen: show what the p-values are like "
            "on them, as `pydgd calibrate` does. They are read as COUNTS are, but for --where.",
            show_default=False,
        ),
    ] = None,
    normal: Annotated[
        Path | None,
        typer.Option(
            "--normal",
            metavar="FILE",
            help="What `pydgd closest-normal` wrote for these counts and this model: saves the search.",
            show_default=False,
        ),
    ] = None,
    point: shared.Point = "posterior",
    min_shared: shared.MinShared = 0.5,
    gene_table: shared.GeneTableFile = None,
    **options: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Write one page that opens in any browser, offline: what each sample is closest to, and what changed.

    The page holds a volcano plot to point into, a map of the healthy samples, all genes in a table to search,
    sort and download, how far to trust it, and where it comes from. Each sample takes about 0.3 MB.
    """
    start = time.monotonic()
    searching = {name: options.pop(name) for name in SEARCH_OPTIONS}
    reading = Reading.take(options)
    refuse_with_saved_normal(given)
    inputs = [path for path in (model, counts, healthy, normal, *(gene_sets or [])) if path is not None]
    check_output(output, _ENDINGS, inputs=inputs)
    from pydgd import DGD, tl
    from pydgd.cli.counts import open_rows
    from pydgd.cli.gene_names import named_as
    from pydgd.cli.search import recall, search
    from pydgd.dgd import check_point
    from pydgd.inference import SavedNormal, SearchOptions
    from pydgd.report.samples import Thresholds
    from pydgd.report.write import DEFAULT_TITLE, write_page

    check_point(point)
    SearchOptions(**searching)
    thresholds = Thresholds(padj, log2fc)
    sets = None if not gene_sets else tl.read_gene_sets(gene_sets)
    trained = DGD.load(model)
    saved = None if normal is None else SavedNormal.read(normal)
    checked = (
        None
        if healthy is None
        else _calibration(
            terminal,
            trained,
            healthy,
            replace(reading, where=None),
            min_shared=min_shared,
            gene_table=gene_table,
        )
    )
    news = Announcement(output)
    with (
        open_rows(terminal, counts, reading, genes=trained.genes) as rows,
        named_as(terminal, rows, trained.genes, gene_table) as query,
    ):
        found = (
            search(terminal, trained, query, point=point, min_shared=min_shared, **searching)
            if saved is None
            else recall(terminal, trained, query, saved=saved, min_shared=min_shared)
        )
        with found as pairs:
            write_page(
                trained,
                pairs,
                output,
                title=title or DEFAULT_TITLE,
                thresholds=thresholds,
                calibration=checked,
                gene_sets=sets,
                testing={},
            )
    news.say(terminal, since=start)
    if output.stat().st_size > _LARGE:
        terminal.say("warning: so large a page opens slowly; make several with --where")


def _calibration(
    terminal: Terminal,
    model: "DGD",
    healthy: Path,
    reading: Reading,
    *,
    min_shared: float,
    gene_table: Path | None,
) -> "CalibrationReport":
    from pydgd import calibration_report
    from pydgd.cli.counts import open_rows
    from pydgd.cli.gene_names import named_as

    with (
        open_rows(terminal, healthy, reading, genes=model.genes) as given,
        named_as(terminal, given, model.genes, gene_table) as rows,
        terminal.progress("calibration", "samples") as progress,
    ):
        return calibration_report(model, rows, min_shared=min_shared, progress=progress)
