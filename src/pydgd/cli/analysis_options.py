# SPDX-License-Identifier: BSD-3-Clause
"""Arguments and options that the commands on results share."""

from pathlib import Path
from typing import Annotated

import typer

from pydgd.cli.common import Choice
from pydgd.cli.outputs import TABLES

_CALLS = "What is called"
VIEWS = "Further tables"

ResultTable = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="What `pydgd de` wrote, with all its rows: CSV or TSV (also .gz), or Parquet.",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="TABLE", help=f"Table to write: *{', *'.join(TABLES)}.", show_default=False
    ),
]
Padj = Annotated[
    float,
    typer.Option("--padj", help="Adjusted p-value that a call stays below.", rich_help_panel=_CALLS),
]
Log2FC = Annotated[
    float,
    typer.Option("--log2fc", help="Smallest absolute log2 fold change of a call.", rich_help_panel=_CALLS),
]
Groups = Annotated[
    Path | None,
    typer.Option(
        "--groups",
        metavar="FILE",
        help="Group of each sample: h5ad, or a table whose first column names the samples.",
        show_default=False,
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        metavar="NAME",
        help="Column of --groups that holds the group; by default the second of a table.",
        show_default=False,
    ),
]


def further_table(name: str, says: str) -> Choice:
    """An option that writes one more table.

    Args:
        name: With its dashes.
        says: What the table holds.
    """
    kind = typer.Option(name, metavar="TABLE", help=says, show_default=False, rich_help_panel=VIEWS)
    return Choice(Annotated[Path | None, kind], None)
