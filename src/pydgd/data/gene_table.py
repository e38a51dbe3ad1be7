# SPDX-License-Identifier: BSD-3-Clause
"""`GeneTable`: which names mean the same gene."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from os import PathLike
from pathlib import Path

import pandas as pd
from anndata import AnnData
from anndata.io import read_elem

from pydgd.data.delimited import text_stream
from pydgd.data.gene_columns import kind_of_names, recognised, tidy
from pydgd.data.gene_kinds import KINDS
from pydgd.data.hdf5 import damage_named, open_h5ad
from pydgd.data.strict_csv import read_strict
from pydgd.errors import FileFormatError, NamesError

_INDEX = "__index__"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_EXPECTED = (
    "expected columns such as ensembl_gene_id (Gene stable ID), symbol (Gene name, hgnc_symbol), entrez_id "
    "(NCBI gene ID), prev_symbol and alias_symbol (Gene Synonym), as HGNC and BioMart export them"
)


@dataclass(frozen=True, eq=False)
class GeneTable:
    """Names of genes in several kinds, of which those in one row mean the same gene.

    Attributes:
        rows: Columns ``ensembl`` (without version), ``symbol``, ``entrez`` and ``previous`` (previous and
            other symbols, joined by ``|``); "" where there is none. A gene may have several rows.

    Example:
        >>> table = GeneTable.from_frame(pd.DataFrame({"symbol": ["TP53"], "entrez_id": ["7157"]}))
        >>> table.rows.to_dict("list")
        {'ensembl': [''], 'symbol': ['TP53'], 'entrez': ['7157'], 'previous': ['']}
    """

    rows: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "GeneTable":
        """Take a table whose headers are HGNC's, BioMart's or common in `var`.

        Args:
            frame: One row per gene or per pairing of names; its index is not looked at.

        Raises:
            NamesError: If fewer than two kinds of names are found.
        """
        found = recognised(frame)
        if len(found) < 2:
            seen = ", ".join(map(repr, map(str, frame.columns[:8]))) or "none"
            raise NamesError(
                f"a table of genes must hold two kinds of names or more, found {', '.join(found) or 'none'} "
                f"among the columns {seen}; {_EXPECTED}"
            )
        rows = tidy(frame, found).drop_duplicates(ignore_index=True)
        return cls(rows[(rows != "").sum(axis=1) >= 2].reset_index(drop=True))

    @classmethod
    def from_var(cls, adata: AnnData | pd.DataFrame) -> "GeneTable":
        """Take names from `var`: the index, of whichever kind it is, beside the columns.

        Args:
            adata: Counts, or their `var` alone.

        Raises:
            NamesError: If there is no other kind of names beside the index.
        """
        var = adata.var if isinstance(adata, AnnData) else adata
        names = pd.Series(var.index.astype(str))
        frame = var.reset_index(drop=True).astype(str)
        kind = kind_of_names(names)
        if kind is None:
            return cls.from_frame(frame)
        # The index is what counts go by: it stands before columns of its kind.
        found = recognised(frame)
        frame[_INDEX] = names
        found[kind] = [_INDEX, *found.get(kind, [])]
        if len(found) < 2:
            raise NamesError(f"var holds no other names of its genes than its index; {_EXPECTED}")
        return cls(tidy(frame, found))

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "GeneTable":
        """Read a table of genes: CSV, TSV (also .gz) or Parquet, or `var` of an h5ad.

        Args:
            path: The file.

        Raises:
            FileFormatError: If it cannot be read as a table.
            NamesError: If fewer than two kinds of names are found.
        """
        path = Path(path)
        try:
            with path.open("rb") as stream:
                head = stream.read(8)
            if head == _HDF5:
                return cls.from_var(_var(path))
            if head.startswith(b"PAR1"):
                return cls.from_frame(_parquet(path))
            return cls.from_frame(_text_table(path, gzipped=head.startswith(b"\x1f\x8b")))
        except NamesError as error:
            raise NamesError(f"{path}: {error}") from error
        except OSError as error:
            raise FileFormatError(
                f"{path}: cannot be read as a table of genes ({error.strerror or error}); check the path, or "
                "download it again"
            ) from error

    def __add__(self, other: "GeneTable") -> "GeneTable":
        return GeneTable(pd.concat([self.rows, other.rows]).drop_duplicates(ignore_index=True))

    def names(self, kind: str) -> list[str]:
        """All names of one kind, each once, in the table's order.

        Args:
            kind: ``"ensembl"``, ``"symbol"`` or ``"entrez"``.
        """
        return [name for name in self.rows[kind].unique() if name]


def joined(tables: Iterable[GeneTable]) -> GeneTable:
    """All tables in one; an empty one if there are none.

    Args:
        tables: The better ones first.
    """
    empty = GeneTable(pd.DataFrame(columns=[*KINDS, "previous"], dtype=str))
    return sum(tables, start=empty)


def _var(path: Path) -> pd.DataFrame:
    with open_h5ad(path) as file, damage_named(path):
        if "var" not in file:
            raise FileFormatError(
                f"{path}: this HDF5 file has no table var; give an h5ad file, or a CSV or TSV"
            )
        return pd.DataFrame(read_elem(file["var"]))


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path).fillna("").astype(str)
    # pyarrow's errors are such.
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: cannot be read as Parquet ({reason}); write it again") from error


def _text_table(path: Path, *, gzipped: bool) -> pd.DataFrame:
    with text_stream(path, "gzip" if gzipped else "text") as stream:
        text = stream.read()
    header, _, body = text.partition("\n")
    if not body.strip():
        raise FileFormatError(f"{path}: holds no table of genes, at most a header; export it again")
    separator = max("\t,;", key=header.count)
    try:
        # "NA" would be missing by default; here it may be a name.
        return read_strict(StringIO(text), separator, dtype=str, keep_default_na=False)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: cannot be read as a table ({reason}); export it again") from error
