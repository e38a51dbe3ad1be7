# SPDX-License-Identifier: BSD-3-Clause
"""Samples shared among the processes that torchrun started. Heavy: commands import it when they run.

Process i of n has every n-th chunk of samples from the i-th on. Results go to process 0, one chunk at a time,
which writes them in the query's order: so memory does not grow, and no file is there but its own.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from anndata import AnnData
from torch import distributed

from pydgd.cli.terminal import Terminal
from pydgd.data import CountRows, available_memory
from pydgd.data.growing import write_parts
from pydgd.errors import PyDGDError
from pydgd.inference.chunks import chunk_size_for
from pydgd.inference.search import BLOCK
from pydgd.training.ranks import ALONE, Ranks, process_group

T = TypeVar("T")
_PROCESSOR = torch.device("cpu")


@dataclass(frozen=True)
class Shared:
    """The chunks of one query among processes.

    Attributes:
        counts: Of this process's chunks.
        size: Samples of a chunk, but for the last one.
        ranks: The processes.
    """

    counts: CountRows
    size: int
    ranks: Ranks = ALONE

    @classmethod
    def of(cls, counts: CountRows, ranks: Ranks, *, n_genes: int) -> "Shared":
        """This process's chunks.

        Args:
            counts: The query.
            ranks: The processes.
            n_genes: Of the counts or of the model, whichever has more.
        """
        if ranks.size == 1:
            return cls(counts, chunk_size_for(n_genes))
        free, n_here = available_memory(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        size = chunk_size_for(n_genes, memory=None if free is None else free // n_here)
        # Small queries in small chunks, so that nobody is idle; all processes take the least of their sizes.
        share = -(-counts.n_obs // (ranks.size * BLOCK)) * BLOCK
        size = int(ranks.joined(torch.tensor([min(size, share)])).min())
        chunks = np.split(np.arange(counts.n_obs), range(size, counts.n_obs, size))
        own = [*chunks[ranks.index :: ranks.size], np.arange(0)]
        return cls(counts.take(np.concatenate(own)), size, ranks)


@contextmanager
def joined(terminal: Terminal) -> Iterator[tuple[Terminal, Ranks]]:
    """Join the processes that torchrun started, if it did.

    Args:
        terminal: The user's.

    Yields:
        The terminal, quiet but in process 0, and this process among them.
    """
    with process_group() as ranks:
        yield (terminal if ranks.index == 0 else replace(terminal, quiet=True)), ranks


def in_turn(items: Iterable[T], ranks: Ranks) -> Iterator[T]:
    """In process 0 the items of all, one of each after the other; elsewhere nothing, they are handed over.

    Args:
        items: Results of this process's chunks, none of them None.
        ranks: The processes.

    Raises:
        PyDGDError: If another process is gone.
    """
    own = iter(items)
    if ranks.size == 1:
        yield from own
    elif ranks.index > 0:
        for mine in own:
            _send(mine)
        _send(None)
    else:
        running = list(range(ranks.size))
        while running:
            for process in tuple(running):
                item = next(own, None) if process == 0 else _received(process)
                if item is None:
                    running.remove(process)
                else:
                    yield item


def gathered(items: Iterable[T], ranks: Ranks) -> list[T]:
    """What `in_turn` yields, in a list.

    Args:
        items: Small results of this process's chunks.
        ranks: The processes.
    """
    return list(in_turn(items, ranks))


def write_shared(parts: Iterator[AnnData], path: Path, ranks: Ranks) -> None:
    """Write what comes out of `in_turn`; other processes than the first one only hand theirs over.

    Args:
        parts: As `pydgd.data.growing.write_parts` takes them.
        path: Likewise.
        ranks: The processes.
    """
    if ranks.index == 0:
        write_parts(parts, path)
    else:
        list(parts)


def _send(item: Any) -> None:  # noqa: ANN401  # whatever can be pickled; the other end is this program
    with _others_named():
        distributed.send_object_list([item], dst=0, device=_PROCESSOR)


def _received(process: int) -> Any:  # noqa: ANN401  # see above
    box = [None]
    with _others_named():
        distributed.recv_object_list(box, src=process, device=_PROCESSOR)
    return box[0]


@contextmanager
def _others_named() -> Iterator[None]:
    """Say that another process failed, which is the one to look at."""
    try:
        yield
    except RuntimeError as error:  # of gloo
        raise PyDGDError(
            f"another process is gone ({str(error)[:200]}); see what that one said, and start all of them "
            "again"
        ) from error
