# SPDX-License-Identifier: BSD-3-Clause
"""Which program wrote a file of text, told from its first lines."""

import re
from collections.abc import Sequence

from pydgd.data.layout import is_number

FAMILIES = {
    "featurecounts": "a featureCounts table",
    "gct": "a GCT table",
    "gdc": "a STAR count file of GDC (TCGA)",
    "htseq": "an HTSeq-count file",
    "kallisto": "kallisto's abundance.tsv",
    "mtx": "a MatrixMarket matrix",
    "recount3": "recount3 gene sums",
    "rsem": "RSEM's genes.results",
    "salmon": "salmon's quant.sf",
    "star": "STAR's ReadsPerGene.out.tab",
}
"""Kind of file → its name in messages."""

PER_SAMPLE = ("featurecounts", "gdc", "htseq", "kallisto", "rsem", "salmon", "star")
"""Kinds that come as a file or folder for each sample."""

# What a file's name promises; a name that says nothing is matched by none.
_PROMISES = {
    "star": re.compile(r".*ReadsPerGene(\.out)?\.tab"),
    "salmon": re.compile(r".*quant(\.genes)?\.sf"),
    "kallisto": re.compile(r"(.*[._-])?abundance\.tsv"),
    "rsem": re.compile(r".*\.genes\.results"),
    "gct": re.compile(r".*\.gct"),
    "gdc": re.compile(r".*augmented_star_gene_counts\.tsv"),
    "recount3": re.compile(r".*\.gene_sums\..*"),
    "mtx": re.compile(r".*\.mtx"),
}
_PACKED = re.compile(r"\.(gz|xz|bz2)$")
FEATURECOUNTS = ("Geneid", "Chr", "Start", "End", "Strand", "Length")
# Columns that no other program's tables have.
_COLUMNS = {
    "salmon": {"Name", "EffectiveLength"},
    "kallisto": {"target_id", "eff_length"},
    "rsem": {"gene_id", "transcript_id(s)", "effective_length"},
    "gdc": {"gene_id", "gene_type", "unstranded"},
    "featurecounts": set(FEATURECOUNTS),
}
BESIDE = ("summary", "isoforms")
"""What the same programs write beside their counts of genes."""

_STAR_ROWS = frozenset({"N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"})
_HTSEQ_ROWS = frozenset(
    {"__no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned", "__alignment_not_unique"}
)
TALLIES = _STAR_ROWS | _HTSEQ_ROWS
"""Rows of count files that are no genes: reads that were not counted."""

_HEADER_WORDS = frozenset({"", "gene", "genes", "gene_id", "geneid", "id", "sample", "sample_id", "name"})


def family_of(lines: Sequence[str]) -> str | None:
    r"""The program that wrote a file.

    Args:
        lines: The first lines.

    Returns:
        A key of `FAMILIES`, one of `BESIDE`, or None for a table of another kind.

    Example:
        >>> family_of(["N_unmapped\t10\t10\t10"]), family_of(["sample,TP53", "S1,3"])
        ('star', None)
    """
    first = lines[0] if lines else ""
    if first.startswith("%%MatrixMarket"):
        return "mtx"
    if re.match(r"#1\.\d\b", first):
        return "gct"
    if first.startswith("##annotation"):
        return "recount3"
    if first.startswith("# Program:featureCounts"):
        return "featurecounts"
    if first.startswith("# gene-model"):
        return "gdc"
    return _by_columns(first.split("\t")) or _by_rows(lines)


def _by_columns(fields: list[str]) -> str | None:
    if fields[0] == "Status" and len(fields) > 1:
        return "summary"
    if fields[0] == "transcript_id" and "IsoPct" in fields:
        return "isoforms"
    # Cut to the genes and samples, as many do.
    if fields[0] == "Geneid" and len(fields) > 1 and not set(fields).intersection(FEATURECOUNTS[1:]):
        return "featurecounts"
    found = (family for family, columns in _COLUMNS.items() if columns <= set(fields))
    return next(found, None)


def _by_rows(lines: Sequence[str]) -> str | None:
    """Files without a header."""
    rows = [line.split("\t") for line in lines if line.strip()]
    if not rows:
        return None
    # Tables put together from such files have a header.
    if any(row[0] in _STAR_ROWS for row in rows[:4]) and is_number(rows[0][-1]):
        return "star"
    # A line that breaks off is found later.
    two = 2 * sum(len(row) == 2 for row in rows) > len(rows) and len(rows[0]) == 2
    return "htseq" if two and not _is_header(rows[0]) and is_number(rows[0][1]) else None


def _is_header(fields: list[str]) -> bool:
    """Whether the first line names columns rather than a gene."""
    return fields[0].strip().lower() in _HEADER_WORDS


def promised_family(name: str) -> str | None:
    """What a file must be by its name.

    Args:
        name: Without folders, packed or not.

    Returns:
        A key of `FAMILIES`, or None if the name promises nothing.

    Example:
        >>> promised_family("S1.ReadsPerGene.out.tab.gz"), promised_family("counts.csv")
        ('star', None)
    """
    plain = _PACKED.sub("", name)
    return next((family for family, name in _PROMISES.items() if name.fullmatch(plain)), None)


# Ends of names that say nothing about the sample; the longest first.
_ENDS = re.compile(
    r"[._-]?(ReadsPerGene(\.out)?\.tab|quant(\.genes)?\.sf|abundance\.tsv|genes\.results"
    r"|(rna_seq\.)?augmented_star_gene_counts\.tsv"
    r"|((htseq|counts?|featurecounts?|htseq[_-]counts?)[._-]?)*\.(txt|tsv|tab|counts?|out|csv))$",
    re.IGNORECASE,
)


def sample_name(name: str, folder: str) -> str:
    """What the sample of a file is called: the file, or its folder where all files have one name.

    Args:
        name: Of the file.
        folder: Name of the folder that it is in.

    Example:
        >>> sample_name("S1.ReadsPerGene.out.tab.gz", "star"), sample_name("quant.sf", "S1")
        ('S1', 'S1')
    """
    return _ENDS.sub("", _PACKED.sub("", name)) or folder
