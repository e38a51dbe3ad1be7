# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd closest-normal`: what would these samples look like if they were healthy?"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal


def closest_normal(
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
    means: Annotated[
        bool,
        typer.Option(
            "--means/--no-means",
            help="Write the expected reads, as large as the counts; `pydgd de --normal` does without.",
        ),
    ] = True,
    point: shared.Point = "posterior",
    min_shared: shared.MinShared = 0.5,
    gene_table: shared.GeneTableFile = None,
    **options: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Find each sample's closest normal: its place in latent space and the reads expected there.

    The h5ad holds the samples and genes of COUNTS in their order, with obsm["X_dgd"] (representations),
    layers["dgd_mean"] (expected reads), var["dgd_r"] (inverse dispersion) and the fit in obs. A file that is
    there already is replaced. However many the samples, memory holds at most 64 of them at a time if COUNTS
    is an h5ad.
    """
    start = time.monotonic()
    reading = Reading.take(options)
    check_output(output, [".h5ad", ".zarr"], inputs=[model, counts])
    from pydgd import DGD
    from pydgd.cli.search import search_file
    from pydgd.data.growing import write_parts
    from pydgd.dgd import check_point
    from pydgd.inference import SearchOptions

    check_point(point)
    SearchOptions(**options)
    trained = DGD.load(model)
    news = Announcement(output)
    asked = dict(point=point, min_shared=min_shared, gene_table=gene_table, **options)
    with search_file(terminal, trained, counts, reading, **asked) as pairs:
        write_parts((normal.to_anndata(part, means=means) for part, normal in pairs), output)
    news.say(terminal, since=start)
