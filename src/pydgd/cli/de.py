# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd de`: which genes of each sample differ from its closest normal?"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import TABLES, Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.search_options import SEARCH_OPTIONS, refuse_with_saved_normal
from pydgd.cli.terminal import Terminal


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
            help=f"Table to write: *{', *'.join(TABLES)}; or *.h5ad, *.zarr with its columns as layers.",
            show_default=False,
        ),
    ],
    *,
    given: frozenset[str],
    point: shared.Point = "posterior",
    min_shared: shared.MinShared = 0.5,
    gene_table: shared.GeneTableFile = None,
    **testing: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Test every gene of every sample against the sample's closest normal.

    The table has one row per sample and gene: sample, gene, observed, baseMean (expected reads),
    log2FoldChange (above 0: up in the sample), lfcSE, stat, pvalue, padj and more. An h5ad has the counts,
    layers dgd_mean, dgd_log2fc and dgd_padj and all that closest-normal writes. A file that is there already
    is replaced. However many the samples, memory holds at most 64 of them at a time. Started by torchrun,
    several processes share the samples.
    """
    start = time.monotonic()
    reading = Reading.take(testing)
    normal = testing.pop("normal")
    searching = {name: testing.pop(name) for name in SEARCH_OPTIONS}
    refuse_with_saved_normal(given)
    inputs = [path for path in (model, counts, normal) if path is not None]
    check_output(output, (*TABLES, ".h5ad", ".zarr"), inputs=inputs)
    from pydgd.cli.gene_names import open_named
    from pydgd.cli.search import Finding
    from pydgd.cli.sharing import joined
    from pydgd.cli.testing import TableOptions, write_tests

    options = TableOptions.parse(testing)
    finding = Finding.checked(model, normal, point=point, min_shared=min_shared, **searching)
    genes, news = finding.model.genes, Announcement(output)
    with (
        joined(terminal) as (heard, ranks),
        open_named(heard, counts, reading, genes=genes, gene_table=gene_table) as query,
        finding.of(heard, query, ranks) as pairs,
    ):
        n_rows, called = write_tests(pairs, output, options, samples=query.obs.index, ranks=ranks)
    if ranks.index == 0:
        terminal.say(str(called))
        news.say(terminal, f"{n_rows:,} rows", since=start)
