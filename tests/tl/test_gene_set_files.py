# SPDX-License-Identifier: BSD-3-Clause
"""GMT files and lists of genes."""

from pathlib import Path

import pytest

from pydgd import tl
from pydgd.errors import FileFormatError, NamesError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_gmt_and_lists_are_read_together(tmp_path: Path) -> None:
    """In the order given, each gene once; line ends, byte-order marks and blank lines are no matter."""
    gmt = write(tmp_path / "sets.GMT", "\ufeffFirst set\thttp://x\tA\tB\tA\r\n\r\nSecond\t\tC\t\r\n")
    names = write(tmp_path / "mine.v1.txt", "# my genes\nA\n\nB # both\nA\n")
    assert tl.read_gene_sets([gmt, names]) == {
        "First set": ("A", "B"),
        "Second": ("C",),
        "mine.v1": ("A", "B"),
    }
    assert list(tl.read_gene_sets(str(names))) == ["mine.v1"]


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        ("a.gmt", "S\tdescription\n", FileFormatError, r"line 1 .* is no gene set"),
        ("a.gmt", "S only\n", FileFormatError, r"line 1"),
        ("a.gmt", "\n", FileFormatError, "there is no gene set"),
        ("a.gmt", "S\tx\tA\nS\tx\tB\n", NamesError, "line 2 is a second set named 'S'"),
        ("a.txt", "# none\n", FileFormatError, "there is no gene;"),
        ("a.txt", "S\thttp\tA\n", FileFormatError, r"name a GMT file \*\.gmt"),
    ],
)
def test_other_files_are_refused_by_name(
    tmp_path: Path, name: str, text: str, error: type[Exception], words: str
) -> None:
    """With the line."""
    path = write(tmp_path / name, text)
    with pytest.raises(error, match=words) as raised:
        tl.read_gene_sets(path)
    assert name in str(raised.value)


def test_unreadable_files_are_refused_by_name(tmp_path: Path) -> None:
    """Missing, a folder, or no text."""
    (tmp_path / "b.gmt").write_bytes(b"\xff\xfe\x00S")
    for path in (tmp_path / "none.gmt", tmp_path, tmp_path / "b.gmt"):
        with pytest.raises(FileFormatError, match=path.name):
            tl.read_gene_sets(path)


def test_two_files_may_not_name_the_same_set(tmp_path: Path) -> None:
    """One would hide the other."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "S.txt", "A\n")
    with pytest.raises(NamesError, match="already a gene set 'S'"):
        tl.read_gene_sets([tmp_path / "a" / "S.txt", tmp_path / "b" / "S.txt"])
