# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd impute`: how many reads would the genes that were not measured have?"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal


def impute(
    terminal: Terminal,
    model: shared.ModelFile,
    counts: shared.CountsFile,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="H5AD",
            help="File to write: *.h5ad, or a folder *.zarr.",
            show_default=False,
        ),
    ],
    *,
    targets: Annotated[
        str,
        typer.Option(
            "--targets",
            metavar="missing|all|GENES",
            help="Genes: those of the model that COUNTS lacks, all, or names with commas between.",
        ),
    ] = "missing",
    level: Annotated[
        float, typer.Option("--level", help="Share of healthy samples whose reads lie within the bounds.")
    ] = 0.9,
    point: shared.Point = "posterior",
    min_shared: shared.MinShared = 0.5,
    gene_table: shared.GeneTableFile = None,
    **options: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Expected reads of genes that were not measured, with bounds for the reads of healthy samples.

    The h5ad holds the samples of COUNTS and these genes: X and layers["mean"] (expected reads at the sample's
    depth), layers["lower"] and layers["upper"], and the fit in obs. A file that is there already is replaced.
    """
    start = time.monotonic()
    reading = Reading.take(options)
    check_output(output, [".h5ad", ".zarr"], inputs=[model, counts])
    from pydgd import DGD
    from pydgd.cli.search import search_file
    from pydgd.data.growing import write_parts
    from pydgd.dgd import check_point
    from pydgd.inference import SearchOptions
    from pydgd.inference.imputation import check_targets, imputed

    check_point(point)
    SearchOptions(**options)
    trained = DGD.load(model)
    wanted = targets if targets in ("missing", "all") else targets.split(",")
    check_targets(wanted, level=level, genes=trained.genes)
    news = Announcement(output)
    asked = dict(point=point, min_shared=min_shared, gene_table=gene_table, **options)
    with search_file(terminal, trained, counts, reading, **asked) as pairs:
        write_parts((imputed(normal, targets=wanted, level=level) for _, normal in pairs), output)
    news.say(terminal, since=start)
