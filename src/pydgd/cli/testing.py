# SPDX-License-Identifier: BSD-3-Clause
"""Samples tested against their closest normals, chunk by chunk, into a table. Heavy: imported late."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.cli.filters import COLUMNS, Condition, rows_that_meet
from pydgd.cli.sharing import gathered, in_turn, write_shared
from pydgd.cli.tables import CalledGenes, table_writer
from pydgd.differential import differential_expression
from pydgd.errors import ConfigError
from pydgd.inference import ClosestNormal
from pydgd.results import annotate, wide
from pydgd.stats import Settings
from pydgd.training.ranks import ALONE, Ranks

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
        wide: Column that is written as a matrix, samples × genes; None for a row per sample and gene.
    """

    rule: str
    adjust: str
    conditions: tuple[Condition, ...]
    float32: bool
    wide: str | None = None

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
        column = options["wide"]
        if column not in (None, *COLUMNS):
            raise ConfigError(f"--wide {column}: no such column; there is {', '.join(COLUMNS)}")
        return cls(settings.rule, settings.adjust, tuple(conditions), options["float32"], column)

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
        shortened = kept.columns[kept.dtypes == np.float64].difference(_FLOAT64)
        # log_pvalue keeps what pvalue cannot hold; nothing here is beyond 3e38.
        return kept.astype(dict.fromkeys(shortened, np.float32))

    def matrix(self, table: pd.DataFrame, normal: ClosestNormal) -> pd.DataFrame:
        """One column of some samples as rows of a matrix, with the names of the samples first.

        Args:
            table: All rows of these samples.
            normal: Their closest normals; of these every gene has a column.
        """
        name = str(self.wide)
        values = wide(self.written(table), name).reindex(index=normal.sample_names, columns=normal.genes)
        if self.float32 and name not in _FLOAT64:
            values = values.astype(np.float32)
        values.insert(0, "sample", normal.sample_names, allow_duplicates=True)
        return values


def write_tests(
    found: Iterable[tuple[AnnData, ClosestNormal]],
    path: Path,
    options: TableOptions,
    *,
    samples: pd.Index,
    ranks: Ranks = ALONE,
) -> tuple[int, CalledGenes]:
    """Test chunk after chunk and write the rows.

    Args:
        found: Counts and closest normals.
        path: Ends in one of `pydgd.cli.outputs.TABLES`, or in .h5ad or .zarr for an annotated AnnData.
        options: How to test and what to write.
        samples: Names of all samples.
        ranks: Processes that share the samples; the first one writes.

    Returns:
        Number of rows of the table or matrix, and how many genes differ; in the first process.

    Raises:
        OutputError: If the table cannot be written.
    """
    called = CalledGenes()
    write = _write_anndata if path.suffix.lower() in (".h5ad", ".zarr") else _write_table
    n_rows = write(_Tested(found, options, called), path, samples, ranks)
    called.calls = gathered(called.calls, ranks)
    return n_rows, called


class _Tested(NamedTuple):
    """Chunks with their tests.

    Attributes:
        found: Counts and closest normals.
        options: How to test and what to write.
        called: Counts the genes that differ.
    """

    found: Iterable[tuple[AnnData, ClosestNormal]]
    options: TableOptions
    called: CalledGenes

    def each(self) -> Iterator[tuple[AnnData, ClosestNormal, pd.DataFrame]]:
        """Counts, closest normals and all rows of the table, chunk after chunk."""
        for counts, normal in self.found:
            table = self.options.table(counts, normal)
            self.called.add(table)
            yield counts, normal, table


def _write_table(tested: _Tested, path: Path, samples: pd.Index, ranks: Ranks) -> int:
    options, n_rows = tested.options, 0
    if options.wide is None:
        own = (options.written(table) for _, _, table in tested.each())
    else:
        own = (options.matrix(table, normal) for _, normal, table in tested.each())
    tables = in_turn(own, ranks)
    if ranks.index > 0:
        return sum(map(len, tables))
    with table_writer(path) as write:
        for table in tables:
            if options.wide is None:
                # Parquet wants the same type, so the same categories, in every chunk.
                table = table.assign(sample=table["sample"].cat.set_categories(samples))
            write(table)
            n_rows += len(table)
    return n_rows


def _write_anndata(tested: _Tested, path: Path, samples: pd.Index, ranks: Ranks) -> int:
    options = tested.options
    if options.wide is not None:
        raise ConfigError(f"--wide is for tables, but {path} is an AnnData, whose layers are such matrices")
    own = (annotate(counts, normal, options.written(table)) for counts, normal, table in tested.each())
    write_shared(in_turn(own, ranks), path, ranks)
    return len(samples)
