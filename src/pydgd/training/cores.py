# SPDX-License-Identifier: BSD-3-Clause
"""Cores for each of the processes that torchrun starts on a machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch


@contextmanager
def own_cores() -> Iterator[None]:
    """Keep this process to its share of the cores, as MPI's launchers do.

    Else the system may put two processes on one core for a while, and all wait for these. Nothing is done
    where someone has bound the processes before, where cores are fewer than processes, with a GPU (whose
    place decides which cores are near), or where the system has no such calls or forbids them. Threads that
    are made meanwhile keep to the share also afterwards.
    """
    before = None
    with suppress(OSError):
        share = _share()
        if share is not None:
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, share)
    try:
        yield
    finally:
        if before is not None:
            with suppress(OSError):
                os.sched_setaffinity(0, before)


def _share() -> list[int] | None:
    """Cores of this process, or None to leave it as it is."""
    if not hasattr(os, "sched_setaffinity") or torch.cuda.is_available():
        return None
    index, size = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    cores = sorted(os.sched_getaffinity(0))
    # A launcher that binds its processes is not bound itself.
    bound = set(cores) != os.sched_getaffinity(os.getppid())
    if bound or size < 2 or len(cores) < size:
        return None
    return cores[len(cores) * index // size : len(cores) * (index + 1) // size]
