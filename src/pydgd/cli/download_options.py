# SPDX-License-Identifier: BSD-3-Clause
"""Options of the commands that fetch from the network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli.common import Choice

_PANEL = "How it is fetched"

MOST_TIMEOUT = 86_400.0
"""Seconds: a day."""

DOWNLOAD_OPTIONS = {
    "cache": Choice(
        Annotated[
            Path | None,
            typer.Option(
                "--cache",
                metavar="FOLDER",
                help="Where files are kept with their checksums; by default $PYDGD_CACHE or ~/.cache/pydgd.",
                rich_help_panel=_PANEL,
                show_default=False,
            ),
        ],
        None,
    ),
    "refresh": Choice(
        Annotated[
            bool, typer.Option("--refresh", help="Fetch again what is kept already.", rich_help_panel=_PANEL)
        ],
        default=False,
    ),
    "timeout": Choice(
        Annotated[
            float,
            typer.Option(
                "--timeout",
                min=0.1,
                max=MOST_TIMEOUT,
                help="Seconds without a byte to wait.",
                rich_help_panel=_PANEL,
            ),
        ],
        60.0,
    ),
    "attempts": Choice(
        Annotated[
            int,
            typer.Option("--attempts", min=1, help="How often a file is tried.", rich_help_panel=_PANEL),
        ],
        5,
    ),
    "n_workers": Choice(
        Annotated[int, typer.Option("--jobs", "-j", min=1, help="Files at a time.", rich_help_panel=_PANEL)],
        4,
    ),
}


def downloads(what: str, *, cache: Path | None, **options: Any) -> Any:  # noqa: ANN401  # a heavy class
    """How files are fetched.

    Args:
        what: Folder of these files in the cache.
        cache: Folder of all, if the user names one.
        options: The other `DOWNLOAD_OPTIONS`.
    """
    from pydgd.data.download import Downloads
    from pydgd.data.download_cache import cache_folder

    return Downloads((cache or cache_folder()) / what, **options)
