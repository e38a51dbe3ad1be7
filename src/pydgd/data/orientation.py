# SPDX-License-Identifier: BSD-3-Clause
"""Which side of a table is genes, told from names, header and shape."""

import re
from collections.abc import Sequence

from pydgd.data.genes import describe_ids, gene_id_type
from pydgd.errors import ConfigError

ORIENTATIONS = ("auto", "samples", "genes")
"""What is in the rows; ``"auto"`` finds out."""

_SAMPLE_SHAPES = re.compile(
    r"([SED]RR|GSM|SAM[NED]A?)\d+.*|(TCGA|GTEX|TARGET|CPTAC)[-.].+"
    r"|(s|p|t|n|d|sample|patient|donor|case|control|ctrl|tumou?r|normal|rep|replicate|subject|individual|lib)"
    r"[ ._-]?\d+([ ._-]\w+)*",
    re.IGNORECASE,
)
_GENE_SHAPES = re.compile(r"(g|gene)[ ._-]?\d+", re.IGNORECASE)
_SAMPLE_LABELS = frozenset(
    {"sample", "samples", "sample_id", "sampleid", "sample_name", "run", "barcode", "donor", "patient"}
)
_GENE_LABELS = frozenset(
    {"gene", "genes", "gene_id", "geneid", "gene_name", "genename", "gene_symbol", "symbol", "hgnc_symbol"}
    | {"ensembl", "ensembl_id", "ensembl_gene_id", "feature", "feature_id"}
)
# From this many names on, and this many times the other side, a side without known names is taken for genes.
_MANY, _TIMES = 2_000, 5


def genes_in_rows(
    row_names: Sequence[str], column_names: Sequence[str], *, label: str = "", orient: str = "auto"
) -> tuple[bool, str]:
    """Decide whether the rows of a table are genes.

    Evidence, the first that speaks for one side only: gene ids, sample names of known shape, what the file
    calls its first column, and last the shape (at least 2,000 names, five times as many as on the other
    side).

    Args:
        row_names: Names of the rows.
        column_names: Names of the columns that hold numbers.
        label: The header of the row names.
        orient: ``"samples"`` or ``"genes"`` says what is in the rows; ``"auto"`` looks for evidence.

    Returns:
        Whether the rows are genes, and why in words.

    Raises:
        ConfigError: If `orient` is unknown, or there is no evidence.

    Example:
        >>> genes_in_rows(["TP53", "MYC", "EGFR"], ["S1", "S2"])
        (True, "the row names look like gene symbols (e.g. 'TP53')")
    """
    if orient not in ORIENTATIONS:
        raise ConfigError(f"orient is {orient!r}; give one of {', '.join(ORIENTATIONS)}: what is in the rows")
    if orient != "auto":
        return orient == "genes", f"orient is {orient!r}"
    for evidence in (
        _gene_names(row_names, column_names),
        _sample_names(row_names, column_names),
        _header(label),
    ):
        if evidence is not None:
            return evidence
    shape = _shape(len(row_names), len(column_names))
    if shape is not None:
        return shape
    raise ConfigError(
        f"cannot tell samples from genes: {len(row_names)} rows ({_first(row_names)}) and "
        f"{len(column_names)} columns ({_first(column_names)}); say what is in the rows: --orient samples or "
        "--orient genes (orient= in Python)"
    )


def rows_look_like_genes(row_names: Sequence[str], column_names: Sequence[str]) -> bool:
    """Whether the rows bear gene ids and the columns do not.

    Args:
        row_names: Names of the rows.
        column_names: Names of the columns.

    Example:
        >>> rows_look_like_genes(["TP53", "MYC", "EGFR"], ["S1", "S2"])
        True
    """
    evidence = _gene_names(row_names, column_names)
    return evidence is not None and evidence[0]


def _gene_names(rows: Sequence[str], columns: Sequence[str]) -> tuple[bool, str] | None:
    in_rows, in_columns = _are_genes(rows), _are_genes(columns)
    if in_rows == in_columns:
        return None
    side, names = ("row", rows) if in_rows else ("column", columns)
    return in_rows, f"the {side} names look like {describe_ids(names)}"


def _are_genes(names: Sequence[str]) -> bool:
    # Bare numbers may be Entrez ids or nothing but counting: no evidence.
    return gene_id_type(names) not in ("unknown", "entrez") or _share(_GENE_SHAPES, names) > 0.5


def _sample_names(rows: Sequence[str], columns: Sequence[str]) -> tuple[bool, str] | None:
    in_rows, in_columns = (_share(_SAMPLE_SHAPES, names) > 0.5 for names in (rows, columns))
    if in_rows == in_columns:
        return None
    side, names = ("row", rows) if in_rows else ("column", columns)
    return in_columns, f"the {side} names look like samples (e.g. {names[0]!r})"


def _header(label: str) -> tuple[bool, str] | None:
    plain = re.sub(r"[ .-]+", "_", label.strip().lower())
    if plain in _GENE_LABELS or plain in _SAMPLE_LABELS:
        return plain in _GENE_LABELS, f"the first column is called {label!r}"
    return None


def _shape(n_rows: int, n_columns: int) -> tuple[bool, str] | None:
    fewer, more = sorted((n_rows, n_columns))
    if more < _MANY or more < _TIMES * fewer:
        return None
    return (
        n_rows == more,
        f"there are {more:,} {'rows' if n_rows == more else 'columns'} and {fewer:,} of the others",
    )


def _share(pattern: re.Pattern[str], names: Sequence[str]) -> float:
    return sum(pattern.fullmatch(name) is not None for name in names) / max(1, len(names))


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:2])) + ", …" * (len(names) > 2)
