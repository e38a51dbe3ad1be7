# SPDX-License-Identifier: BSD-3-Clause
"""Cores for each of the processes that torchrun starts on a machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_cores() -> Iterator[None]:
    """Keep this process to its share of the cores, as MPI's launchers do.

    Else a thread that brings another process's sums may wait, while it could run elsewhere, until a step is
    over. Nothing is done where someone has bound the processes before, where cores are fewer than processes,
    with a GPU (whose place decides which cores are near), or on systems without such calls.
    """
    shares = _shares()
    if shares is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, shares)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _shares() -> list[int] | None:
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
