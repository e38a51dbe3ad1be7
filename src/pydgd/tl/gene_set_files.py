# SPDX-License-Identifier: BSD-3-Clause
"""Gene sets: GMT files, and lists with one gene per line."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from pydgd.errors import FileFormatError, NamesError

GeneSets = Mapping[str, Iterable[str]]
"""Name of the set → its genes."""


def read_gene_sets(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]], *, encoding: str = "utf-8-sig"
) -> dict[str, tuple[str, ...]]:
    r"""Read gene sets from any number of files.

    A file ``*.gmt`` has one set per line: name, description, genes, with tabs between. Any other file is a
    list, one gene per line, and a set of the file's name; empty lines and what follows a ``#`` are skipped.

    Args:
        paths: One file or several.
        encoding: Of the text.

    Returns:
        Sets in the order of the files, each gene once.

    Raises:
        FileFormatError: If a file cannot be read, is no text, has no gene or a line of a GMT lacks genes.
        NamesError: If two sets have the same name.

    Source:
        Subramanian et al. (2005), PNAS 102:15545, whose software defines GMT.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "hypoxia.txt"
        ...     _ = path.write_text("VEGFA\nCA9\n")
        ...     read_gene_sets(path)
        {'hypoxia': ('VEGFA', 'CA9')}
    """
    files = [paths] if isinstance(paths, str | PathLike) else list(paths)
    sets: dict[str, tuple[str, ...]] = {}
    for path in map(Path, files):
        for name, genes in _sets_of(path, encoding).items():
            if name in sets:
                raise NamesError(f"{path}: there is already a gene set {name!r}; give each set its own name")
            sets[name] = genes
    return sets


def checked_sets(gene_sets: GeneSets) -> dict[str, tuple[str, ...]]:
    """Sets with text for names, each gene once, in the order given.

    Args:
        gene_sets: What a user gave.

    Raises:
        NamesError: If there is no set, or one of them is a text rather than a list of genes.

    Example:
        >>> checked_sets({"S": ["B", "A", "B"]})
        {'S': ('B', 'A')}
    """
    if not gene_sets:
        raise NamesError("there is no gene set; give a mapping from set to genes, as read_gene_sets returns")
    for name, genes in gene_sets.items():
        if isinstance(genes, str):
            raise NamesError(f"gene set {name!r} is the text {genes!r}; give a list of genes")
    return {str(name): tuple(dict.fromkeys(map(str, genes))) for name, genes in gene_sets.items()}


def _sets_of(path: Path, encoding: str) -> dict[str, tuple[str, ...]]:
    try:
        lines = path.read_text(encoding=encoding).splitlines()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: the text is not UTF-8 ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if path.suffix.lower() == ".gmt":
        return _gmt(path, lines)
    genes = tuple(dict.fromkeys(filter(None, (line.split("#")[0].strip() for line in lines))))
    if not genes:
        raise FileFormatError(f"{path}: there is no gene; give one gene per line, or a GMT file named *.gmt")
    if spaced := next((gene for gene in genes if len(gene.split()) > 1), None):
        raise FileFormatError(
            f"{path}: {spaced[:60]!r} is not one gene; give one gene per line, or name a GMT file *.gmt"
        )
    return {path.stem: genes}


def _gmt(path: Path, lines: list[str]) -> dict[str, tuple[str, ...]]:
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, *rest = line.split("\t")
        genes = tuple(dict.fromkeys(filter(None, map(str.strip, rest[1:]))))
        if not name.strip() or not genes:
            raise FileFormatError(
                f"{path}: line {number} ({line[:40]!r}…) is no gene set; GMT has name, description and genes "
                "with tabs between"
            )
        if name.strip() in sets:
            raise NamesError(f"{path}: line {number} is a second set named {name.strip()!r}; rename one")
        sets[name.strip()] = genes
    if not sets:
        raise FileFormatError(f"{path}: there is no gene set; GMT has one per line")
    return sets
