# SPDX-License-Identifier: BSD-3-Clause
"""Tables that commands read and write again. Heavy: commands import it when they run."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa
from anndata import AnnData, read_h5ad, read_zarr
from anndata.io import read_elem
from pyarrow import csv, parquet

from pydgd.cli.outputs import Announcement
from pydgd.cli.tables import as_named, write_table
from pydgd.cli.terminal import Terminal
from pydgd.data.claims import check_claims
from pydgd.data.formats import OPENERS, damaged, detect_format
from pydgd.data.growing import check_zarr
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.data.hdf5 import damage_named, open_h5ad, open_zarr
from pydgd.errors import ConfigError, FileFormatError, OutputError
from pydgd.words import plural

NAMES = ("sample", "gene", "gene_set", "group")
"""Columns that hold names, which are text even where all look like numbers."""


def read_table(path: Path, *, needs: Collection[str] = ()) -> pd.DataFrame:
    """Read a table with a header, names as text: Parquet, CSV or TSV, by its content.

    Args:
        path: The file; text may be compressed.
        needs: Columns that it must have.

    Raises:
        FileFormatError: If it cannot be read, is no table, or lacks a column.

    Example:
        >>> read_table(Path("no-such-table.csv"))
        Traceback (most recent call last):
        pydgd.errors.FileFormatError: no-such-table.csv: there is no such file; check the path
    """
    table: pd.DataFrame = _arrow(path).to_pandas()
    if missing := [name for name in needs if name not in table]:
        raise FileFormatError(
            f"{path}: the table lacks the columns {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}. Give what `pydgd de` wrote"
        )
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise FileFormatError(f"{path}: the column {twice!r} stands there twice; give each name once")
    for name in set(NAMES) & set(table.columns):
        table[name] = as_named(table[name].astype(str)).astype("category")
    return table


def read_annotated(path: Path) -> AnnData:
    """Read all of an h5ad file or a zarr folder.

    Args:
        path: What `pydgd closest-normal` wrote.

    Raises:
        FileFormatError: If it cannot be read.
    """
    if path.is_dir():
        check_zarr()
    with damage_named(path):
        if path.is_dir():
            check_claims(open_zarr(path), path)
            return read_zarr(path)
        open_h5ad(path).close()
        return read_h5ad(path)


def is_annotated(path: Path) -> bool:
    """Whether a file is an h5ad, or a folder that may be zarr; other formats are tables or models.

    Args:
        path: What a user gave.

    Raises:
        FileFormatError: If there is nothing, or a folder of something else.
    """
    return (path.suffix == ".zarr" and path.is_dir()) or detect_format(path) == "h5ad"


def read_rows(path: Path) -> pd.DataFrame:
    """Read a table whose first column, or pandas index, names the rows.

    Args:
        path: As for `read_table`.

    Raises:
        FileFormatError: If it cannot be read, or a name stands there twice.
    """
    rows: pd.DataFrame = _arrow(path, first_is_text=True).to_pandas()
    if isinstance(rows.index, pd.RangeIndex):
        if rows.shape[1] < 2:
            raise FileFormatError(
                f"{path}: expected a column of names and one beside it, got {rows.shape[1]}"
            )
        rows = rows.set_index(rows.columns[0])
    rows.index = pd.Index(as_named(rows.index.astype(str).to_series()), name=rows.index.name)
    if not rows.index.is_unique:
        twice = rows.index[rows.index.duplicated()][0]
        raise FileFormatError(f"{path}: the row {twice!r} stands there twice; give each name once")
    return rows


def read_groups(path: Path | None, column: str | None) -> pd.Series | None:
    """Group of each sample.

    Args:
        path: An h5ad, or a table whose first column names the samples; None for no groups.
        column: Which column holds the group; by default the first after the names.

    Raises:
        FileFormatError: If the file cannot be read.
        ConfigError: If there is no such column, or an h5ad is given without one.
    """
    if path is None:
        return None
    if detect_format(path) == "h5ad":
        with open_h5ad(path) as file:
            rows = read_elem(file["obs"])
        if column is None:
            raise ConfigError(f"say which column of {path} holds the group: --group-column NAME")
    else:
        rows = read_rows(path)
    chosen = rows.columns[0] if column is None else column
    if chosen not in rows:
        raise ConfigError(f"{path} has no column {chosen!r}; there is {', '.join(map(str, rows.columns))}")
    group: pd.Series = rows[chosen]
    return group


def named(table: pd.DataFrame) -> pd.DataFrame:
    """A frame with its index, the names of samples, as its first column.

    Args:
        table: Samples in rows.
    """
    return table.rename_axis("sample").reset_index()


def write_and_say(terminal: Terminal, table: pd.DataFrame, path: Path, *, since: float | None = None) -> None:
    """Write a table and say so.

    Args:
        terminal: Where to say it.
        table: Its index is left out.
        path: Ends in one of `pydgd.cli.outputs.TABLES`.
        since: When the command began, by `time.monotonic`.
    """
    news = Announcement(path)
    write_table(table, path)
    news.say(terminal, plural(len(table), "row"), since=since)


def _arrow(path: Path, *, first_is_text: bool = False) -> pa.Table:
    kind = detect_format(path)
    try:
        if kind == "parquet":
            return parquet.read_table(path)
        if kind in OPENERS:
            return _text(path, kind, first_is_text=first_is_text)
    except (pa.ArrowInvalid, EOFError, OSError, UnicodeDecodeError) as error:
        raise damaged(path, kind, error) from error
    raise FileFormatError(f"{path}: expected a table, CSV or TSV (also .gz) or Parquet; it is {kind}")


def _text(path: Path, kind: str, *, first_is_text: bool) -> pa.Table:
    with OPENERS[kind](path) as stream:
        header = stream.readline().decode("utf-8-sig").rstrip("\r\n")
    separator = "\t" if "\t" in header else ","
    columns = [name.strip('"') for name in header.split(separator)]
    texts = {*NAMES, *columns[:1]} if first_is_text else set(NAMES)
    # A sample may be called NA or 007.
    types = {name: pa.string() for name in texts & {*columns}}
    with OPENERS[kind](path) as stream:
        return csv.read_csv(
            stream,
            parse_options=csv.ParseOptions(delimiter=separator),
            # A sample may be called NA or 007.
            convert_options=csv.ConvertOptions(column_types=types),
        )


def write_per_sample(terminal: Terminal, table: pd.DataFrame, folder: Path, ending: str) -> None:
    """Write the rows of each sample into a file of its own, named after it.

    Args:
        terminal: Where to say it.
        table: With a column sample.
        folder: Made if it is not there.
        ending: One of `pydgd.cli.outputs.TABLES`.

    Raises:
        OutputError: If the folder cannot be made, or two samples would have the same file.
    """
    files: dict[Path, str] = {}
    for sample in map(str, table["sample"].unique()):
        path = folder / (re.sub(r"[^\w.+-]", "_", sample).lstrip(".") + ending)
        if path in files:
            raise OutputError(
                f"cannot write {path}: it would hold both sample {files[path]!r} and {sample!r}; rename one"
            )
        files[path] = sample
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another") from error
    for path, sample in files.items():
        write_table(table[(table["sample"] == sample).to_numpy()], path)
    terminal.say(f"wrote {plural(len(files), 'table')} into {folder}")


def read_positions(path: Path) -> AnnData | pd.DataFrame:
    """Read representations: what `pydgd closest-normal` wrote, or a table with names of samples first.

    Args:
        path: The file.

    Raises:
        FileFormatError: If it cannot be read.
    """
    return read_annotated(path) if is_annotated(path) else read_rows(path)


def write_annotated(terminal: Terminal, adata: AnnData, path: Path) -> None:
    """Write an h5ad and say so.

    Args:
        terminal: Where to say it.
        adata: Samples × genes.
        path: Ends in .h5ad.
    """
    news = Announcement(path)
    write_h5ad(adata, path)
    news.say(terminal, f"{plural(adata.n_obs, 'sample')} x {plural(adata.n_vars, 'gene')}")
