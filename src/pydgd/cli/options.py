# SPDX-License-Identifier: BSD-3-Clause
"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

_READING = "How counts are read"

CountsFile = Annotated[
    Path,
    typer.Argument(
        metavar="COUNTS",
        help="Raw counts: h5ad, zarr, CSV, TSV, Parquet, Feather, or what a counting program wrote: a file, "
        "a folder, or a pattern in quotes.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A model that `pydgd train` wrote, or the name of one (`pydgd models`), e.g. normal-tissues.",
        show_default=False,
    ),
]
NewModelFile = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="NEW", help="File to write: *.dgd.", show_default=False),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Use only samples with this label, e.g. split=train; also a=b,c (any of them) and a!=b. "
        "May be given several times: all must hold.",
        show_default=False,
        rich_help_panel=_READING,
    ),
]
Orient = Annotated[
    str,
    typer.Option(
        "--orient",
        metavar="auto|samples|genes",
        help="What is in the rows of a table; --verbose says what was decided and why.",
        rich_help_panel=_READING,
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="NAME",
        help="Layer of the h5ad with the counts; by default `counts` if there is one, else X.",
        show_default=False,
        rich_help_panel=_READING,
    ),
]
Round = Annotated[
    bool,
    typer.Option(
        "--round",
        help="Round fractional counts (RSEM, salmon) instead of refusing them.",
        rich_help_panel=_READING,
    ),
]
GeneTableFile = Annotated[
    Path | None,
    typer.Option(
        "--gene-table",
        metavar="FILE",
        help="Table of gene names (HGNC, BioMart, `pydgd genes`, or an h5ad whose var has them): brings the "
        "genes of COUNTS to the model's names. normal-tissues brings its own: give that name.",
        show_default=False,
        rich_help_panel=_READING,
    ),
]
Point = Annotated[
    str,
    typer.Option(
        "--point",
        metavar="posterior|map",
        help="What stands for the closest normal: posterior takes out by how much the whole sample departs "
        "from healthy ones; map is the most probable.",
    ),
]


def _share(value: float) -> float:
    if not 0 < value <= 1:
        raise typer.BadParameter(f"{value} is not in the range 0<x<=1.")
    return value


MinShared = Annotated[
    float,
    typer.Option(
        "--min-shared",
        metavar="0<x<=1",
        help="Share of the model's genes that the counts must have.",
        callback=_share,
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Decides every random choice.")]
