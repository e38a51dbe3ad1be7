# SPDX-License-Identifier: BSD-3-Clause
"""Tables of text beyond any table of counts, written on the spot."""

from collections.abc import Callable
from pathlib import Path

_PIECE = 2**20


def many_columns(path: Path, n: int) -> None:
    """Two samples of `n` genes."""
    with path.open("w") as file:
        file.write("sample," + ",".join(f"g{i}" for i in range(n)) + "\n")
        for name in ("S1", "S2"):
            file.write(name + ",1" * n + "\n")


def long_header(path: Path, n: int) -> None:
    """One line of `n` characters, and nothing else."""
    _long(path, "x", n, before="", after="")


def long_name(path: Path, n: int) -> None:
    """A gene whose name has `n` characters."""
    _long(path, "x", n, before="gene,S1,S2\nA,1,2\n", after=",3,4\n")


def long_number(path: Path, n: int) -> None:
    """A count of `n` digits."""
    _long(path, "1", n, before="gene,S1\nA,1\nB,", after="\n")


def open_quote(path: Path, n: int) -> None:
    """A quotation mark that is not closed for `n` characters."""
    _long(path, ",1\nB", n, before='gene,S1\nA,1\n"B', after="\n")


def _long(path: Path, text: str, n: int, *, before: str, after: str) -> None:
    piece = text * (_PIECE // len(text))
    with path.open("w") as file:
        file.write(before)
        for _ in range(n // len(piece)):
            file.write(piece)
        file.write(after)


HUGE: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "10 million columns": (many_columns, 10_000_000),
    "a first line of 1 GB": (long_header, 10**9),
    "a name of 1 GB": (long_name, 10**9),
    "a number of 1 GB": (long_number, 10**9),
    "an open quotation mark before 1 GB": (open_quote, 10**9),
}
