# SPDX-License-Identifier: BSD-3-Clause
"""Parquet and Feather tables of counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import feather, parquet

from pydgd.data.formats import damaged
from pydgd.data.layout import describes_genes, is_number
from pydgd.data.tables import Table, compact, unique_labels
from pydgd.errors import CountsError, NamesError, PyDGDError


def read_arrow(path: Path, kind: str) -> Table:
    """Read a Parquet or Feather table; row names are its pandas index or, without one, its first text column.

    Args:
        path: The file.
        kind: ``"parquet"`` or ``"feather"``.

    Returns:
        The table; numbers are int32 where they fit, a null is NaN.

    Raises:
        FileFormatError: If it is truncated or damaged.
        CountsError: If a column of text holds numbers for the most part.
        NamesError: If no column can name the rows.
    """
    try:
        schema, groups = (_parquet if kind == "parquet" else _feather)(path)
        numeric = [_holds_numbers(kind) for kind in schema.types]
        names = _names_column(schema, numeric, path)
        # Arrow trusts the offsets of texts and lists.
        for group in groups:
            group.validate(full=True)
        return _table(schema, groups, numeric, names, path)
    except PyDGDError:
        raise
    # Names and pandas's notes may be no UTF-8 or no JSON (ValueError); Arrow's own errors are of many kinds.
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        OverflowError,
    ) as error:
        raise damaged(path, kind, error) from error


def _table(schema: pa.Schema, groups: list[pa.Table], numeric: list[bool], names: int, path: Path) -> Table:
    headers = schema.names
    numeric = [
        number and not describes_genes(header) for number, header in zip(numeric, headers, strict=True)
    ]
    numbers = [i for i, number in enumerate(numeric) if number and i != names]
    texts = [i for i, number in enumerate(numeric) if not number and i != names]
    row_names: list[str] = []
    annotation: list[list[list[str]]] = []
    blocks = []
    while groups:
        group = groups.pop(0)
        row_names += _texts(group.column(names))
        _refuse_mixed(group, names, texts, path)
        annotation.append([_texts(group.column(i)) for i in texts])
        blocks.append(compact(_block(group, numbers)))
    labels = unique_labels([headers[i] for i in texts])
    columns = {label: [value for part in annotation for value in part[k]] for k, label in enumerate(labels)}
    return Table(
        row_names,
        [headers[i] for i in numbers],
        "" if headers[names].startswith("__index_level_") else headers[names],
        pd.DataFrame(columns, index=range(len(row_names))),
        blocks,
    )


def _parquet(path: Path) -> tuple[pa.Schema, list[pa.Table]]:
    with parquet.ParquetFile(path) as file:
        return file.schema_arrow, [file.read_row_group(i) for i in range(file.num_row_groups)]


def _feather(path: Path) -> tuple[pa.Schema, list[pa.Table]]:
    table = feather.read_table(path, memory_map=False)
    return table.schema, [table]


def _holds_numbers(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _names_column(schema: pa.Schema, numeric: list[bool], path: Path) -> int:
    """The position of the column that names the rows."""
    stored = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    for name in stored:
        # A plain row count is stored as a dictionary, not as the name of a column.
        if isinstance(name, str) and name in schema.names:
            return int(schema.names.index(name))
    if all(numeric):
        raise NamesError(
            f"{path}: no column names the rows: all {len(numeric)} hold numbers; write sample or gene names "
            "as the index or as a column of text"
        )
    return numeric.index(False)


def _refuse_mixed(group: pa.Table, names: int, places: list[int], path: Path) -> None:
    """A stray word would turn a gene into a label, unseen."""
    for place in places:
        if describes_genes(group.column_names[place]):
            continue
        values = _texts(group.column(place))
        numbers = [is_number(value) for value in values]
        if len(values) / 2 < sum(numbers) < len(values):
            row = numbers.index(False)
            raise CountsError(
                f"{path}: row {_texts(group.column(names))[row]!r}, column {group.column_names[place]!r} "
                f"holds {values[row]!r}, not a number; write 0 for no reads, correct the value, or drop "
                "the row or the column"
            )


def _texts(column: pa.ChunkedArray) -> list[str]:
    """A column as text; a null is empty."""
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _block(group: pa.Table, places: list[int]) -> NDArray[Any]:
    """The columns at `places` as rows × columns, in the narrowest type that holds them all."""
    columns = [group.column(i).to_numpy() for i in places]
    dtype = np.result_type(*{column.dtype for column in columns}) if columns else np.dtype(np.int32)
    by_column = np.empty((len(columns), group.num_rows), dtype=dtype)
    for place, column in enumerate(columns):
        by_column[place] = column
    return by_column.T
