# SPDX-License-Identifier: BSD-3-Clause
"""Which side of a table is genes, told from names, header and shape."""

import re
from collections.abc import Sequence

from pydgd.data.genes import describe_ids, gene_id_type, strip_version
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
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    label: str = "",
    orient: str = "auto",
    genes: frozenset[str] = frozenset(),
) -> tuple[bool, str]:
    """Decide whether the rows of a table are genes.

    Evidence, the first that speaks for one side only: the genes of a model, gene ids, sample names of known
    shape, what the file calls its first column, and last the shape (at least 2,000 names, five times as many
    as on the other side).

    Args:
        row_names: Names of the rows.
        column_names: Names of the columns that hold numbers.
        label: The header of the row names.
        orient: ``"samples"`` or ``"genes"`` says what is in the rows; ``"auto"`` looks for evidence.
        genes: Genes of the model that the counts are for.

    Returns:
        Whether the rows are genes, and why in words.

    Raises:
        ConfigError: If `orient` is unknown or contradicts the names, or there is no evidence.

    Example:
        >>> genes_in_rows(["TP53", "MYC", "EGFR"], ["S1", "S2"])
        (True, "the row names look like gene symbols (e.g. 'TP53')")
    """
    if orient not in ORIENTATIONS:
        raise ConfigError(f"orient is {orient!r}; give one of {', '.join(ORIENTATIONS)}: what is in the rows")
    if orient != "auto":
        _check_orient(row_names, column_names, orient, genes)
        return orient == "genes", f"orient is {orient!r}"
    for evidence in (
        _model_genes(row_names, column_names, genes),
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


def header_is_a_row(label: str, row_names: Sequence[str], column_names: Sequence[str]) -> bool:
    """Whether the line taken for the header is one of counts: a name like the rows', then only numbers.

    Args:
        label: The header of the row names.
        row_names: Names of the rows.
        column_names: Names of the columns that hold numbers.

    Example:
        >>> header_is_a_row("ENSG00000000003", ["ENSG00000000005"], ["708", "467"])
        True
        >>> header_is_a_row("gene", ["ENSG00000000005"], ["708", "467"])
        False
    """
    if not all(re.fullmatch(r"\d+(\.\d+)?", name) for name in column_names):
        return False
    if gene_id_type([label]).startswith("ensembl") or _SAMPLE_SHAPES.fullmatch(label):
        return True
    # Words such as SYMBOL name a column; A1BG does not.
    numbered = re.fullmatch(r"[A-Z][A-Z0-9-]*\d[A-Z0-9-]*", label)
    return numbered is not None and gene_id_type(row_names) == "symbol"


def anndata_is_turned(
    obs_names: Sequence[str], var_names: Sequence[str], *, orient: str, genes: frozenset[str] = frozenset()
) -> tuple[bool, str]:
    """Decide whether an AnnData, which is samples × genes, is the other way round.

    Args:
        obs_names: Names of the rows.
        var_names: Names of the columns.
        orient: As in `genes_in_rows`.
        genes: Genes of the model that the counts are for.

    Returns:
        Whether it is, and why in words.

    Raises:
        ConfigError: If `orient` contradicts the names.

    Example:
        >>> anndata_is_turned(["TP53", "MYC", "EGFR"], ["S1", "S2"], orient="auto")[0]
        True
    """
    if orient != "auto":
        return genes_in_rows(obs_names, var_names, orient=orient, genes=genes)
    found = _model_genes(obs_names, var_names, genes) or _gene_names(obs_names, var_names)
    return (False, "AnnData are") if found is None else found


def _check_orient(rows: Sequence[str], columns: Sequence[str], orient: str, genes: frozenset[str]) -> None:
    """Refuse what the user says where the names leave no doubt: a model's genes, or Ensembl ids."""
    found = _model_genes(rows, columns, genes)
    if found is None:
        kinds = [gene_id_type(names).startswith("ensembl") for names in (rows, columns)]
        found = _gene_names(rows, columns) if any(kinds) else None
    if found is not None and found[0] != (orient == "genes"):
        right = "genes" if found[0] else "samples"
        raise ConfigError(
            f"orient is {orient!r}, but {found[1]}; say --orient {right} (orient={right!r} in Python) or "
            "leave it out"
        )


def _model_genes(
    rows: Sequence[str], columns: Sequence[str], genes: frozenset[str]
) -> tuple[bool, str] | None:
    """Which side has more of a model's genes; their versions do not matter."""
    if not genes:
        return None
    bare = genes.union(strip_version(genes))
    in_rows, in_columns = (
        len(bare.intersection((*names, *strip_version(names)))) for names in (rows, columns)
    )
    if in_rows == in_columns:
        return None
    side, number = ("row", in_rows) if in_rows > in_columns else ("column", in_columns)
    return in_rows > in_columns, f"{number:,} of the {side} names are genes of the model"


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
