# SPDX-License-Identifier: BSD-3-Clause
"""Parquet tables of counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from pydgd.data.formats import damaged
from pydgd.data.tables import Table, compact, unique_labels
from pydgd.errors import NamesError


def read_parquet(path: Path) -> Table:
    """Read a Parquet table; row names are its pandas index or, without one, its first column of text.

    Args:
        path: The file.

    Returns:
        The table; numbers are int32 where they fit, a null is NaN.

    Raises:
        FileFormatError: If it is truncated or damaged.
        NamesError: If no column can name the rows.
    """
    try:
        with parquet.ParquetFile(path) as file:
            schema, headers = file.schema_arrow, file.schema_arrow.names
            groups = [file.read_row_group(i) for i in range(file.num_row_groups)]
    except (pa.ArrowInvalid, OSError) as error:
        raise damaged(path, "parquet", error) from error
    numeric = [_holds_numbers(kind) for kind in schema.types]
    names = _names_column(schema, numeric, path)
    numbers = [i for i, number in enumerate(numeric) if number and i != names]
    texts = [i for i, number in enumerate(numeric) if not number and i != names]
    row_names: list[str] = []
    annotation: list[list[list[str]]] = []
    blocks = []
    while groups:
        group = groups.pop(0)
        row_names += _texts(group.column(names))
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
