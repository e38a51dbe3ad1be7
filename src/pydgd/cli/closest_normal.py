# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd closest-normal`: what would these samples look like if they were healthy?"""

import time
from pathlib import Path
from typing import Annotated

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import Announcement, check_output
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
    where: shared.Where = None,
    orient: shared.Orient = "auto",
    layer: shared.Layer = None,
    round_counts: shared.Round = False,
) -> None:
    """Find each sample's closest normal: its place in latent space and the reads expected there.

    The h5ad holds the samples and genes of COUNTS in their order, with obsm["X_dgd"] (representations),
    layers["dgd_mean"] (expected reads), var["dgd_r"] (inverse dispersion) and the fit in obs. A file that is
    there already is replaced. However many the samples, memory holds at most 64 of them at a time if COUNTS
    is an h5ad.
    """
    start = time.monotonic()
    check_output(output, [".h5ad", ".zarr"], inputs=[model, counts])
    from pydgd import DGD
    from pydgd.cli.counts import open_rows
    from pydgd.cli.search import search
    from pydgd.data.growing import write_parts
    from pydgd.dgd import check_point

    check_point(point)
    trained = DGD.load(model)
    news = Announcement(output)
    with (
        open_rows(
            terminal, counts, where=where, orient=orient, layer=layer, round_counts=round_counts
        ) as query,
        search(terminal, trained, query, point=point, min_shared=min_shared) as pairs,
    ):
        write_parts((normal.to_anndata(part, means=means) for part, normal in pairs), output)
    news.say(terminal, since=start)
