# SPDX-License-Identifier: BSD-3-Clause
"""Gene names: which kind of identifier they are, and Ensembl ids without their version."""

import re
from collections.abc import Iterable

GENE_ID_TYPES = {
    "ensembl_human": "human Ensembl ids",
    "ensembl_human_versioned": "human Ensembl ids with version",
    "ensembl_mouse": "mouse Ensembl ids",
    "ensembl_mouse_versioned": "mouse Ensembl ids with version",
    "entrez": "Entrez ids",
    "symbol": "gene symbols",
    "unknown": "names of no known kind",
}
"""Kind of identifier → its name in messages."""

_PATTERNS = {
    "ensembl_human": re.compile(r"ENSG\d{11}(_PAR_Y)?"),
    "ensembl_human_versioned": re.compile(r"ENSG\d{11}\.\d+(_PAR_Y)?"),
    "ensembl_mouse": re.compile(r"ENSMUSG\d{11}"),
    "ensembl_mouse_versioned": re.compile(r"ENSMUSG\d{11}\.\d+"),
    "entrez": re.compile(r"[1-9]\d{0,8}"),
    "symbol": re.compile(r"(?=.{2,16}$)[A-Za-z][A-Za-z0-9]*(?:[-.@/][A-Za-z0-9]+){0,2}"),
}
_VERSION = re.compile(r"(ENS[A-Z]*\d{11})\.\d+")

# Genes that nearly every annotation and panel holds some of; they tell symbols from other short words.
_LANDMARKS = frozenset(
    {"ACTB", "GAPDH", "B2M", "TBP", "HPRT1", "PPIA", "RPLP0", "RPL13A", "RPS18", "UBC", "YWHAZ", "SDHA"}
    | {"TFRC", "GUSB", "PGK1", "HMBS", "EEF1A1", "TUBB", "TUBA1A", "LDHA", "ENO1", "ALDOA", "PKM", "TPT1"}
    | {"FTL", "FTH1", "ALB", "APOE", "COL1A1", "COL1A2", "COL3A1", "FN1", "VIM", "KRT5", "KRT8", "KRT18"}
    | {"CDH1", "CDH2", "EPCAM", "TP53", "MYC", "EGFR", "ERBB2", "KRAS", "BRAF", "PTEN", "RB1", "BRCA1"}
    | {"BRCA2", "CDKN1A", "CDKN2A", "CCND1", "CCNB1", "MKI67", "TOP2A", "PCNA", "VEGFA", "STAT1", "STAT3"}
    | {"JUN", "FOS", "EGR1", "NFKB1", "RELA", "TNF", "IL6", "CXCL8", "CD3E", "CD4", "CD8A", "CD19", "PTPRC"}
)


def gene_id_type(names: Iterable[str]) -> str:
    """Which kind of gene identifier most of the names are.

    Symbols have no shape of their own; they are recognised by well-known genes among them or, from 20 names
    on, by their variety: sample names repeat a few stems (S1, S2, ...), symbols have hundreds.

    Args:
        names: Gene names, or names that may be genes.

    Returns:
        A key of `GENE_ID_TYPES`; ``"unknown"`` where no kind covers more than half of the names.

    Example:
        >>> gene_id_type(["ENSG00000141510.17", "ENSG00000146648.18"])
        'ensembl_human_versioned'
        >>> gene_id_type(["TP53", "EGFR", "MYC"])
        'symbol'
        >>> gene_id_type(["sample_1", "sample_2"])
        'unknown'
    """
    given = [str(name) for name in names]
    for kind, pattern in _PATTERNS.items():
        alike = [name for name in given if pattern.fullmatch(name)]
        if 2 * len(alike) > len(given) and (kind != "symbol" or _are_symbols(alike)):
            return kind
    return "unknown"


def _are_symbols(names: list[str]) -> bool:
    """Names of a symbol's shape are symbols if some are well known, or if their stems vary."""
    known = sum(name.upper() in _LANDMARKS for name in names)
    stems = {re.sub(r"\d.*", "", name) for name in names}
    # 20,242 HUGO symbols have 6,006 stems (0.30); 728 GTEx and TCGA barcodes have 2.
    return known >= min(3, len(names)) or (len(names) >= 20 and len(stems) >= 0.2 * len(names))


def describe_ids(names: Iterable[str]) -> str:
    """The kind of the names in words, with an example, for messages.

    Args:
        names: Gene names.

    Example:
        >>> describe_ids(["ENSG00000141510", "ENSG00000146648"])
        "human Ensembl ids (e.g. 'ENSG00000141510')"
    """
    given = [str(name) for name in names]
    example = f" (e.g. {given[0]!r})" if given else ""
    return GENE_ID_TYPES[gene_id_type(given)] + example


def strip_version(names: Iterable[str]) -> list[str]:
    """Ensembl ids without their version; every other name as it is.

    A suffix such as ``_PAR_Y`` stays: without it the two copies of a gene would bear one name.

    Args:
        names: Gene names.

    Returns:
        The names in the same order.

    Example:
        >>> strip_version(["ENSG00000141510.17", "ENSG00000002586.19_PAR_Y", "AC000032.2"])
        ['ENSG00000141510', 'ENSG00000002586_PAR_Y', 'AC000032.2']
    """
    return [_VERSION.sub(r"\1", name) for name in names]
