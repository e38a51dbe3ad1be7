# SPDX-License-Identifier: BSD-3-Clause
"""How a table of text is laid out, from its first lines: separator, names, and what the columns hold."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from pydgd.errors import FileFormatError

_SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_N_INSPECTED = 10
MOST_FIELDS, MOST_LINE = 1_000_000, 2**27
"""Fields and characters in a line: no annotation has as many genes, and a field costs some 200 bytes."""
_LONG_LINE, _LONG_FIELD = 2**20, 1_000
_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}")
_ALMOST_NUMBER = re.compile(r"[-+]?\d[\d.,' ]*$")
# Headers of what looks like numbers but names a gene or its place; some genes have none, others are on X.
_NAMES_OF_GENES = frozenset(
    {"chr", "chrom", "chromosome", "chromosome_name", "seqname", "seqnames", "entrez", "entrezid"}
    | {"entrez_id", "entrezgene", "entrezgene_id", "entrez_gene_id", "ncbi_gene_id"}
)
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "."})


@dataclass(frozen=True)
class Layout:
    """How the lines of one file are to be read.

    Attributes:
        separator: Between fields.
        n_fields: In every line after the first.
        label: The header of the first column.
        names: The headers of all other columns.
        numeric: Which of these hold numbers, as positions in `names`.
        text: Which hold text.
    """

    separator: str
    n_fields: int
    label: str
    names: tuple[str, ...]
    numeric: tuple[int, ...]
    text: tuple[int, ...]


def find_layout(header: str, lines: list[str], path: Path) -> Layout:
    """Find separator, names and kinds of columns from the header and the first ten lines.

    Args:
        header: The first line.
        lines: Some of those after it.
        path: The file, for messages.

    Raises:
        FileFormatError: If there are no lines, no separator fits, or no column holds numbers.
    """
    first = [line for line in lines[: _N_INSPECTED + 5] if line.strip()][:_N_INSPECTED]
    if not first:
        raise FileFormatError(f"{path}: there is a header but no line after it; write the table again")
    for line in (header, *first):
        refuse_endless(line, 1 + max(map(line.count, _SEPARATORS)), path)
    separator = _separator(header, first[0], path)
    head = [name.strip() for name in split_fields(header, separator)]
    rows = [split_fields(line, separator) for line in first]
    n_fields = len(rows[0])
    label, names = ("", head) if len(head) == n_fields - 1 else (head[0], head[1:])
    columns = zip(*(row[1:] for row in rows if len(row) == n_fields), strict=True)
    kinds = [_holds_numbers(name, values) for name, values in zip(names, columns, strict=False)]
    numeric = tuple(i for i, number in enumerate(kinds) if number)
    if not numeric:
        raise FileFormatError(
            f"{path}: no column of numbers, e.g. {names[0]!r} starts with {rows[0][1]!r}; expected one line "
            "per sample or per gene with a name and then counts (decimal commas are not read)"
        )
    text = tuple(i for i, number in enumerate(kinds) if not number)
    return Layout(separator, n_fields, label, tuple(names), numeric, text)


def refuse_endless(line: str, n_fields: int, path: Path) -> None:
    """Refuse a line that no table of counts has, before its parts take many times its memory.

    Args:
        line: Of the file.
        n_fields: How many fields it has.
        path: The file, for messages.

    Raises:
        FileFormatError: If it has too many fields, or they are too long.
    """
    if n_fields > MOST_FIELDS:
        raise FileFormatError(
            f"{path}: the line {line[:30].strip()!r}… has {n_fields:,} fields, {MOST_FIELDS:,} at most are "
            "read; check the separator, or write the counts as h5ad"
        )
    if len(line) >= min(MOST_LINE, _LONG_LINE + _LONG_FIELD * n_fields):
        raise FileFormatError(
            f"{path}: the line {line[:30].strip()!r}… has {len(line):,} characters or more in {n_fields:,} "
            "fields, which no table of counts has; the file is damaged: copy or write it again"
        )


def _separator(header: str, line: str, path: Path) -> str:
    """The separator that cuts header and first line into equally many fields, and into most."""
    best, n_best = "", 1
    for separator in _SEPARATORS:
        in_header, in_line = len(split_fields(header, separator)), len(split_fields(line, separator))
        if in_line > n_best and in_header in (in_line, in_line - 1):
            best, n_best = separator, in_line
    if not best:
        raise FileFormatError(
            f"{path}: no separator ({', '.join(_SEPARATORS.values())}) cuts the first two lines into equally "
            f"many fields; they begin {header[:40].strip()!r} and {line[:40].strip()!r}. Write the table "
            "again as CSV"
        )
    return best


def split_fields(line: str, separator: str) -> list[str]:
    """The fields of one line; none if it cannot be cut so.

    Args:
        line: One line of text.
        separator: One character.

    Example:
        >>> split_fields('"liver, left",3,0', ",")
        ['liver, left', '3', '0']
    """
    if separator not in line:
        return [line.strip()]
    try:
        return next(csv.reader([line.rstrip("\n")], delimiter=separator), [])
    except csv.Error:
        return []


def _holds_numbers(name: str, values: tuple[str, ...]) -> bool:
    """Whether a column should hold numbers; a word among them is an error found later.

    It should unless most of its values are words. One sample has one value, so that a single bad one would
    turn a gene into a label: a gene's id as the header, or a number with separators (1,852), is counts too.
    """
    if describes_genes(name):
        return False
    given = [value.strip() for value in values if value.strip().lower() not in _MISSING]
    if 2 * sum(map(is_number, given)) > len(given) or not given:
        return True
    return bool(_ENSEMBL.match(name)) or any(map(_ALMOST_NUMBER.match, given))


def describes_genes(header: str) -> bool:
    """Whether numbers under a header are names of genes or of their chromosomes.

    Args:
        header: Of a column.

    Example:
        >>> describes_genes("Entrez_Gene_Id"), describes_genes("S1")
        (True, False)
    """
    return re.sub(r"[ .]", "_", header.strip().lower()) in _NAMES_OF_GENES


def is_number(value: str) -> bool:
    """Whether NumPy, too, reads the text as a number: Python alone takes 1_000.

    Args:
        value: A field.

    Example:
        >>> is_number("1e3"), is_number("1_000"), is_number("NA")
        (True, False, False)
    """
    try:
        float(value)
    except ValueError:
        return False
    return "_" not in value
