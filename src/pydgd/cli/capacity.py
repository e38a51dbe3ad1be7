# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd train --search`: what was tried, as a table for people and for files. Heavy: imported late."""

from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData
from rich.console import Console
from rich.table import Table

from pydgd import DGD
from pydgd.cli.outputs import Announcement
from pydgd.cli.tables import write_table
from pydgd.cli.terminal import Terminal


def searched(
    terminal: Terminal, counts: AnnData, options: dict[str, Any], *, table: Path | None
) -> dict[str, Any]:
    """Search the capacity, print what was tried and write it if asked.

    Args:
        terminal: Where progress is shown.
        counts: Healthy samples.
        options: Fields of `TrainingConfig`.
        table: Where to write the table.

    Returns:
        The options with those of the best candidate.
    """
    with terminal.progress("searching", "trainings") as progress:
        found = DGD.search_capacity(counts, progress=progress, **options)
    print_search(found.table)
    if table is not None:
        news = Announcement(table)
        write_table(found.table, table)
        news.say(terminal)
    return options | found.options


def print_search(tried: pd.DataFrame) -> None:
    """Print the table on stdout.

    Args:
        tried: As `DGD.search_capacity` gives it.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("head")
    for name in ("latent", "components", "epochs", "genes", "nll", "behind the best", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in tried.to_dict(orient="records"):
        table.add_row(
            str(row["head"]) + (" (default)" if row["default"] else ""),
            *(f"{row[name]:,}" for name in ("latent_dim", "n_components", "epochs", "genes")),
            f"{row['nll']:.4f}",
            f"{row['behind']:.4f} ± {row['behind_se']:.4f}" if row["behind"] > 0 else "-",
            f"{row['seconds']:.0f}",
        )
    Console(highlight=False, markup=False).print(table)
