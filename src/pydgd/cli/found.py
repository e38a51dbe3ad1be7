# SPDX-License-Identifier: BSD-3-Clause
"""What the commands have in common that search samples and write an AnnData of what they found."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.search_options import SEARCH_OPTIONS
from pydgd.cli.terminal import Terminal

if TYPE_CHECKING:
    from anndata import AnnData

    from pydgd import DGD
    from pydgd.inference import ClosestNormal

AnnDataFile = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="H5AD",
        help="File to write: *.h5ad, or a folder *.zarr.",
        show_default=False,
    ),
]


def write_found(
    terminal: Terminal,
    model: Path,
    counts: Path,
    output: Path,
    maker: "Callable[[DGD], Callable[[AnnData, ClosestNormal], AnnData]]",
    **options: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Search chunk by chunk and write what is made of each.

    Args:
        terminal: Where to say how it goes.
        model: File of the model.
        counts: File of the counts.
        output: File to write.
        maker: Given the model it refuses what cannot be asked of it, before the search, and returns what
            makes a part of the result of counts and their closest normals.
        **options: ``point``, ``min_shared``, ``gene_table``, those of the search and of reading counts.

    Raises:
        PyDGDError: If something cannot be read, searched or written.
    """
    start = time.monotonic()
    reading = Reading.take(options)
    check_output(output, [".h5ad", ".zarr"], inputs=[model, counts])
    from pydgd import DGD
    from pydgd.cli.search import search_file
    from pydgd.cli.sharing import in_turn, joined, write_shared
    from pydgd.inference import SearchOptions
    from pydgd.inference.posterior import check_point

    check_point(options["point"])
    SearchOptions(**{name: options[name] for name in SEARCH_OPTIONS})
    trained = DGD.load(model)
    part_of = maker(trained)
    news = Announcement(output)
    with (
        joined(terminal) as (heard, ranks),
        search_file(heard, trained, counts, reading, ranks=ranks, **options) as pairs,
    ):
        parts = in_turn((part_of(part, normal) for part, normal in pairs), ranks)
        write_shared(parts, output, ranks)
    if ranks.index == 0:
        news.say(terminal, since=start)
