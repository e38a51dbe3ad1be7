# SPDX-License-Identifier: BSD-3-Clause
"""Closest normals of any number of samples, in chunks that fit in memory."""

from collections.abc import Callable, Iterator
from typing import Unpack

import pandas as pd

from pydgd.core.model import JointModel
from pydgd.data import CountRows, GeneMatch, available_memory
from pydgd.errors import ConfigError
from pydgd.inference.closest_normal import How, find_and_decode, warn_of_unconverged
from pydgd.inference.options import is_whole
from pydgd.inference.result import ClosestNormal
from pydgd.inference.search import BLOCK

# What one gene of one sample takes at the peak of `pydgd de`, in bytes: 371 (Parquet) and 419 (CSV) from 8 to
# 64 samples of 18,627 genes, and a fifth for the allocator. Counts as read and in the model's order, expected
# reads and their uncertainty, and above all the columns of its row in the table, as parts, together, as text.
BYTES_PER_COUNT = 500
# More samples at a time make nothing faster: the search goes in blocks of 8.
MOST_SAMPLES = 64


def chunk_size_for(n_genes: int, *, memory: int | None = None) -> int:
    """Samples per chunk: as many as take an eighth of the available memory, from 8 to 64, a multiple of 8.

    Args:
        n_genes: Of the counts or of the model, whichever has more.
        memory: Available bytes; by default what the system and the limits of its container leave.

    Returns:
        Samples. It changes the memory that is used, never the results.

    Example:
        >>> chunk_size_for(20_000, memory=2**31), chunk_size_for(20_000, memory=2**36)
        (24, 64)
    """
    memory = available_memory() if memory is None else memory
    if memory is None:
        return MOST_SAMPLES
    blocks = memory // 8 // (BYTES_PER_COUNT * n_genes * BLOCK)
    return BLOCK * min(max(1, blocks), MOST_SAMPLES // BLOCK)


def closest_normal_chunks(
    model: JointModel,
    counts: CountRows,
    match: GeneMatch,
    *,
    chunk_size: int | None = None,
    **how: Unpack[How],
) -> Iterator[ClosestNormal]:
    """Find the closest normals of consecutive samples, chunk by chunk.

    Args:
        model: Trained on healthy samples.
        counts: Perhaps on disk.
        match: Where the model's genes stand in them.
        chunk_size: Samples at a time; by default `chunk_size_for` decides.
        **how: See `pydgd.inference.closest_normal.How`.

    Returns:
        The closest normals of each chunk, to the bit those of all samples at once.

    Raises:
        ConfigError: If `chunk_size` is not a whole number of at least 1.
        CountsError: If a sample has too few reads of the model's genes for a scaling factor.
    """
    size = chunk_size_for(max(counts.n_vars, len(match.genes))) if chunk_size is None else chunk_size
    if not is_whole(size, least=1):
        raise ConfigError(f"chunk_size must be a whole number of samples, at least 1, got {size!r}")
    return _chunks(model, counts, match, int(size), how)


def _chunks(
    model: JointModel, counts: CountRows, match: GeneMatch, size: int, how: How
) -> Iterator[ClosestNormal]:
    converged, progress = [], how.get("progress")
    for first in range(0, counts.n_obs, size):
        query = match.align(counts.read(first, min(first + size, counts.n_obs)))
        report = None if progress is None else _after(first, counts.n_obs, progress)
        for_chunk: How = {**how, "progress": report}
        normal = find_and_decode(model, query, **for_chunk)
        converged.append(normal.fit[["dgd_converged"]])
        yield normal
    warn_of_unconverged(pd.concat(converged))


def _after(n_before: int, n_all: int, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
    return lambda done, _: progress(n_before + done, n_all)
