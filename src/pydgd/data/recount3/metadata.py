# SPDX-License-Identifier: BSD-3-Clause
"""Tables of metadata: read, joined by sample, and attributes taken apart."""

import csv
import gzip
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path

import pandas as pd

from pydgd.data.strict_csv import read_strict
from pydgd.errors import FileFormatError, NamesError

KEYS = ["rail_id", "external_id", "study"]
_ATTRIBUTES = {
    "sra.sample_attributes": "sra_attribute",
    "sra.experiment_attributes": "sra_experiment_attribute",
}


def read_metadata(path: Path) -> pd.DataFrame:
    """Read one table.

    Args:
        path: Tab-separated text, gzipped.

    Returns:
        Names of columns in small letters without the name of their table; keys as text.

    Raises:
        FileFormatError: If it is no such table.
    """
    try:
        with gzip.open(path) as raw, TextIOWrapper(raw, encoding="utf-8") as stream:
            # A free text may hold a quotation mark that nothing closes.
            table = read_strict(stream, "\t", quoting=csv.QUOTE_NONE, low_memory=False)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: no table of metadata ({reason}); delete it and run again") from error
    names = [str(name).lower() for name in table.columns]
    # Some tables put their own name before the keys too.
    table.columns = [last if (last := name.rpartition(".")[2]) in KEYS else name for name in names]
    if "external_id" not in table:
        raise FileFormatError(
            f"{path}: expected metadata with the column external_id, got "
            f"{', '.join(map(str, table.columns[:5]))}; delete the file and run again"
        )
    return table.astype({key: str for key in KEYS if key in table})


def join_metadata(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All tables of a project in one, by ``external_id``.

    Args:
        tables: Name → table; the first has all samples.

    Returns:
        Samples × ``table.column`` (``gtex.smtsd``, ``recount_qc.star.average_mapped_length``), with the
        attributes of SRA taken apart.

    Raises:
        NamesError: If a table lists a sample twice.
    """
    parts: list[pd.DataFrame] = []
    for name, table in tables.items():
        repeated = table.loc[table["external_id"].duplicated(), "external_id"]
        if len(repeated):
            raise NamesError(
                f"the table {name} lists sample {repeated.iloc[0]} more than once; report it to recount3"
            )
        repeats = set(KEYS) & set(table.columns) - {"external_id"} if parts else set()
        indexed = table.set_index("external_id").drop(columns=sorted(repeats))
        # Some tables put their own name before their columns.
        labels = [str(column).removeprefix(f"{name}.") for column in indexed]
        keys = [label if label in KEYS else f"{name}.{label}" for label in labels]
        parts.append(indexed.set_axis(keys, axis=1))
    joined: pd.DataFrame = pd.concat(
        [parts[0], *(part.reindex(parts[0].index) for part in parts[1:])], axis=1
    )
    joined.index = pd.Index(joined.index.astype(str), name="external_id")
    for column in filter(joined.__contains__, _ATTRIBUTES):
        joined = joined.join(_attributes(joined, column))
    return joined


def _attributes(metadata: pd.DataFrame, column: str) -> pd.DataFrame:
    """Columns from texts such as ``age;;34|source name;;liver``."""
    rows = [_pairs(text) if isinstance(text, str) else {} for text in metadata[column]]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {f"{_ATTRIBUTES[column]}.{name}": [row.get(name) for row in rows] for name in names}
    return pd.DataFrame(columns, index=metadata.index)


def _pairs(text: str) -> dict[str, str]:
    pairs = (pair.partition(";;") for pair in text.split("|"))
    return {name.strip().lower().replace(" ", "_"): value.strip() for name, mark, value in pairs if mark}
