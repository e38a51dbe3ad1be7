# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd de`: which genes of each sample differ from its closest normal?"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import TABLES, Announcement, check_output
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
            help=f"Table to write: *{', *'.join(TABLES)}.",
            show_default=False,
        ),
    ],
    *,
    point: shared.Point = "posterior",
    min_shared: shared.MinShared = 0.5,
    where: shared.Where = None,
    orient: shared.Orient = "auto",
    layer: shared.Layer = None,
    round_counts: shared.Round = False,
    **testing: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Test every gene of every sample against the sample's closest normal.

    The table has one row per sample and gene: sample, gene, observed, baseMean (expected reads),
    log2FoldChange (above 0: up in the sample), lfcSE, stat, pvalue, padj and more. A file that is there
    already is replaced. However many the samples, memory holds at most 64 of them at a time.
    """
    start = time.monotonic()
    normal = testing.pop("normal")
    check_output(output, TABLES, inputs=[path for path in (model, counts, normal) if path is not None])
    from pydgd import DGD
    from pydgd.cli.counts import open_rows
    from pydgd.cli.search import recall, search
    from pydgd.cli.testing import TableOptions, write_tests
    from pydgd.dgd import check_point
    from pydgd.inference import SavedNormal

    check_point(point)
    options = TableOptions.parse(testing)
    trained = DGD.load(model)
    saved = None if normal is None else SavedNormal.read(normal)
    news = Announcement(output)
    with open_rows(
        terminal, counts, where=where, orient=orient, layer=layer, round_counts=round_counts
    ) as query:
        found = (
            search(terminal, trained, query, point=point, min_shared=min_shared)
            if saved is None
            else recall(terminal, trained, query, saved=saved, min_shared=min_shared)
        )
        with found as pairs:
            n_rows, called = write_tests(pairs, output, options, samples=query.obs.index)
    terminal.say(str(called))
    news.say(terminal, f"{n_rows:,} rows", since=start)
