# SPDX-License-Identifier: BSD-3-Clause
"""Tables of many samples, genes in rows, that begin with lines of their own: featureCounts, GCT, recount3."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

import numpy as np

from pydgd.data.counts import Parts
from pydgd.data.delimited import read_stream, text_stream
from pydgd.data.layout import Layout, is_number, split_fields
from pydgd.data.pipelines.pieces import Piece, combine
from pydgd.data.pipelines.recognise import FEATURECOUNTS
from pydgd.data.pipelines.sources import Source
from pydgd.data.reading import ReadOptions
from pydgd.errors import FileFormatError

# What aligners add to a sample's name.
_ALIGNMENT = re.compile(
    r"([._]?Aligned([._]sortedByCoord)?[._]out)?([._](sorted|markdup|dedup|sortedByCoord|out))*\.(bam|sam|cram)$",
    re.IGNORECASE,
)


def read_featurecounts(sources: Sequence[Source], options: ReadOptions) -> Parts:  # noqa: ARG001  # the readers' signature
    """Read featureCounts' tables; samples are called by their alignments, without folder and ending.

    Args:
        sources: One table, or several of the same genes.
        options: None matters.

    Raises:
        FileFormatError: As `combine` does, or if the columns are others.
    """
    return combine(_featurecounts(source) for source in sources)


def _featurecounts(source: Source) -> Piece:
    with text_stream(source.path, source.kind) as stream:
        header = stream.readline()
        n_comments = int(header.startswith("#"))
        table = read_stream(
            stream,
            source.path,
            _featurecounts_layout,
            header=None if n_comments else header,
            n_before=n_comments,
        )
    parts = table.to_parts(genes_in_rows=True)
    samples = _samples_of(parts.obs.index.tolist(), source.sample)
    return Piece(source.path, parts.var.index.tolist(), samples, np.asarray(parts.matrix), parts.var)


def _featurecounts_layout(header: str, lines: list[str], path: Path) -> Layout:
    names = split_fields(header, "\t")
    whole = tuple(names[:6]) == FEATURECOUNTS
    # Only the genes and samples of it, by `cut -f 1,7-`.
    cut = names[0] == FEATURECOUNTS[0] and not set(names).intersection(FEATURECOUNTS[1:])
    n_facts = 6 if whole else 1
    if not (whole or cut) or len(names) <= n_facts:
        raise FileFormatError(
            f"{path}: columns of a featureCounts table are {', '.join(FEATURECOUNTS)} and samples, got "
            f"{', '.join(names[:8])}; give the table as featureCounts wrote it"
        )
    first = split_fields(lines[0], "\t") if lines else []
    # Extra attributes such as gene_name stand between Length and the samples; a bad number is found later.
    paths = [i for i, name in enumerate(names) if i >= n_facts and ("/" in name or _ALIGNMENT.search(name))]
    start = min(paths, default=n_facts)
    numeric = tuple(
        i - 1 for i in range(start, len(names)) if paths or i >= len(first) or is_number(first[i])
    )
    text = tuple(i - 1 for i in range(n_facts, len(names)) if i - 1 not in numeric)
    length = (4,) if whole else ()
    return Layout("\t", len(names), names[0], tuple(names[1:]), numeric, (*length, *text))


def _samples_of(columns: list[str], table: str) -> list[str]:
    """Names of the alignments without folders; with the whole path where these alone are not unique.

    One that says nothing (Aligned.out.bam) is called by its folder, or as the `table`.
    """
    short = [_ALIGNMENT.sub("", Path(column).name) or Path(column).parent.name or table for column in columns]
    return short if len(set(short)) == len(short) else columns


def read_gct(sources: Sequence[Source], options: ReadOptions) -> Parts:  # noqa: ARG001  # the readers' signature
    """Read a GCT table, version 1.2 or 1.3 (GTEx).

    Args:
        sources: One.
        options: None matters.

    Raises:
        FileFormatError: If its size is not what its second line says.
    """
    source = sources[0]
    with text_stream(source.path, source.kind) as stream:
        size = _GctSize.read(stream, source.path)
        header = stream.readline()
        # GTEx numbers the genes in its tables of one tissue.
        numbered = size.n_labels == 1 and header.startswith("id\tName\tDescription\t")
        size = replace(size, n_labels=2) if numbered else size
        # Of version 1.3: lines that describe the samples, before those of the genes.
        described = [
            line.rstrip("\n").split("\t") for line in islice(iter(stream.readline, ""), size.n_sample_labels)
        ]
        table = read_stream(
            stream, source.path, size.layout, header=header, n_before=2 + size.n_sample_labels
        )
    if len(table.row_names) != size.n_genes:
        raise FileFormatError(
            f"{source.path}: {len(table.row_names):,} genes where the second line says {size.n_genes:,}; "
            "the file is truncated: copy or download it again"
        )
    parts = table.to_parts(genes_in_rows=True)
    if numbered:
        parts = replace(parts, var=parts.var.set_index("Name").rename_axis(None))
    labels = {row[0]: row[1 + size.n_labels :] for row in described}
    n_samples = len(parts.obs)
    if wrong := next((name for name, values in labels.items() if len(values) != n_samples), None):
        raise FileFormatError(
            f"{source.path}: the line {wrong[:40]!r} describes {len(labels[wrong])} samples of {n_samples}; "
            "download or write the file again"
        )
    return replace(parts, obs=parts.obs.assign(**labels))


@dataclass(frozen=True)
class _GctSize:
    """What the first two lines of a GCT say.

    Attributes:
        n_genes: Rows of counts.
        n_samples: Columns of counts.
        n_labels: Columns that describe genes, after their name.
        n_sample_labels: Rows that describe samples, after the header.
    """

    n_genes: int
    n_samples: int
    n_labels: int
    n_sample_labels: int

    @classmethod
    def read(cls, stream: TextIOWrapper, path: Path) -> "_GctSize":
        version, line = stream.readline().strip(), stream.readline()
        try:
            numbers = [int(field) for field in line.split()]
            # Version 1.2 has one column besides, Description.
            n_genes, n_samples, n_labels, n_sample_labels = numbers if version == "#1.3" else [*numbers, 1, 0]
            if not all(0 <= number < 2**31 for number in numbers):
                raise ValueError
            return cls(n_genes, n_samples, n_labels, n_sample_labels)
        except ValueError:
            raise FileFormatError(
                f"{path}: the second line of a GCT says how many genes and samples there are, got "
                f"{line[:40].strip()!r}; download or write it again"
            ) from None

    def layout(self, header: str, lines: list[str], path: Path) -> Layout:
        names = [name.strip() for name in header.rstrip("\n").split("\t")]
        if len(names) != 1 + self.n_labels + self.n_samples:
            raise FileFormatError(
                f"{path}: {len(names)} columns where a GCT of {self.n_samples} samples has "
                f"{1 + self.n_labels + self.n_samples}; download or write it again"
            )
        if not lines:
            raise FileFormatError(f"{path}: no line of counts; download or write it again")
        return _fixed_layout(names, n_labels=self.n_labels)


def _fixed_layout(names: list[str], *, n_labels: int) -> Layout:
    """Names, then labels, then numbers to the end of the line."""
    places = range(len(names) - 1)
    return Layout(
        "\t", len(names), names[0], tuple(names[1:]), tuple(places[n_labels:]), tuple(places[:n_labels])
    )


def read_recount3(sources: Sequence[Source], options: ReadOptions) -> Parts:  # noqa: ARG001  # the readers' signature
    """Read recount3's gene sums of a project, which are base coverage.

    Args:
        sources: One.
        options: None matters here: the caller turns coverage into reads.

    Raises:
        FileFormatError: If a line is truncated or the header is another.
    """
    source = sources[0]
    with text_stream(source.path, source.kind) as stream:
        n_before = 0
        while (header := stream.readline()).startswith("##"):
            n_before += 1
        table = read_stream(stream, source.path, _recount3_layout, header=header, n_before=n_before)
    return replace(table.to_parts(genes_in_rows=True), coverage=True)


def _recount3_layout(header: str, lines: list[str], path: Path) -> Layout:
    names = header.rstrip("\n").split("\t")
    if names[0] != "gene_id" or len(names) < 2 or not lines:
        raise FileFormatError(
            f"{path}: recount3 gene sums have a header of gene_id and samples and a line for each gene, got "
            f"{header[:40].strip()!r} and {len(lines):,} lines; download it again"
        )
    return _fixed_layout(names, n_labels=0)
