# SPDX-License-Identifier: BSD-3-Clause
"""Where a training run takes its counts from: memory, or a file that need not fit there."""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Generator, Tensor

from pydgd.core.distributions import log_factorial
from pydgd.core.kernels import row_sums
from pydgd.data.blocks import LazyRows
from pydgd.training.ranks import ALONE, Ranks

BUFFER_ELEMENTS = 2**25
"""Counts that are shuffled together when they come from a file: 128 MiB, and as much is read ahead."""
BLOCK_ELEMENTS = 2**21
"""Counts that lie together in a file and are read together: 8 MiB."""


class Batch(NamedTuple):
    """Samples of one step.

    Attributes:
        rows: Their places among this process's representations, (B,).
        counts: Reads, (B, G).
        scaling_factors: (B,).
        log_factorial: Sum over genes of ln k!, (B,).
        n_samples: Samples of all processes in this step.
    """

    rows: Int[Tensor, " batch"]
    counts: Float[Tensor, "batch genes"]
    scaling_factors: Float[Tensor, " batch"]
    log_factorial: Float[Tensor, " batch"]
    n_samples: int


@runtime_checkable
class TrainingCounts(Protocol):
    """Counts of the training samples, wherever they are.

    Attributes:
        scaling_factors: One per sample, (N,).
        n_genes: G.
    """

    scaling_factors: Float[Tensor, " n"]
    n_genes: int

    def take(self, rows: NDArray[np.intp]) -> Float[Tensor, "rows genes"]:
        """Reads of some samples; `rows` rise."""

    def batches(
        self, generator: Generator, *, batch_size: int, skip: int = 0, ranks: Ranks = ALONE
    ) -> Iterator[Batch]:
        """One epoch: every sample once, in an order that the generator decides, without the first batches."""


