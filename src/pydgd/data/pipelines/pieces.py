# SPDX-License-Identifier: BSD-3-Clause
"""Samples from several files put together by the names of their genes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.data.counts import Parts
from pydgd.errors import FileFormatError, NamesError


@dataclass(frozen=True, eq=False)
class Piece:
    """The samples of one file.

    Attributes:
        path: The file.
        genes: Names, one per column of `counts`.
        samples: Names, one per row.
        counts: Samples × genes.
        labels: Of the genes, one row each; taken from the first file only.
    """

    path: Path
    genes: list[str]
    samples: list[str]
    counts: NDArray[Any]
    labels: pd.DataFrame | None = None


def combine(pieces: Iterable[Piece], *, estimated: bool = False) -> Parts:
    """Put samples together; the files may have their genes in different orders, but must have the same.

    Args:
        pieces: At least one.
        estimated: Whether the numbers are estimates, to be rounded.

    Returns:
        Samples in the order of the files, genes in that of the first.

    Raises:
        FileFormatError: If a file has other genes than the first; the message names them.
        NamesError: If files that order their genes differently repeat some.
    """
    first: Piece | None = None
    blocks, samples = [], []
    for piece in pieces:
        first = first or piece
        blocks.append(piece.counts if piece.genes == first.genes else _in_order(piece, first))
        samples += piece.samples
    if first is None:
        raise ValueError("no pieces to combine")
    labels = pd.DataFrame(index=range(len(first.genes))) if first.labels is None else first.labels
    return Parts(
        np.concatenate(blocks),
        pd.DataFrame(index=pd.Index(samples, dtype=object)),
        labels.set_axis(pd.Index(first.genes, dtype=object), axis=0),
        estimated=estimated,
    )


def _in_order(piece: Piece, first: Piece) -> NDArray[Any]:
    """The counts with the genes in the first file's order."""
    ours, theirs = pd.Index(piece.genes), pd.Index(first.genes)
    lacking, more = theirs.difference(ours), ours.difference(theirs)
    if len(lacking) or len(more):
        raise FileFormatError(
            f"{piece.path}: not the genes of {first.path.name} in its folder: it lacks {_some(lacking)} "
            f"and has {_some(more)} besides; the file is truncated, or was counted with another "
            "annotation: count all samples with one"
        )
    if not (ours.is_unique and theirs.is_unique):
        repeated = (ours if not ours.is_unique else theirs).duplicated()
        raise NamesError(
            f"{piece.path}: repeated genes (first: "
            f"{(ours if not ours.is_unique else theirs)[repeated][0]!r}) in "
            f"another order than in {first.path.name}; count all samples with one annotation"
        )
    return piece.counts[:, ours.get_indexer(theirs)]


def _some(genes: pd.Index) -> str:
    return f"{len(genes):,} genes" + (f" (first: {genes[0]!r})" if len(genes) else "")
