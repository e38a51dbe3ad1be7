# SPDX-License-Identifier: BSD-3-Clause
"""Estimated counts: salmon, kallisto (transcripts, summed by gene) and RSEM (genes); all are rounded."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from pydgd.data.counts import Parts
from pydgd.data.pipelines.lines import Lines
from pydgd.data.pipelines.pieces import Piece, combine
from pydgd.data.pipelines.recognise import FAMILIES
from pydgd.data.pipelines.sources import Source
from pydgd.data.pipelines.tx2gene import GeneOf, gene_of
from pydgd.data.reading import ReadOptions
from pydgd.errors import CountsError

_log = logging.getLogger(__name__)


def read_salmon(sources: Sequence[Source], options: ReadOptions) -> Parts:
    """Read salmon's quant.sf (NumReads, summed over each gene's transcripts) or quant.genes.sf.

    Args:
        sources: One for each sample.
        options: `tx2gene`.

    Raises:
        ConfigError: If transcripts come without a table of their genes, or it is of another annotation.
        FileFormatError: As `combine` does, or if a file lacks a column.
    """
    if all("quant.genes.sf" in source.path.name for source in sources):
        return _combined(sources, lambda source: _piece(source, "Name", "NumReads"))
    return _transcripts(sources, "Name", "NumReads", options)


def read_kallisto(sources: Sequence[Source], options: ReadOptions) -> Parts:
    """Read kallisto's abundance.tsv (est_counts, summed over each gene's transcripts).

    Args:
        sources: One for each sample.
        options: `tx2gene`.

    Raises:
        ConfigError: If transcripts come without a table of their genes, or it is of another annotation.
        FileFormatError: As `combine` does, or if a file lacks a column.
    """
    return _transcripts(sources, "target_id", "est_counts", options)


def read_rsem(sources: Sequence[Source], options: ReadOptions) -> Parts:  # noqa: ARG001  # the readers' signature
    """Read RSEM's genes.results (expected_count).

    Args:
        sources: One for each sample.
        options: None matters.

    Raises:
        FileFormatError: As `combine` does, or if a file lacks a column or is of isoforms.
    """
    return _combined(sources, lambda source: _piece(source, "gene_id", "expected_count"))


def _combined(sources: Sequence[Source], read: Callable[[Source], Piece]) -> Parts:
    _log.info("estimated counts, to be rounded to whole reads")
    return combine(map(read, sources), estimated=True)


def _piece(source: Source, name: str, count: str) -> Piece:
    lines = Lines.read(source.path, source.kind, FAMILIES[source.family or ""], header=True)
    counts, names = lines.numbers([lines.place(count)])[:, 0], lines.texts(lines.place(name))
    negative = np.flatnonzero(counts < 0)
    # A gene's other transcripts would hide it.
    if negative.size:
        raise CountsError(
            f"{source.path}: negative count: sample {source.sample!r}, gene or transcript "
            f"{names[negative[0]]!r} has {counts[negative[0]]}; copy, download or write the file again"
        )
    return Piece(source.path, names, [source.sample], counts[None, :])


def _transcripts(sources: Sequence[Source], name: str, count: str, options: ReadOptions) -> Parts:
    first = _piece(sources[0], name, count)
    genes = gene_of(first.genes, options.tx2gene, sources[0].path)
    return _combined(sources, lambda source: _summed(_piece(source, name, count), genes, first))


def _summed(piece: Piece, genes: GeneOf, first: Piece) -> Piece:
    """Counts by gene; all samples must have been quantified against the same transcripts."""
    known = genes if piece.genes == first.genes else None
    # `combine` knows how to refuse or reorder.
    transcripts = piece.counts if known else np.asarray(combine([first, piece]).matrix[1:])
    counts = np.bincount(genes.places, transcripts[0, genes.known], minlength=len(genes.names))
    reads = transcripts[0].sum()
    lost = reads - counts.sum()
    if lost > 0:
        _log.warning(
            "%s: %.1f %% of the reads are on transcripts without a gene in the table",
            piece.path,
            100 * lost / reads,
        )
    return Piece(piece.path, genes.names, piece.samples, counts[None, :])