def evenly_spaced(n: int, most: int) -> NDArray[np.intp]:
    """Numbers below n: all of them, or as many evenly spaced ones as `most` allows.

    Example:
        >>> evenly_spaced(3, 5), evenly_spaced(10, 4)
        (array([0, 1, 2]), array([0, 3, 6, 9]))
    """
    return np.arange(0, n, max(1, -(-n // most)))


def n_batches(n_samples: int, batch_size: int) -> int:
    """Steps of an epoch."""
    return math.ceil(n_samples / batch_size)


class CountsInMemory:
    """Counts as one matrix.

    Args:
        counts: Reads, (N, G).
        scaling_factors: One per sample, (N,).

    Example:
        >>> source = CountsInMemory(torch.ones(5, 2), torch.ones(5))
        >>> sorted(len(batch.rows) for batch in source.batches(torch.Generator(), batch_size=4))
        [2, 3]
    """

    def __init__(self, counts: Float[Tensor, "n genes"], scaling_factors: Float[Tensor, " n"]) -> None:
        self.counts, self.scaling_factors, self.n_genes = counts, scaling_factors, counts.shape[1]
        self._log_factorial = _log_factorials(counts)

    def take(self, rows: NDArray[np.intp]) -> Tensor:
        """Reads of some samples."""
        return self.counts[torch.as_tensor(rows)]

    def batches(
        self, generator: Generator, *, batch_size: int, skip: int = 0, ranks: Ranks = ALONE
    ) -> Iterator[Batch]:
        """The same batches whatever the number of processes; each takes its own samples out of them."""
        n = len(self.counts)
        steps = n_batches(n, batch_size)
        dealt, own = _dealt(n, steps, generator), ranks.own(n)
        begin, end = int(own[0]), int(own[-1]) + 1
        order = begin + dealt[begin:end].argsort(stable=True)
        own_sizes = dealt[begin:end].bincount(minlength=steps).tolist()
        sizes = dealt.bincount(minlength=steps).tolist()
        for rows, n_together in zip(torch.split(order, own_sizes)[skip:], sizes[skip:], strict=True):
            yield Batch(
                rows - begin,
                self.counts[rows],
                self.scaling_factors[rows],
                self._log_factorial[rows],
                n_together,
            )


def _dealt(n: int, n_hands: int, generator: Generator) -> Tensor:
    """Which batch each sample comes in: of as many neighbours as there are batches, one in each.

    So batches are of equal size (a full step on a last batch of one or two samples throws the decoder off),
    tissues that stand together are in all of them, and a process that has a stretch of the samples has as
    many in each: none waits for another's larger share.

    Source:
        Zhao & Zhang (2014), arXiv:1405.3080: batches with a part of each stratum have less noisy gradients.

    Example:
        >>> _dealt(6, 3, Generator().manual_seed(0)).reshape(2, 3).sort().values.tolist()
        [[0, 1, 2], [0, 1, 2]]
    """
    chance = torch.rand(math.ceil(n / n_hands), n_hands, generator=generator)
    return chance.argsort(dim=1).reshape(-1)[:n]


class CountsOnDisk:
    """Counts that stay in a file and are read block by block, one buffer ahead of the training.

    Blocks come in random order, and the samples of the blocks of one buffer are shuffled together.

    Args:
        matrix: All samples of the file, genes in the model's order.
        rows: Numbers in the file of the training samples, rising, (N,).
        scaling_factors: One per training sample, (N,).
    """

    def __init__(
        self, matrix: LazyRows, rows: NDArray[np.intp], scaling_factors: Float[Tensor, " n"]
    ) -> None:
        self.matrix, self.rows, self.scaling_factors = matrix, rows, scaling_factors
        self.n_genes = matrix.shape[1]
        self._height = max(1, BLOCK_ELEMENTS // self.n_genes)
        self._per_buffer = max(1, BUFFER_ELEMENTS // (self._height * self.n_genes))
        self._log_factorial = torch.full((len(rows),), torch.nan, dtype=torch.float64)

    def take(self, rows: NDArray[np.intp]) -> Tensor:
        """Reads of some samples; `rows` rise."""
        taken = torch.empty(len(rows), self.n_genes)
        for first in range(0, len(rows), self._height):
            some = slice(first, first + self._height)
            taken[some] = _dense(self.matrix.take(self.rows[rows[some]])[:])
        return taken

    def batches(
        self, generator: Generator, *, batch_size: int, skip: int = 0, ranks: Ranks = ALONE
    ) -> Iterator[Batch]:
        """Samples of this process's stretch; in every step each process has its share of them."""
        steps = n_batches(len(self.rows), batch_size)
        stretches = [Ranks(i, ranks.size).own(len(self.rows)) for i in range(ranks.size)]
        everyone = [_part_sizes(len(stretch), steps) for stretch in stretches]
        sizes, n_samples, begin = everyone[ranks.index], np.sum(everyone, axis=0), stretches[ranks.index][0]
        buffers = self._shuffled(generator, ranks)
        done = int(sizes[:skip].sum())
        ready = _Stream(self._read_ahead(buffers, done), self.n_genes)
        order, ends = np.concatenate(buffers), np.cumsum(sizes)
        for end, size, n in zip(ends[skip:], sizes[skip:], n_samples[skip:], strict=True):
            part = order[end - size : end]
            rows = torch.as_tensor(part)
            yield Batch(
                torch.as_tensor(part - begin),
                ready.next(len(part)),
                self.scaling_factors[rows],
                self._log_factorial[rows],
                int(n),
            )

    def _shuffled(self, generator: Generator, ranks: Ranks) -> list[NDArray[np.intp]]:
        """Own samples in the order of an epoch, a buffer at a time."""
        own = ranks.own(len(self.rows))
        blocks = np.split(own, np.flatnonzero(np.diff(self.rows[own] // self._height)) + 1)
        order = torch.randperm(len(blocks), generator=generator).tolist()
        buffers = []
        for first in range(0, len(order), self._per_buffer):
            rows = np.concatenate([blocks[i] for i in order[first : first + self._per_buffer]])
            buffers.append(rows[torch.randperm(len(rows), generator=generator).numpy()])
        return buffers

    def _read_ahead(self, buffers: list[NDArray[np.intp]], done: int) -> Iterator[Tensor]:
        """Counts of the buffers without the first `done` samples, the next one being read meanwhile."""
        wanted: list[NDArray[np.intp]] = []
        for rows in buffers:
            wanted += [rows[done:]] if done < len(rows) else []
            done = max(0, done - len(rows))
        with ThreadPoolExecutor(1) as reader:
            coming: Future[Tensor] | None = None
            for rows in wanted:
                following = reader.submit(self._read, rows)
                if coming is not None:
                    yield coming.result()
                coming = following
            if coming is not None:
                yield coming.result()

    def _read(self, rows: NDArray[np.intp]) -> Tensor:
        """Counts of samples in any order, read in that of the file, a block at a time."""
        buffer = torch.empty(len(rows), self.n_genes)
        order = rows.argsort()
        heights = np.diff(self.rows[rows[order]] // self._height)
        for places in np.split(order, np.flatnonzero(heights) + 1):
            lines = self.rows[rows[places]]
            block = _dense(self.matrix[slice(int(lines[0]), int(lines[-1]) + 1)])
            buffer[torch.as_tensor(places)] = block[torch.as_tensor(lines - lines[0])]
        self._note_log_factorial(rows, buffer)
        return buffer

    def _note_log_factorial(self, rows: NDArray[np.intp], counts: Tensor) -> None:
        """Of samples that come for the first time."""
        new = self._log_factorial[torch.as_tensor(rows)].isnan()
        if bool(new.any()):
            self._log_factorial[torch.as_tensor(rows)[new]] = _log_factorials(counts[new])


class _Stream:
    """The rows of consecutive matrices, as many at a time as are asked for."""

    def __init__(self, matrices: Iterator[Tensor], n_columns: int) -> None:
        self._matrices, self._rest = matrices, torch.empty(0, n_columns)

    def next(self, n: int) -> Tensor:
        """The following n rows."""
        parts, self._rest = [self._rest[:n]], self._rest[n:]
        while (lacking := n - sum(map(len, parts))) > 0:
            more = next(self._matrices)
            parts.append(more[:lacking])
            self._rest = more[lacking:]
        return torch.cat(parts) if len(parts) > 1 else parts[0]


def _part_sizes(n: int, n_parts: int) -> NDArray[np.intp]:
    """Sizes that differ by at most one."""
    sizes = np.full(n_parts, n // n_parts)
    sizes[: n % n_parts] += 1
    return sizes


def _log_factorials(counts: Tensor) -> Tensor:
    """Sum of ln k! of each sample, (N,), float64; some at a time, for each number takes 8 bytes."""
    some = torch.split(counts, max(1, BLOCK_ELEMENTS // max(1, counts.shape[1])))
    return torch.cat([row_sums(log_factorial(part)) for part in some])


def _dense(block: Any) -> Tensor:  # noqa: ANN401  # array or CSR
    whole = block.toarray() if hasattr(block, "toarray") else block
    return torch.as_tensor(np.ascontiguousarray(whole, dtype=np.float32))
