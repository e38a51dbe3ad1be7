# SPDX-License-Identifier: BSD-3-Clause
"""`read_counts`: a file of any known format becomes checked counts, samples × genes."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
from anndata import AnnData

from pydgd.data.counts import Parts
from pydgd.data.delimited import read_delimited
from pydgd.data.formats import detect_format
from pydgd.data.hdf5 import damage_named, h5ad_parts, open_h5ad
from pydgd.data.orientation import ORIENTATIONS, genes_in_rows, rows_look_like_genes
from pydgd.data.parquet import read_parquet
from pydgd.data.rows import CountRows
from pydgd.errors import ConfigError, CountsError, NamesError

_log = logging.getLogger(__name__)

# Numbers that describe a gene and would otherwise pass for a sample (featureCounts, GENCODE tables).
_GENE_FACTS = frozenset(
    {"length", "gene_length", "effective_length", "start", "end", "width", "entrez", "entrezid", "entrez_id"}
)


def read_counts(
    path: str | PathLike[str], *, orient: str = "auto", layer: str | None = None, round_counts: bool = False
) -> AnnData:
    r"""Read raw counts from h5ad, CSV or TSV (also gzipped) or Parquet.

    The format is found by content, and so is the separator. A table has its column names in the first line
    and its row names in the first column (Parquet: in the index). In a table of samples × genes the
    columns of text become `obs`, and **every column of numbers is a gene**: drop numeric labels such as
    age first. In a table of genes × samples the columns of text become `var`, as do numeric columns named
    length, start, end, width or entrez.

    Args:
        path: The file.
        orient: What is in the rows: ``"samples"``, ``"genes"``, or ``"auto"`` to tell from the names, the
            header of the first column and the shape; what was decided and why is logged. An h5ad file is
            samples × genes unless its names say otherwise.
        layer: The layer of an h5ad file with the counts, ``"X"`` for X itself. By default ``counts`` if
            there is such a layer, else X.
        round_counts: Round fractional values (expected counts of RSEM or salmon) instead of refusing them.

    Returns:
        Checked counts in X, labels in `obs` and `var`.

    Raises:
        FileFormatError: If the file cannot be read, is empty, truncated, or not what its extension says.
        CountsError: If its values are not counts.
        NamesError: If names are missing, empty or repeated.
        ConfigError: If samples cannot be told from genes, or an option does not fit.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "counts.csv"
        ...     _ = path.write_text("gene,S1,S2\nTP53,3,1\nMYC,0,2\n")
        ...     read_counts(path).to_df()
            TP53  MYC
        S1     3    0
        S2     1    2
    """
    path = Path(path)
    with _opened(path, orient, layer) as parts, _file_named(path):
        with damage_named(path):
            held = parts.in_memory()
        return held.checked(round_counts=round_counts)


@contextmanager
def open_counts(
    path: str | PathLike[str], *, orient: str = "auto", layer: str | None = None, round_counts: bool = False
) -> Iterator[CountRows]:
    r"""Open raw counts that need not fit in memory; arguments and errors are those of `read_counts`.

    Everything is read once to be checked, then again as it is asked for. Counts stay in the file if it is an
    h5ad of samples × genes and they are dense or CSR there; all others are read as a whole.

    Args:
        path: The file; open until the end of the block.
        orient: What is in the rows.
        layer: The layer of an h5ad file with the counts.
        round_counts: Round fractional values instead of refusing them.

    Yields:
        Checked counts.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "counts.csv"
        ...     _ = path.write_text("gene,S1,S2\nTP53,3,1\nMYC,0,2\n")
        ...     with open_counts(path) as counts:
        ...         counts.n_obs, counts.read(1, 2).X
        (2, array([[1, 2]], dtype=int32))
    """
    path = Path(path)
    with _opened(path, orient, layer) as parts:
        with _file_named(path), damage_named(path):
            counts = CountRows.checked(parts, round_counts=round_counts)
        yield counts


@contextmanager
def _opened(path: Path, orient: str, layer: str | None) -> Iterator[Parts]:
    """What a file holds, not yet checked; of an h5ad, which is open until the end, perhaps not yet read."""
    if orient not in ORIENTATIONS:
        raise ConfigError(f"orient is {orient!r}; give one of {', '.join(ORIENTATIONS)}: what is in the rows")
    kind = detect_format(path)
    if kind != "h5ad" and layer is not None:
        raise ConfigError(f"{path}: layer={layer!r}, but only h5ad files have layers; leave it out")
    with ExitStack() as opened:
        with _file_named(path):
            if kind == "h5ad":
                parts = _h5ad(opened.enter_context(open_h5ad(path)), path, orient, layer)
            else:
                parts = _table(path, orient, kind)
        yield parts


@contextmanager
def _file_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (ConfigError, CountsError, NamesError) as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def _table(path: Path, orient: str, kind: str) -> Parts:
    table = read_parquet(path) if kind == "parquet" else read_delimited(path, gzipped=kind == "gzip")
    turned, why = genes_in_rows(table.row_names, table.column_names, label=table.label, orient=orient)
    _say(path, turned=turned, why=why)
    parts = table.to_parts(genes_in_rows=turned)
    if turned:
        parts = _without_gene_facts(parts)
    labels, name = (parts.var, "var") if turned else (parts.obs, "obs")
    if len(labels.columns):
        _log.info("%s: labels, put in %s: %s", path, name, ", ".join(map(str, labels.columns[:5])))
    return parts


def _h5ad(file: h5py.File, path: Path, orient: str, layer: str | None) -> Parts:
    parts = h5ad_parts(file, path, layer)
    rows, columns = parts.obs.index.tolist(), parts.var.index.tolist()
    turned, why = orient == "genes", f"orient is {orient!r}"
    if orient == "auto":
        turned = rows_look_like_genes(rows, columns)
        why = "its obs names look like genes, its var names do not" if turned else "h5ad files are"
    _say(path, turned=turned, why=why)
    with damage_named(path):
        return parts.transposed() if turned else parts


def _say(path: Path, *, turned: bool, why: str) -> None:
    _log.info("%s: read as %s, because %s", path, "genes x samples" if turned else "samples x genes", why)


def _without_gene_facts(parts: Parts) -> Parts:
    """Move numeric columns that describe genes from the samples to `var`."""
    facts = [name.lower() in _GENE_FACTS for name in parts.obs.index]
    if not any(facts):
        return parts
    matrix: Any = parts.matrix
    found = {str(name): matrix[row] for row, name in enumerate(parts.obs.index) if facts[row]}
    keep = [not fact for fact in facts]
    return Parts(matrix[keep], parts.obs.loc[keep], parts.var.assign(**found))
