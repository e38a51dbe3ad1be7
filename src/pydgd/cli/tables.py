# SPDX-License-Identifier: BSD-3-Clause
"""Tables as files and as one line of news. Heavy: commands import it when they run."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from pydgd.files import atomic_write

# Rows turned into text at a time: a cohort's table has millions, with names as text about 100 bytes each.
_ROWS_AT_A_TIME = 200_000
_CALLED_BELOW = 0.05


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, CSV or TSV, the latter two also gzipped, by the ending of `path`.

    Args:
        table: Rows to write; the index is left out. Missing values are empty in text.
        path: Ends in one of `TABLES`.

    Raises:
        OutputError: If it cannot be written.
    """
    name = path.name.lower()
    with atomic_write(path) as temporary:
        if name.endswith(".parquet"):
            table.to_parquet(temporary, index=False)
        elif name.endswith(".gz"):
            # Neither the time nor the temporary name goes into the file: same table, same bytes. Level 1, as
            # 2.9 million rows take 54 s at level 6.
            with temporary.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as stream:
                _write_text(table, stream, "," if name.endswith(".csv.gz") else "\t")
        else:
            with temporary.open("wb") as stream:
                _write_text(table, stream, "," if name.endswith(".csv") else "\t")


def _write_text(table: pd.DataFrame, stream: Any, separator: str) -> None:  # noqa: ANN401  # any binary stream
    # pyarrow writes 2.9 million rows in a tenth of pandas's time.
    for first in range(0, max(len(table), 1), _ROWS_AT_A_TIME):
        part = pa.Table.from_pandas(table.iloc[first : first + _ROWS_AT_A_TIME], preserve_index=False)
        # Arrow has no text form of categories.
        plain = {
            name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            for name, column in zip(part.column_names, part.columns, strict=True)
        }
        options = csv.WriteOptions(include_header=first == 0, delimiter=separator)
        csv.write_csv(pa.table(plain), stream, options)


def called_genes(table: pd.DataFrame, *, n_samples: int) -> str:
    """How many genes differ, in one line.

    Args:
        table: What `pydgd.differential_expression` returns.
        n_samples: Samples that were tested.
    """
    called = table[table["padj"] < _CALLED_BELOW].groupby("sample", observed=False).size()
    if n_samples == 1:
        return f"{called.iloc[0]:,} genes differ at padj < {_CALLED_BELOW}"
    return (
        f"genes that differ at padj < {_CALLED_BELOW}: median {called.median():,.0f} per sample, "
        f"from {called.min():,} ({called.idxmin()}) to {called.max():,} ({called.idxmax()})"
    )
