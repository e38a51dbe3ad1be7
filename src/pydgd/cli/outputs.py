# SPDX-License-Identifier: BSD-3-Clause
"""What commands write: checked before the work, written whole or not at all, and said at the end."""

import gzip
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydgd.cli.progress import duration
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError, OutputError
from pydgd.files import atomic_write, check_writable

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz")
# Rows turned into text at a time: a cohort's table has millions, with names as text about 100 bytes each.
_ROWS_AT_A_TIME = 200_000


def check_output(path: Path, suffixes: Iterable[str], *, inputs: Iterable[Path] = ()) -> str:
    """Fail before the work if its result could not be written.

    Args:
        path: Where the result shall be.
        suffixes: Endings that are allowed; they decide the format.
        inputs: Files that the command reads and must not replace.

    Returns:
        The ending.

    Raises:
        ConfigError: If the ending is not allowed.
        OutputError: If `path` cannot be written or is an input.

    Example:
        >>> check_output(Path("de.xlsx"), TABLES)
        Traceback (most recent call last):
        pydgd.errors.ConfigError: cannot tell the format of de.xlsx: ... .csv, .tsv, .csv.gz, .tsv.gz
    """
    allowed = tuple(suffixes)
    found = max((end for end in allowed if path.name.lower().endswith(end)), key=len, default=None)
    if found is None or path.name.lower() == found:
        raise ConfigError(
            f"cannot tell the format of {path}: give a file name that ends in {', '.join(allowed)}"
        )
    for source in inputs:
        if path.exists() and source.exists() and path.samefile(source):
            raise OutputError(f"cannot write {path}: it is the input; give another file name")
    check_writable(path)
    return found


def write_table(table: "pd.DataFrame", path: Path) -> None:
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
            # Neither the time nor the temporary name goes into the file: same table, same bytes.
            with temporary.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
                _write_text(table, stream, "," if ".csv" in name else "\t")
        else:
            with temporary.open("wb") as stream:
                _write_text(table, stream, "," if name.endswith(".csv") else "\t")


def _write_text(table: "pd.DataFrame", stream: Any, separator: str) -> None:  # noqa: ANN401  # any binary stream
    # pyarrow writes 2.9 million rows in a tenth of pandas's time.
    import pyarrow as pa
    from pyarrow import csv

    for first in range(0, max(len(table), 1), _ROWS_AT_A_TIME):
        part = pa.Table.from_pandas(table.iloc[first : first + _ROWS_AT_A_TIME], preserve_index=False)
        # Arrow has no text form of categories.
        plain = {
            name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            for name, column in zip(part.column_names, part.columns, strict=True)
        }
        options = csv.WriteOptions(include_header=first == 0, delimiter=separator)
        csv.write_csv(pa.table(plain), stream, options)


class Announcement:
    """Says that a file was written, and whether another one was there before.

    Args:
        path: Asked before writing whether it exists.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._replaces = path, path.exists()

    def say(self, terminal: Terminal, details: str = "", *, since: float | None = None) -> None:
        """Print the news.

        Args:
            terminal: Where.
            details: What is in the file.
            since: When the command began, by `time.monotonic`.
        """
        what = "replaced" if self._replaces else "wrote"
        facts = human_size(self.path.stat().st_size) + (f", {details}" if details else "")
        took = "" if since is None else f" after {duration(time.monotonic() - since)}"
        terminal.say(f"{what} {self.path} ({facts}){took}")


def human_size(n_bytes: int) -> str:
    """Bytes as a person says them.

    Args:
        n_bytes: At least 0.

    Example:
        >>> human_size(812), human_size(48_123_456)
        ('812 B', '48.1 MB')
    """
    size, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
