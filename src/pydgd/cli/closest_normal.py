# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd closest-normal`: what would these samples look like if they were healthy?"""

from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.found import AnnDataFile, write_found
from pydgd.cli.terminal import Terminal


def closest_normal(
    terminal: Terminal,
    model: shared.ModelFile,
    counts: shared.CountsFile,
    output: AnnDataFile,
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
    is an h5ad. Started by torchrun, several processes share the samples.
    """
    asked = dict(point=point, min_shared=min_shared, gene_table=gene_table, **options)
    write_found(
        terminal,
        model,
        counts,
        output,
        lambda _: lambda part, normal: normal.to_anndata(part, means=means),
        **asked,
    )
