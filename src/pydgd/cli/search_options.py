# SPDX-License-Identifier: BSD-3-Clause
"""What else the commands that search can be told about the search."""

from typing import Annotated

import typer

from pydgd.cli.common import Choice

_PANEL = "The search"

SEARCH_OPTIONS = {
    "likelihood": Choice(
        Annotated[
            str,
            typer.Option(
                "--likelihood",
                metavar="plain|contaminated",
                help="contaminated lets one gene in a hundred have any number of reads, so that aberrant "
                "genes do not pull the closest normal.",
                rich_help_panel=_PANEL,
            ),
        ],
        "plain",
    ),
    "scaling": Choice(
        Annotated[
            str,
            typer.Option(
                "--scaling",
                metavar="model|fitted",
                help="Scaling factors by the model's rule, or fitted together with the closest normal.",
                rich_help_panel=_PANEL,
            ),
        ],
        "model",
    ),
}
