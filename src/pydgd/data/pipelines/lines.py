# SPDX-License-Identifier: BSD-3-Clause
"""The lines of one sample's file, and columns of names and numbers from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pydgd.data.delimited import text_stream
from pydgd.data.layout import is_number
from pydgd.data.tables import compact
from pydgd.errors import CountsError, FileFormatError

# Enough for the names of any header; a file of a thousand columns has 10 kB a line.
_HEAD_LINES, _HEAD_CHARACTERS = 20, 2**20


def head(path: Path, kind: str) -> list[str]:
    """The first lines of a file, without line ends.

    Args:
        path: The file.
        kind: As `detect_format` says.

    Raises:
        FileFormatError: If they cannot be read.
    """
    with text_stream(path, kind) as stream:
        lines = iter(lambda: stream.readline(_HEAD_CHARACTERS), "")
        return [line.rstrip("\n") for line in islice(lines, _HEAD_LINES)]


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of tab-separated fields, all equally many.

    Attributes:
        path: The file.
        what: Its kind in words.
        header: Names of the columns; empty if the file has none.
        rows: The lines after it.
        n_before: How many lines come before `rows`.
    """

    path: Path
    what: str
    header: list[str]
    rows: list[str]
    n_before: int

    @classmethod
    def read(cls, path: Path, kind: str, what: str, *, header: bool, n_fields: int | None = None) -> "Lines":
        """Read a file; lines that begin with # are comments if they stand first.

        Args:
            path: The file.
            kind: As `detect_format` says.
            what: Its kind in words.
            header: Whether the first line that is no comment names the columns.
            n_fields: Fields per line; by default as many as in the header.

        Raises:
            FileFormatError: If it is truncated, or a line has other than `n_fields` fields.
        """
        with text_stream(path, kind) as stream:
            text = stream.read()
        if not text.endswith("\n"):
            last = text[text.rfind("\n") + 1 :]
            raise FileFormatError(
                f"{path}: the last line ({_begin(last)}) has no line end, which {what} always has: the file "
                "is truncated; copy, download or write it again"
            )
        # Editors and copying leave blank lines at the end.
        rows = text.rstrip("\n").split("\n")
        n_comments = next((i for i, line in enumerate(rows) if not line.startswith("#")), len(rows))
        names = rows[n_comments].split("\t") if header and n_comments < len(rows) else []
        first = n_comments + bool(header)
        lines = cls(path, what, names, rows[first:], first)
        lines.check_fields(n_fields or len(names))
        return lines

    def check_fields(self, n_fields: int) -> None:
        """Refuse lines with more or fewer fields, and a file without any line.

        Args:
            n_fields: Fields per line.

        Raises:
            FileFormatError: The message names the first such line.
        """
        if not self.rows:
            raise FileFormatError(
                f"{self.path}: {self.what} without a line of counts; write or download it again"
            )
        for number, row in enumerate(self.rows, self.n_before + 1):
            if row.count("\t") != n_fields - 1:
                raise FileFormatError(
                    f"{self.path}: line {number} ({_begin(row)}) has {row.count(chr(9)) + 1} fields where "
                    f"{self.what} has {n_fields}; copy, download or write the file again"
                )

    def place(self, column: str) -> int:
        """Where a column stands.

        Args:
            column: Its name.

        Raises:
            FileFormatError: If there is none.
        """
        if column not in self.header:
            raise FileFormatError(
                f"{self.path}: {self.what} has no column {column!r}, only {', '.join(self.header[:12])}; "
                "give the file as the program wrote it"
            )
        return self.header.index(column)

    def texts(self, place: int) -> list[str]:
        """One column as text.

        Args:
            place: Number of the column, from 0.
        """
        if place == 0:
            return [row.partition("\t")[0] for row in self.rows]
        return [row.split("\t", place + 1)[place] for row in self.rows]

    def numbers(self, places: Sequence[int]) -> NDArray[Any]:
        """Some columns as numbers, rows × columns; int32 where that loses nothing.

        Args:
            places: Numbers of the columns, from 0.

        Raises:
            CountsError: If a field is no number; the message names its line.
        """
        try:
            values = np.loadtxt(
                self.rows, dtype=np.float64, comments=None, delimiter="\t", usecols=places, ndmin=2
            )
        except ValueError:
            raise self._not_a_number(places) from None
        return compact(values)

    def _not_a_number(self, places: Sequence[int]) -> CountsError:
        for number, row in enumerate(self.rows, self.n_before + 1):
            fields = row.split("\t")
            for place in places:
                if not is_number(fields[place]):
                    column = repr(self.header[place]) if self.header else str(place + 1)
                    return CountsError(
                        f"{self.path}: line {number}, gene {fields[0]!r}, column {column} holds "
                        f"{fields[place]!r}, not a number; copy, download or write the file again"
                    )
        return CountsError(f"{self.path}: some fields are not plain numbers; write the file again")


def _begin(line: str) -> str:
    return repr(line[:30] + "…" * (len(line) > 30))
