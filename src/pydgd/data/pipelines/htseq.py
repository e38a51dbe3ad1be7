# SPDX-License-Identifier: BSD-3-Clause
"""Counts of htseq-count: two columns, a gene and its reads, and last how many reads were not counted."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from pydgd.data.counts import Parts
from pydgd.data.pipelines.lines import Lines
from pydgd.data.pipelines.pieces import Piece, combine
from pydgd.data.pipelines.recognise import FAMILIES, TALLIES
from pydgd.data.pipelines.sources import Source
from pydgd.data.reading import ReadOptions
from pydgd.errors import FileFormatError

_log = logging.getLogger(__name__)


def read_htseq(sources: Sequence[Source], options: ReadOptions) -> Parts:  # noqa: ARG001  # the readers' signature
    """Read htseq-count's files.

    Args:
        sources: One for each sample.
        options: None matters.

    Raises:
        FileFormatError: As `combine` does, or if only some files end in `__no_feature` and the like.
    """
    return combine(_pieces(sources))


def _pieces(sources: Sequence[Source]) -> Iterator[Piece]:
    first: frozenset[str] | None = None
    for source in sources:
        lines = Lines.read(source.path, source.kind, FAMILIES["htseq"], header=False, n_fields=2)
        names, counts = lines.texts(0), lines.numbers([1])[:, 0]
        genes = np.array([name not in TALLIES for name in names])
        tallies = frozenset(TALLIES.intersection(names))
        first = first if first is not None else tallies
        if tallies != first:
            raise FileFormatError(
                f"{source.path}: of the last lines (__no_feature and others) it has {len(tallies)}, "
                f"{sources[0].path.name} has {len(first)}: one of the files is truncated; copy or count "
                "it again"
            )
        if not tallies and source is sources[0]:
            _log.warning(
                "%s: without the last lines (__no_feature and others) of htseq-count; if nobody removed "
                "them, the file is truncated",
                source.path,
            )
        yield Piece(
            source.path,
            [name for name in names if name not in TALLIES],
            [source.sample],
            counts[genes][None, :],
        )
