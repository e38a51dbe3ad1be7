# SPDX-License-Identifier: BSD-3-Clause
"""CSV and TSV tables, also compressed, a block of lines at a time.

NumPy's `loadtxt` does the work: at 1,000 × 20,000 counts it is faster than pyarrow's reader, which pays
for every column of every block, and holds one block besides the result.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, TextIOBase, TextIOWrapper
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.data.claims import SLACK
from pydgd.data.formats import OPENERS, UNPACK_ERRORS, damaged
from pydgd.data.layout import MOST_LINE, Layout, find_layout, is_number, refuse_endless, split_fields
from pydgd.data.memory import check_memory
from pydgd.data.tables import Table, compact, unique_labels
from pydgd.errors import CountsError, FileFormatError

_BLOCK_CHARACTERS = 8_000_000
# Tables of counts of which 99 in 100 are zeros pack 100 times, by gzip, xz and bzip2 alike.
MOST_UNPACKING = 400
_QUOTED = re.compile('"[^"]*"')
# Integers first: they parse a third faster than floats and need half the memory.
_NUMBER_TYPES = (np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.float64))


def read_delimited(path: Path, *, kind: str = "text") -> Table:
    """Read a table of text whose first line names the columns and whose first column names the rows.

    The separator (comma, tab, semicolon, bar) is found by content; a header that lacks the first column's
    name, as R writes it, is understood. Columns of text become annotation.

    Args:
        path: The file.
        kind: ``"text"``, or what it is compressed with, as `detect_format` says.

    Returns:
        The table; numbers are int32 where they fit.

    Raises:
        FileFormatError: If it is truncated, not UTF-8, or no table.
        CountsError: If a value in a column of numbers is none; the message names row and column.
    """
    with text_stream(path, kind) as stream:
        return read_stream(stream, path)


@contextmanager
def text_stream(path: Path, kind: str) -> Iterator[TextIOWrapper]:
    """The text of a file, unpacked; a byte-order mark is skipped and line ends are plain.

    Args:
        path: The file.
        kind: As in `read_delimited`.

    Raises:
        FileFormatError: If what is read is truncated, damaged or not UTF-8.
    """
    try:
        with OPENERS[kind](path) as raw:
            stream: Any = raw if kind == "text" else _Unpacked(raw, path)
            yield TextIOWrapper(stream, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: the text is not UTF-8 ({error.reason}); save it as UTF-8") from error
    except UNPACK_ERRORS as error:
        raise damaged(path, kind, error) from error


class _Unpacked(BufferedIOBase):
    """What comes out of a packed file, as long as it is not out of all proportion."""

    def __init__(self, raw: Any, path: Path) -> None:  # noqa: ANN401  # the streams of three packers
        self._raw, self._path, self._n = raw, path, 0
        self._most = SLACK + MOST_UNPACKING * path.stat().st_size

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        content = bytes(self._raw.read(size))
        self._n += len(content)
        if self._n > self._most:
            raise FileFormatError(
                f"{self._path}: unpacks to more than {MOST_UNPACKING} times its size, which no table of "
                "counts does; it is damaged or made to harm: get it again from where it comes from"
            )
        return content

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read1(2**20), b""))
        return self.read1(size)


def read_stream(
    stream: TextIOBase,
    path: Path,
    find: Callable[[str, list[str], Path], Layout] = find_layout,
    *,
    header: str | None = None,
    n_before: int = 0,
) -> Table:
    """Read a table from where a stream stands.

    Args:
        stream: Its next line is the header, unless that is given.
        path: The file, for messages.
        find: Finds the layout from the header, the lines after it, and the path.
        header: The line that names the columns, if it was read already.
        n_before: Lines before the header, or between it and the others, for messages.

    Returns:
        The table; errors are those of `read_delimited`.
    """
    header = stream.readline(MOST_LINE) if header is None else header
    blocks = _line_blocks(stream)
    lines = next(blocks, [])
    layout = find(header, lines, path)
    names: list[str] = []
    labels: list[NDArray[Any]] = []
    numbers: list[NDArray[Any]] = []
    n_before, dtype = n_before + 1, _NUMBER_TYPES[0]
    while lines:
        kept = _whole_lines(lines, layout, n_before, path)
        if kept:
            text = _texts(kept, layout)
            names += [name.strip() for name in text[:, 0].tolist()]
            labels.append(text[:, 1:])
            block = _numbers(kept, layout, dtype, path)
            dtype = block.dtype
            numbers.append(compact(block))
            if len(numbers) == 1:
                _check_memory(numbers[0].nbytes / sum(map(len, lines)), path)
        n_before += len(lines)
        lines = next(blocks, [])
    if not labels:
        raise FileFormatError(f"{path}: no line of counts below the header; copy or write the file again")
    annotation = pd.DataFrame(
        np.concatenate(labels), columns=unique_labels([layout.names[i] for i in layout.text])
    )
    return Table(names, [layout.names[i] for i in layout.numeric], layout.label, annotation, numbers)


def _check_memory(bytes_per_character: float, path: Path) -> None:
    """Refuse what does not fit in memory by far: later lines may hold less than half as much as the first."""
    check_memory(
        path.stat().st_size * bytes_per_character / 2,
        f"{path}: reading it",
        "give fewer samples, or write them as h5ad, which pydgd train reads part by part with --stream",
    )


def _line_blocks(stream: TextIOBase) -> Iterator[list[str]]:
    lines, n_characters = [], 0
    for line in iter(lambda: stream.readline(MOST_LINE), ""):
        lines.append(line)
        n_characters += len(line)
        if n_characters >= _BLOCK_CHARACTERS:
            yield lines
            lines, n_characters = [], 0
    if lines:
        yield lines


def _whole_lines(lines: list[str], layout: Layout, n_before: int, path: Path) -> list[str]:
    """The lines that are not blank, each with all its fields."""
    kept = []
    for number, line in enumerate(lines, n_before + 1):
        if not line.strip():
            continue
        n_fields = line.count(layout.separator) + 1
        refuse_endless(line, n_fields, path)
        if '"' in line:
            # One that stays open would swallow the lines after it.
            if line.count('"') % 2:
                raise FileFormatError(
                    f"{path}: line {number} ({line[:30].strip()!r}…) has a quotation mark that is not "
                    "closed; close or remove it"
                )
            n_fields = _QUOTED.sub("", line).count(layout.separator) + 1
        if n_fields != layout.n_fields:
            raise FileFormatError(
                f"{path}: line {number} ({line[:30].strip()!r}…) has {n_fields} fields where the first has "
                f"{layout.n_fields}; the file may be truncated: copy or write it again"
            )
        kept.append(line)
    return kept


def _parse(lines: list[str], layout: Layout, dtype: np.dtype[Any], places: tuple[int, ...]) -> NDArray[Any]:
    """Columns at `places` (positions in `layout.names`; -1 is the row names) as one array."""
    return np.loadtxt(
        lines,
        dtype=dtype,
        comments=None,
        delimiter=layout.separator,
        quotechar='"',
        usecols=[place + 1 for place in places],
        ndmin=2,
    )


def _texts(lines: list[str], layout: Layout) -> NDArray[Any]:
    """Row names and columns of text, as objects."""
    if not layout.text:
        names = [line.partition(layout.separator)[0] for line in lines]
        # Saves a fifth of the time; a quoted name may hold the separator.
        if not any('"' in name for name in names):
            return np.array(names, dtype=object)[:, None]
    return _parse(lines, layout, np.dtype(str), (-1, *layout.text)).astype(object)


def _numbers(lines: list[str], layout: Layout, dtype: np.dtype[Any], path: Path) -> NDArray[Any]:
    """The numeric columns in the narrowest type, from `dtype` on, that can hold them."""
    for wider in _NUMBER_TYPES[_NUMBER_TYPES.index(dtype) :]:
        # NumPy 1 cuts "1.5" to 1 for integers, and only a warning says so.
        with catch_warnings():
            simplefilter("error", DeprecationWarning)
            try:
                return _parse(lines, layout, wider, layout.numeric)
            except (ValueError, DeprecationWarning):
                continue
    raise _not_a_number(lines, layout, path)


def _not_a_number(lines: list[str], layout: Layout, path: Path) -> CountsError:
    """The error for the first field that is no number."""
    for line in lines:
        fields = split_fields(line, layout.separator)
        # A field that is too long for the module csv leaves none.
        for place in layout.numeric if fields else ():
            if not is_number(value := fields[place + 1]):
                return CountsError(
                    f"{path}: row {fields[0]!r}, column {layout.names[place]!r} holds {value!r}, not a "
                    "number; write 0 for no reads, correct the value, or drop the row or the column"
                )
    return CountsError(
        f"{path}: some fields are not numbers; write plain digits, without spaces or underscores"
    )
