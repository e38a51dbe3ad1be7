# SPDX-License-Identifier: BSD-3-Clause
"""What the commands that search can be told about the search, and when they cannot."""

from collections.abc import Collection
from typing import Annotated

import typer

from pydgd.cli.common import Choice
from pydgd.errors import ConfigError

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


def refuse_with_saved_normal(given: Collection[str]) -> None:
    """Refuse what a user says about the search beside --normal, which saves the search.

    Args:
        given: Names of the options that the user gave.

    Raises:
        ConfigError: If --normal and an option of the search are among them.
    """
    for name in ("point", *SEARCH_OPTIONS):
        if "normal" in given and name in given:
            raise ConfigError(
                f"--{name} is about the search, which --normal saves: leave --{name} out, or search again "
                "without --normal"
            )
