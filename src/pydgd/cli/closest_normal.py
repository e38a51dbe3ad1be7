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
        typer.Option("--output", "-o", metavar="H5AD", help="File to write: *.h5ad.", show_default=False),
    ],
    *,
    point: shared.Point = "map",
    min_shared: shared.MinShared = 0.5,
    where: shared.Where = None,
    orient: shared.Orient = "auto",
    layer: shared.Layer = None,
    round_counts: shared.Round = False,
) -> None:
    """Find each sample's closest normal: its place in latent space and the reads expected there.

    The h5ad holds the samples and genes of COUNTS in their order, with obsm["X_dgd"] (representations),
    layers["dgd_mean"] (expected reads), var["dgd_r"] (inverse dispersion) and the fit in obs. A file that is
    there already is replaced.
    """
    start = time.monotonic()
    check_output(output, [".h5ad"], inputs=[model, counts])
    from pydgd import DGD
    from pydgd.cli.counts import read
    from pydgd.cli.search import find
    from pydgd.data.h5ad_writer import write_h5ad

    trained = DGD.load(model)
    query = read(terminal, counts, where=where, orient=orient, layer=layer, round_counts=round_counts)
    normal = find(terminal, trained, query, point=point, min_shared=min_shared)
    news = Announcement(output)
    write_h5ad(normal.to_anndata(query), output)
    news.say(terminal, since=start)
