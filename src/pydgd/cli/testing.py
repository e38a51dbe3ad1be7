# SPDX-License-Identifier: BSD-3-Clause
"""Samples tested against their closest normals, chunk by chunk, into a table. Heavy: imported late."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.cli.filters import Condition, rows_that_meet
from pydgd.cli.tables import CalledGenes, table_writer
from pydgd.differential import differential_expression
from pydgd.errors import ConfigError
from pydgd.inference import ClosestNormal
from pydgd.stats import Settings

# float32 holds whole numbers only up to 16,777,216, and nothing between 0 and 1e-45.
_FLOAT64 = ["observed", "pvalue", "padj", "pvalue_nb", "lfdr"]


@dataclass(frozen=True)
class TableOptions:
    """How samples are tested, and what of it is written.

    Attributes:
        rule: As in `differential_expression`.
        adjust: As in `differential_expression`.
        conditions: Rows that meet all of them are written.
        float32: Whether numbers are written with 7 digits.
    """

    rule: str
    adjust: str
    conditions: tuple[Condition, ...]
    float32: bool

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "TableOptions":
        """Check what the user gave.

        Args:
            options: Values of `pydgd.cli.de_options.DE_OPTIONS`.

        Raises:
            ConfigError: If one is not allowed.
        """
        try:
            settings = Settings(**{name: options[name] for name in ("rule", "adjust", "padj_below")})
        except ValueError as error:
            raise ConfigError(str(error)) from None
        conditions = [Condition.parse(text) for text in options["only"] or []]
        if settings.padj_below is not None:
            conditions.append(Condition("padj", "<", settings.padj_below))
        return cls(settings.rule, settings.adjust, tuple(conditions), options["float32"])

    def table(self, counts: AnnData, normal: ClosestNormal) -> pd.DataFrame:
        """Test every gene.

        Args:
            counts: Some samples.
            normal: Their closest normals.
        """
        return differential_expression(counts, normal, rule=self.rule, adjust=self.adjust)

    def written(self, table: pd.DataFrame) -> pd.DataFrame:
        """What of a table goes into the file.

        Args:
            table: All rows of some samples.
        """
        kept = rows_that_meet(table, self.conditions)
        if not self.float32:
            return kept
        wide = kept.columns[kept.dtypes == np.float64].difference(_FLOAT64)
        # log_pvalue keeps what pvalue cannot hold; nothing here is beyond 3e38.
        return kept.astype(dict.fromkeys(wide, np.float32))


def write_tests(
    found: Iterable[tuple[AnnData, ClosestNormal]], path: Path, options: TableOptions, *, samples: pd.Index
) -> tuple[int, CalledGenes]:
    """Test chunk after chunk and write the rows.

    Args:
        found: Counts and closest normals.
        path: Ends in one of `pydgd.cli.outputs.TABLES`.
        options: How to test and what to write.
        samples: Names of all samples.

    Returns:
        Number of rows written, and how many genes differ.

    Raises:
        OutputError: If the table cannot be written.
    """
    called, n_rows = CalledGenes(), 0
    with table_writer(path) as write:
        for counts, normal in found:
            table = options.table(counts, normal)
            called.add(table)
            table = options.written(table)
            # Parquet wants the same type, so the same categories, in every chunk.
            write(table.assign(sample=table["sample"].cat.set_categories(samples)))
            n_rows += len(table)
    return n_rows, called
