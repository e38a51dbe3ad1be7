# SPDX-License-Identifier: BSD-3-Clause
"""`read_counts`: a file of any known format becomes a checked AnnData, samples × genes."""

import logging
from os import PathLike
from pathlib import Path
from typing import Any

from anndata import AnnData

from pydgd.data.counts import Parts
from pydgd.data.delimited import read_delimited
from pydgd.data.formats import detect_format
from pydgd.data.hdf5 import read_h5ad_parts
from pydgd.data.orientation import ORIENTATIONS, genes_in_rows, rows_look_like_genes
from pydgd.data.parquet import read_parquet
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
    if orient not in ORIENTATIONS:
        raise ConfigError(f"orient is {orient!r}; give one of {', '.join(ORIENTATIONS)}: what is in the rows")
    kind = detect_format(path)
    if kind != "h5ad" and layer is not None:
        raise ConfigError(f"{path}: layer={layer!r}, but only h5ad files have layers; leave it out")
    try:
        parts = _h5ad(path, orient, layer) if kind == "h5ad" else _table(path, orient, kind)
        return parts.checked(round_counts=round_counts)
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


def _h5ad(path: Path, orient: str, layer: str | None) -> Parts:
    parts = read_h5ad_parts(path, layer)
    rows, columns = parts.obs.index.tolist(), parts.var.index.tolist()
    turned, why = orient == "genes", f"orient is {orient!r}"
    if orient == "auto":
        turned = rows_look_like_genes(rows, columns)
        why = "its obs names look like genes, its var names do not" if turned else "h5ad files are"
    _say(path, turned=turned, why=why)
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
