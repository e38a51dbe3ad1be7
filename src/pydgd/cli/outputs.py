# SPDX-License-Identifier: BSD-3-Clause
"""What commands write: checked before the work, written whole or not at all, and said at the end."""

import time
from collections.abc import Iterable
from pathlib import Path

from pydgd.cli.progress import duration
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError, OutputError
from pydgd.files import check_folder, check_writable

TABLES = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz")


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
    if found == ".zarr":
        _check_zarr(path)
    else:
        check_writable(path)
    return found


def _check_zarr(path: Path) -> None:
    from pydgd.data.growing import ZARR_MARKS, check_zarr

    check_zarr()
    check_folder(path, marks=ZARR_MARKS)


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
        facts = human_size(_size(self.path)) + (f", {details}" if details else "")
        took = "" if since is None else f" after {duration(time.monotonic() - since)}"
        terminal.say(f"{what} {self.path} ({facts}){took}")


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


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
