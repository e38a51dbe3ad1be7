# SPDX-License-Identifier: BSD-3-Clause
"""The options of `pydgd de` about the tests and the table."""

from pathlib import Path
from typing import Annotated

import typer

from pydgd.cli.common import Choice

_TESTS, _TABLE = "The tests", "The table"

DE_OPTIONS = {
    "normal": Choice(
        Annotated[
            Path | None,
            typer.Option(
                "--normal",
                metavar="FILE",
                help="What `pydgd closest-normal` wrote for these counts and this model: saves the search.",
                show_default=False,
                rich_help_panel=_TESTS,
            ),
        ],
        None,
    ),
    "rule": Choice(
        Annotated[
            str,
            typer.Option(
                "--rule",
                help="P-value of a count: equal-tail mid-p, equal-tail, minimum-likelihood, up or down.",
                rich_help_panel=_TESTS,
            ),
        ],
        "equal-tail mid-p",
    ),
    "adjust": Choice(
        Annotated[
            str,
            typer.Option(
                "--adjust",
                metavar="bh|by",
                help="Adjustment of p-values over the genes of each sample.",
                rich_help_panel=_TESTS,
            ),
        ],
        "bh",
    ),
    "only": Choice(
        Annotated[
            list[str] | None,
            typer.Option(
                "--only",
                metavar="COLUMN<NUMBER",
                help="Write only rows whose column is below (<, <=) or above (>, >=) a number, e.g. "
                "'padj<0.1', in quotes. May be given several times: all must hold. Adjustment is over all "
                "genes all the same.",
                show_default=False,
                rich_help_panel=_TABLE,
            ),
        ],
        None,
    ),
    "padj_below": Choice(
        Annotated[
            float | None,
            typer.Option(
                "--padj-below",
                help="Write only rows with a smaller adjusted p-value, as --only 'padj<…' does.",
                show_default=False,
                rich_help_panel=_TABLE,
            ),
        ],
        None,
    ),
    "wide": Choice(
        Annotated[
            str | None,
            typer.Option(
                "--wide",
                metavar="COLUMN",
                help="Write this column as a matrix instead, samples in rows and genes in columns, e.g. "
                "log2FoldChange.",
                show_default=False,
                rich_help_panel=_TABLE,
            ),
        ],
        None,
    ),
    "float32": Choice(
        Annotated[
            bool,
            typer.Option(
                "--float32",
                help="Write numbers with 7 digits, but for counts and probabilities: a smaller file.",
                rich_help_panel=_TABLE,
            ),
        ],
        default=False,
    ),
}
