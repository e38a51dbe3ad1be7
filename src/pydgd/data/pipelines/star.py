# SPDX-License-Identifier: BSD-3-Clause
"""Counts of STAR: ReadsPerGene.out.tab, and the count files of GDC (TCGA)."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.data.counts import Parts
from pydgd.data.pipelines.lines import Lines
from pydgd.data.pipelines.pieces import Piece, combine
from pydgd.data.pipelines.recognise import FAMILIES, TALLIES
from pydgd.data.pipelines.sources import Source
from pydgd.data.reading import STRANDS, ReadOptions
from pydgd.errors import ConfigError, FileFormatError

_log = logging.getLogger(__name__)

# Column of each kind of library; forward is htseq-count's `-s yes`.
_STAR_COLUMNS = dict(zip(STRANDS, (1, 2, 3), strict=True))
_GDC_COLUMNS = dict(zip(STRANDS, ("unstranded", "stranded_first", "stranded_second"), strict=True))
# Of the reads of both strands, the share on one from which on nf-core/rnaseq calls a library stranded, and
# the difference of the two shares up to which it calls it unstranded.
_STRANDED, _UNSTRANDED = 0.8, 0.1


def read_star(sources: Sequence[Source], options: ReadOptions) -> Parts:
    """Read ReadsPerGene.out.tab; the column by strandedness, which all files must share.

    Args:
        sources: One for each sample.
        options: `strand`, or None to tell from the counts of both strands.

    Raises:
        ConfigError: If strandedness cannot be told.
        FileFormatError: As `combine` does, or if samples are of different strandedness.
    """
    return combine(_star_pieces(sources, options))


def _star_pieces(sources: Sequence[Source], options: ReadOptions) -> Iterator[Piece]:
    strand = options.strand
    for source in sources:
        lines = Lines.read(source.path, source.kind, FAMILIES["star"], header=False, n_fields=4)
        genes, counts = _genes_only(lines.texts(0), lines.numbers((1, 2, 3)))
        found = options.strand or _strandedness(counts, source)
        if strand is None:
            _log.warning(
                "%s: reads are %s by the counts of both strands; if that is wrong, say --strand",
                source.path,
                found,
            )
        elif strand != found:
            raise FileFormatError(
                f"{source.path}: reads are {found}, but those of {sources[0].path.name} in its folder are "
                f"{strand}; read each kind apart, or say --strand (strand= in Python) if they are alike"
            )
        strand = found
        column = _STAR_COLUMNS[strand] - 1
        yield Piece(source.path, genes, [source.sample], np.ascontiguousarray(counts[:, column])[None, :])


def _genes_only(names: list[str], counts: NDArray[Any]) -> tuple[list[str], NDArray[Any]]:
    """Without the rows that say how many reads were not counted."""
    kept = np.array([name not in TALLIES for name in names])
    return [name for name in names if name not in TALLIES], counts[kept]


def _strandedness(counts: NDArray[Any], source: Source) -> str:
    """What the library is, by the reads on either strand."""
    forward, reverse = counts[:, 1:].sum(axis=0, dtype=np.float64)
    share = forward / (forward + reverse) if forward + reverse else np.nan
    if share >= _STRANDED:
        return "forward"
    if share <= 1 - _STRANDED:
        return "reverse"
    if abs(2 * share - 1) <= _UNSTRANDED:
        return "unstranded"
    raise ConfigError(
        f"{source.path}: cannot tell strandedness: {share:.0%} of the reads are on the genes' own strand; "
        "say --strand unstranded, forward or reverse (strand= in Python)"
    )


def read_gdc(sources: Sequence[Source], options: ReadOptions) -> Parts:
    """Read the STAR count files of GDC (TCGA, TARGET); unstranded counts unless told otherwise.

    Args:
        sources: One for each sample.
        options: `strand`.

    Raises:
        FileFormatError: As `combine` does, or if a file lacks a column.
    """
    column = _GDC_COLUMNS[options.strand or "unstranded"]
    _log.info("counts from the column %s of GDC's files", column)
    return combine(_gdc_piece(source, column) for source in sources)


def _gdc_piece(source: Source, column: str) -> Piece:
    lines = Lines.read(source.path, source.kind, FAMILIES["gdc"], header=True)
    names, counts = lines.texts(lines.place("gene_id")), lines.numbers([lines.place(column)])
    kept = [name not in TALLIES for name in names]
    labels = pd.DataFrame({key: lines.texts(lines.place(key)) for key in ("gene_name", "gene_type")})
    genes, counts = _genes_only(names, counts)
    return Piece(source.path, genes, [source.sample], counts.T, labels[kept].reset_index(drop=True))
