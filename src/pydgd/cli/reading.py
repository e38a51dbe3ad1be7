# SPDX-License-Identifier: BSD-3-Clause
"""How counts are read: the options of every command that reads some."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.common import Choice

_PANEL = "How counts are read"

READING_OPTIONS = {
    "where": Choice(shared.Where, None),
    "orient": Choice(shared.Orient, "auto"),
    "layer": Choice(shared.Layer, None),
    "round_counts": Choice(shared.Round, default=False),
    "strand": Choice(
        Annotated[
            str | None,
            typer.Option(
                "--strand",
                metavar="unstranded|forward|reverse",
                help="Which counts of STAR or GDC; by default what STAR's counts of both strands say, and "
                "unstranded for GDC.",
                show_default=False,
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
    "tx2gene": Choice(
        Annotated[
            Path | None,
            typer.Option(
                "--tx2gene",
                metavar="TABLE",
                help="Transcripts and their genes in two columns, for salmon and kallisto.",
                show_default=False,
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
    "duplicate_genes": Choice(
        Annotated[
            str,
            typer.Option(
                "--duplicate-genes",
                metavar="refuse|sum",
                help="What becomes of genes that stand there more than once.",
                rich_help_panel=_PANEL,
            ),
        ],
        "refuse",
    ),
    "coverage_to_reads": Choice(
        Annotated[
            str | None,
            typer.Option(
                "--coverage-to-reads",
                metavar="LENGTH|COLUMN|TABLE[:COLUMN]",
                help="Turn base coverage (recount3) into reads: the mean mapped length in bases, or where it "
                "stands for each sample, in obs or in a table of metadata.",
                show_default=False,
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
}


@dataclass(frozen=True)
class Reading:
    """What the user said about counts; the fields are those of `READING_OPTIONS`.

    Attributes:
        where: Conditions on `obs`, all of which must hold.
        orient: ``auto``, ``samples`` or ``genes``.
        layer: Layer of an AnnData.
        round_counts: Round fractions.
        strand: Which counts of STAR or GDC.
        tx2gene: Table of transcripts and genes.
        duplicate_genes: ``refuse`` or ``sum``.
        coverage_to_reads: Mean mapped lengths.
    """

    where: list[str] | None = None
    orient: str = "auto"
    layer: str | None = None
    round_counts: bool = False
    strand: str | None = None
    tx2gene: Path | None = None
    duplicate_genes: str = "refuse"
    coverage_to_reads: str | None = None

    @classmethod
    def take(cls, options: dict[str, Any]) -> "Reading":
        """Take what is about reading out of a command's options.

        Args:
            options: By name; those that are taken are removed.

        Example:
            >>> options = {"orient": "genes", "seed": 0}
            >>> Reading.take(options).orient, options
            ('genes', {'seed': 0})
        """
        return cls(**{field.name: options.pop(field.name) for field in fields(cls) if field.name in options})

    @property
    def arguments(self) -> dict[str, Any]:
        """What `pydgd.read_counts` takes."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "where"}
