# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd report`: one page about some samples, to look into and to pass on."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
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
    from pydgd.cli.search import Finding
    from pydgd.data import CountRows
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
    from pydgd import tl
    from pydgd.cli.gene_names import open_named
    from pydgd.cli.search import Finding
    from pydgd.report.samples import Thresholds
    from pydgd.report.write import DEFAULT_TITLE

    page: dict[str, Any] = {
        "calibration": None,
        "title": title or DEFAULT_TITLE,
        "thresholds": Thresholds(padj, log2fc),
        "gene_sets": None if not gene_sets else tl.read_gene_sets(gene_sets),
    }
    finding = Finding.checked(model, normal, point=point, min_shared=min_shared, **searching)
    opened = partial(open_named, terminal, genes=finding.model.genes, gene_table=gene_table)
    if healthy is not None:
        with opened(healthy, replace(reading, where=None)) as rows:
            page["calibration"] = _calibration(terminal, finding, rows)
    news = Announcement(output)
    with opened(counts, reading) as query:
        _write(terminal, finding, query, output, page)
    news.say(terminal, since=start)
    if output.stat().st_size > _LARGE:
        terminal.say("warning: so large a page opens slowly; make several with --where")


def _calibration(terminal: Terminal, finding: "Finding", healthy: "CountRows") -> "CalibrationReport":
    from pydgd import calibration_report

    with terminal.progress("calibration", "samples") as progress:
        return calibration_report(finding.model, healthy, min_shared=finding.min_shared, progress=progress)


def _write(
    terminal: Terminal, finding: "Finding", query: "CountRows", output: Path, page: Mapping[str, Any]
) -> None:
    from pydgd.report.write import write_page

    with finding.of(terminal, query) as pairs:
        write_page(finding.model, pairs, output, testing={}, **page)
