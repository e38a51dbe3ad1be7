# SPDX-License-Identifier: BSD-3-Clause
"""Tables as files and as one line of news. Heavy: commands import it when they run."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
from pyarrow import compute, csv, parquet

from pydgd.files import atomic_write
from pydgd.words import plural

# Rows turned into text at a time: a cohort's table has millions, with names as text about 100 bytes each.
_ROWS_AT_A_TIME = 200_000
_CALLED_BELOW = 0.05

Write = Callable[[pd.DataFrame], None]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, CSV or TSV, the latter two also gzipped, by the ending of `path`.

    Args:
        table: Rows to write; the index is left out. Missing values are empty in text.
        path: Ends in one of `TABLES`.

    Raises:
        OutputError: If it cannot be written.
    """
    with table_writer(path) as write:
        write(table)


@contextmanager
def table_writer(path: Path) -> Iterator[Write]:
    """A table that is written in parts and appears under its name once the block has ended well.

    Args:
        path: Ends in one of `TABLES`.

    Yields:
        What appends the rows of a table; all tables have the same columns and types.

    Raises:
        OutputError: If it cannot be written.
    """
    name = path.name.lower()
    with atomic_write(path) as temporary, ExitStack() as files:
        if name.endswith(".parquet"):
            yield files.enter_context(_Parquet(temporary))
            return
        stream: IO[bytes] | gzip.GzipFile = files.enter_context(temporary.open("wb"))
        if name.endswith(".gz"):
            # Neither the time nor the temporary name goes into the file: same table, same bytes. Level 1, as
            # 2.9 million rows take 54 s at level 6.
            stream = files.enter_context(gzip.GzipFile("", "wb", 1, stream, mtime=0))
        yield _Text(stream, "," if name.removesuffix(".gz").endswith(".csv") else "\t")


def no_formula(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts with an apostrophe before what a spreadsheet would run; numbers as they are."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    return compute.replace_substring_regex(column, r"^([=+\-@\t\r])", r"'\1")


def as_named(names: pd.Series) -> pd.Series:
    """Names without the apostrophe that `no_formula` put before them.

    Args:
        names: Text.
    """
    plain: pd.Series = names.str.replace(r"^'(?=[=+\-@\t\r])", "", regex=True)
    return plain


class _Text:
    """Appends rows as text, the header first."""

    def __init__(self, stream: object, separator: str) -> None:
        self._stream, self._separator, self._header = stream, separator, True

    def __call__(self, table: pd.DataFrame) -> None:
        # pyarrow writes 2.9 million rows in a tenth of pandas's time.
        for first in range(0, max(len(table), int(self._header)), _ROWS_AT_A_TIME):
            part = pa.Table.from_pandas(table.iloc[first : first + _ROWS_AT_A_TIME], preserve_index=False)
            # Arrow has no text form of categories.
            plain = {
                name: no_formula(
                    column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
                )
                for name, column in zip(part.column_names, part.columns, strict=True)
            }
            options = csv.WriteOptions(include_header=self._header, delimiter=self._separator)
            csv.write_csv(pa.table(plain), self._stream, options)
            self._header = False


class _Parquet:
    """Appends rows as groups of Parquet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: parquet.ParquetWriter | None = None

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, table: pd.DataFrame) -> None:
        rows = pa.Table.from_pandas(table, preserve_index=False)
        if self._writer is None:
            # As DataFrame.to_parquet keeps the settings that are in `attrs`.
            metadata = {**rows.schema.metadata, b"PANDAS_ATTRS": json.dumps(table.attrs).encode()}
            self._writer = parquet.ParquetWriter(self._path, rows.schema.with_metadata(metadata))
        self._writer.write_table(rows.replace_schema_metadata(self._writer.schema.metadata))


class CalledGenes:
    """How many genes of each sample differ, in one line.

    Attributes:
        calls: What was counted, by sample, of each table.
    """

    def __init__(self) -> None:
        self.calls: list[pd.Series] = []

    def add(self, table: pd.DataFrame) -> None:
        """Count the genes of some samples.

        Args:
            table: What `pydgd.differential_expression` returns.
        """
        called = table["padj"] < _CALLED_BELOW
        self.calls.append(called.groupby(table["sample"], observed=False).sum())

    def __str__(self) -> str:
        called = pd.concat([calls.set_axis(calls.index.astype(str)) for calls in self.calls])
        if len(called) == 1:
            verb = "differs" if called.iloc[0] == 1 else "differ"
            return f"{plural(int(called.iloc[0]), 'gene')} {verb} at padj < {_CALLED_BELOW}"
        return (
            f"genes that differ at padj < {_CALLED_BELOW}: median {called.median():,.0f} per sample, "
            f"from {called.min():,} ({called.idxmin()}) to {called.max():,} ({called.idxmax()})"
        )
