# SPDX-License-Identifier: BSD-3-Clause
"""Processes that train one model together: each has samples of its own, and sums go over all of them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from pydgd.errors import TrainingError
from pydgd.training.cores import own_cores


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; alone by default.

    Attributes:
        index: Number of this process, from 0.
        size: Number of processes.

    Example:
        >>> Ranks().total(torch.ones(2)).tolist(), Ranks(1, 4).own(10).tolist()
        ([1.0, 1.0], [2, 3, 4])
    """

    index: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "Ranks":
        """Those of torch's process group, if there is one."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    def own(self, n: int) -> NDArray[np.intp]:
        """Numbers below n that are this process's: a stretch, as long as the others' give or take one."""
        return np.arange(n * self.index // self.size, n * (self.index + 1) // self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size == 1:
            return values
        total = values.detach().clone()
        with _others_named():
            distributed.all_reduce(total)
        return total

    def joined(self, rows: Tensor) -> Tensor:
        """The rows of all processes, those of process 0 first; the same number of rows from each."""
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        with _others_named():
            distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    def collected(self, rows: Tensor, places: NDArray[np.intp], *, n: int) -> Tensor:
        """A matrix of n rows, of which this process has those at `places`."""
        if self.size == 1:
            return rows
        whole = rows.new_zeros(n, *rows.shape[1:])
        whole[torch.as_tensor(places)] = rows
        return self.total(whole)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give every process those of process 0, in place."""
        if self.size > 1:
            with _others_named():
                for tensor in tensors:
                    distributed.broadcast(tensor, src=0)

    def agreed(self, *, wish: bool) -> bool:
        """What process 0 wishes."""
        if self.size == 1:
            return wish
        voice = torch.tensor([float(wish and self.index == 0)])
        return bool(self.total(voice) > 0)

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            with _others_named():
                distributed.barrier()


@contextmanager
def _others_named() -> Iterator[None]:
    """Say that another process failed, which is the one to look at."""
    try:
        yield
    except RuntimeError as error:  # of gloo and nccl
        raise other_gone(error) from error


def other_gone(reason: object) -> TrainingError:
    """What to say when another process is gone."""
    return TrainingError(
        f"another process of this training is gone ({str(reason)[:200]}); see what that one said, and "
        "start all of them again, from the last kept state if there is one"
    )


ALONE = Ranks()


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Join the processes that torchrun started, if it did; leave them at the end.

    Yields:
        This process among them.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield Ranks.current()
        return
    # Torch imports this at the first step of an optimiser, and its functions' defaults keep the group that is
    # there by then, whose threads would outlive it: now and then one aborts the process at its end.
    import torch.distributed.nn

    with own_cores():  # before there are threads, which would stay where they are
        # Sums of what is on the processor go by gloo, also where there is a GPU.
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        try:
            yield Ranks.current()
        finally:
            distributed.destroy_process_group()
