# SPDX-License-Identifier: BSD-3-Clause
"""What the caller may say about a file of counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from pydgd.data.orientation import ORIENTATIONS
from pydgd.errors import ConfigError

STRANDS = ("unstranded", "forward", "reverse")
"""Which strand of the transcript the reads of a library come from: both, its own, or the other."""

DUPLICATES = ("refuse", "sum")
"""What becomes of genes that stand there more than once."""

EMPTY = ("refuse", "keep")
"""What becomes of samples without reads."""

Lengths: TypeAlias = int | float | str | PathLike[str] | Mapping[str, int | float] | pd.Series
"""Mean mapped lengths in bases: see `pydgd.data.coverage.mapped_lengths`."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read counts; the fields are the arguments of `pydgd.read_counts`.

    Attributes:
        orient: What is in the rows of a table.
        layer: Layer of an AnnData.
        round_counts: Round fractional values instead of refusing them.
        strand: Which column of STAR's or GDC's files.
        tx2gene: Table of transcripts and genes, for salmon and kallisto.
        duplicate_genes: What becomes of repeated genes.
        coverage_to_reads: Mean mapped lengths that turn base coverage into reads.
        genes: Genes of a model, as evidence of what is in the rows.
        empty_samples: What becomes of samples without reads.
    """

    orient: str = "auto"
    layer: str | None = None
    round_counts: bool = False
    strand: str | None = None
    tx2gene: Path | None = None
    duplicate_genes: str = "refuse"
    coverage_to_reads: Lengths | None = None
    genes: frozenset[str] = frozenset()
    empty_samples: str = "refuse"

    def __post_init__(self) -> None:
        if self.orient not in ORIENTATIONS:
            raise ConfigError(
                f"orient is {self.orient!r}; give one of {', '.join(ORIENTATIONS)}: what is in the rows"
            )
        if self.strand is not None and self.strand not in STRANDS:
            raise ConfigError(
                f"strand is {self.strand!r}; give one of {', '.join(STRANDS)}, or leave it out to find out"
            )
        if self.duplicate_genes not in DUPLICATES:
            raise ConfigError(
                f"duplicate_genes is {self.duplicate_genes!r}; give one of {', '.join(DUPLICATES)}"
            )
        if self.empty_samples not in EMPTY:
            raise ConfigError(f"empty_samples is {self.empty_samples!r}; give one of {', '.join(EMPTY)}")

    @classmethod
    def of(
        cls,
        *,
        tx2gene: str | PathLike[str] | None = None,
        genes: Iterable[str] | None = None,
        **options: object,
    ) -> "ReadOptions":
        """Options as a caller gives them.

        Args:
            tx2gene: A path of any kind.
            genes: Names in any container.
            **options: The other fields.

        Raises:
            ConfigError: If a value is not allowed.

        Example:
            >>> ReadOptions.of(genes=["TP53"]).genes
            frozenset({'TP53'})
        """
        return cls(
            tx2gene=None if tx2gene is None else Path(tx2gene),
            genes=frozenset(genes or ()),
            **options,  # type: ignore[arg-type]  # checked above
        )
