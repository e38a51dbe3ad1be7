# SPDX-License-Identifier: BSD-3-Clause
"""Which columns of a table of genes hold which kind of name, by the headers that exports have."""

import re
from collections.abc import Callable

import pandas as pd

from pydgd.data.gene_kinds import KINDS, name_kind, plain_id
from pydgd.data.genes import gene_id_type

# Headers in small letters, other characters as "_"; the better source of a kind first. HGNC's downloads,
# BioMart's attributes and their titles, NCBI's gene_info, and `var` of common AnnData files.
_HEADERS = {
    "ensembl": (
        "ensembl_gene_id",
        "gene_stable_id",
        "ensembl_gene_id_version",
        "gene_stable_id_version",
        "ensembl_id_supplied_by_ensembl",
        "ensembl_id",
        "ensembl_ids",
        "ensembl",
        "ensembl_gene",
        "ensembl_gene_ids",
    ),
    "symbol": (
        "approved_symbol",
        "hgnc_symbol",
        "mgi_symbol",
        "symbol",
        "symbols",
        "gene_symbol",
        "gene_symbols",
        "hugo_symbol",
        "hugo_gene_symbol",
        "marker_symbol",
        "external_gene_name",
        "gene_name",
        "gene_names",
    ),
    "entrez": (
        "entrezgene_id",
        "entrez_id",
        "ncbi_gene_id",
        "ncbi_gene_id_supplied_by_ncbi",
        "ncbi_gene_formerly_entrezgene_id",
        "entrezgene",
        "entrez",
        "entrezid",
        "entrez_gene_id",
        "geneid",
    ),
    "previous": (
        "prev_symbol",
        "previous_symbol",
        "previous_symbols",
        "alias_symbol",
        "alias_symbols",
        "external_synonym",
        "gene_synonym",
        "gene_synonyms",
        "synonyms",
        "synonym",
        "aliases",
    ),
}
# Headers that mean different things to different tools; their values decide.
_UNDECIDED = ("gene_id", "gene_ids", "gene", "genes", "feature_id", "id", "feature_name", "name")
_MISSING = frozenset({"", "nan", "none", "na", "<na>", "-"})


def recognised(columns: pd.DataFrame) -> dict[str, list[str]]:
    """Columns by the kind of gene name that they hold.

    Args:
        columns: Text.

    Returns:
        ``"ensembl"``, ``"symbol"``, ``"entrez"`` and ``"previous"`` → headers, the better first.

    Example:
        >>> recognised(pd.DataFrame(columns=["Gene stable ID", "Gene name", "Gene Synonym"]))
        {'ensembl': ['Gene stable ID'], 'symbol': ['Gene name'], 'previous': ['Gene Synonym']}
    """
    plain = {_plain(header): header for header in reversed(list(map(str, columns.columns)))}
    found = {
        kind: [plain[header] for header in headers if header in plain] for kind, headers in _HEADERS.items()
    }
    for header in _UNDECIDED:
        if header in plain and (kind := kind_of_names(columns[plain[header]])):
            found[kind].append(plain[header])
    return {kind: headers for kind, headers in found.items() if headers}


def kind_of_names(names: pd.Series) -> str | None:
    """The kind that most names of a column have; None where they are no gene names.

    Args:
        names: Text.
    """
    known = gene_id_type(name for name in names.astype(str) if name.lower() not in _MISSING)
    return next((kind for kind in KINDS if known.startswith(kind)), None)


def tidy(columns: pd.DataFrame, found: dict[str, list[str]]) -> pd.DataFrame:
    """One column per kind, cleaned: ids without version, "" for missing, previous names joined by "|".

    Args:
        columns: Text.
        found: What `recognised` returns.
    """
    text = {
        header: columns[header].astype(str).str.strip() for headers in found.values() for header in headers
    }
    clean: dict[str, list[str]] = {}
    for kind in KINDS:
        clean[kind] = _coalesced(
            [text[header] for header in found.get(kind, [])], _CLEANERS[kind], len(columns)
        )
    others = [text[header] for header in (*found.get("symbol", []), *found.get("previous", []))]
    rows = zip(clean["symbol"], *others, strict=True) if others else ()
    clean["previous"] = [_joined(symbol, names) for symbol, *names in rows] or [""] * len(columns)
    return pd.DataFrame(clean)


def _coalesced(columns: list[pd.Series], clean: Callable[[str], str], n_rows: int) -> list[str]:
    """The first name of each row that is not missing."""
    result = [""] * n_rows
    for column in columns:
        result = [kept or clean(name) for kept, name in zip(result, column, strict=True)]
    return result


def _joined(symbol: str, names: list[str]) -> str:
    """Names besides the symbol, each once."""
    parts = (part.strip(' "') for name in names for part in re.split(r"\||,\s*|;\s*", name))
    return "|".join(dict.fromkeys(part for part in parts if part != symbol and part.lower() not in _MISSING))


def _clean_ensembl(name: str) -> str:
    return plain_id(name) if name_kind(name) == "ensembl" else ""


def _clean_entrez(name: str) -> str:
    # pandas writes whole numbers beside missing ones as 7157.0.
    number = name.removesuffix(".0")
    return number if name_kind(number) == "entrez" else ""


def _clean_symbol(name: str) -> str:
    return "" if name.lower() in _MISSING else name


_CLEANERS: dict[str, Callable[[str], str]] = {
    "ensembl": _clean_ensembl,
    "entrez": _clean_entrez,
    "symbol": _clean_symbol,
}


def _plain(header: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")
