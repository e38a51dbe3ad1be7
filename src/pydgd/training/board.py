# SPDX-License-Identifier: BSD-3-Clause
"""Memory that all processes of one machine see: sums by it need no copies through the network's layers."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pydgd.training.ranks import Ranks

MEMORY = Path("/dev/shm")  # noqa: S108  of Linux: files that are never on a disk
_LONGEST_PATH = 256


class Board:
    """Each process writes its numbers, and reads those of all.

    There are two pages, used in turn. Whoever comes back to a page has met the others over the other one, so
    all have read it; one meeting per sum is enough.

    Args:
        pages: What all see, (2, processes, numbers).
        ranks: The processes.
    """

    def __init__(self, pages: Tensor, ranks: Ranks) -> None:
        self._pages, self._ranks, self._turn = pages, ranks, 0
        self._sum = pages.new_empty(pages.shape[2])

    @classmethod
    def opened(cls, n_numbers: int, dtype: torch.dtype, ranks: Ranks) -> "Board | None":
        """One for sums of up to so many numbers, or None where processes cannot have it.

        That is if they are on several machines or on an unknown number, if the machine has no such memory, or
        too little left of it.

        Args:
            n_numbers: Of one process.
            dtype: Theirs.
            ranks: All processes, which call this together.
        """
        if not _on_one_machine():
            return None
        n_all = 2 * ranks.size * n_numbers
        path = _told(_reserved(n_all * dtype.itemsize) if ranks.index == 0 else "", ranks)
        if not path:
            return None
        pages = torch.from_file(path, shared=True, size=n_all, dtype=dtype)
        # The file has no name any more once all have it, so none is left behind however they end.
        ranks.wait()
        if ranks.index == 0:
            Path(path).unlink()
        return cls(pages.view(2, ranks.size, n_numbers), ranks)

    def total(self, parts: Sequence[Tensor]) -> Tensor:
        """The sum over all processes of these tensors laid end to end, in memory that the next call takes."""
        n = sum(part.numel() for part in parts)
        page = self._pages[self._turn, :, :n]
        self._turn = 1 - self._turn
        torch.cat([part.reshape(-1) for part in parts], out=page[self._ranks.index])
        self._ranks.wait()
        return torch.sum(page, dim=0, out=self._sum[:n])


def _on_one_machine() -> bool:
    """By what torchrun tells."""
    local, everywhere = (os.environ.get(name) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return local is not None and local == everywhere


def _reserved(n_bytes: int) -> str:
    """Path of a file in memory with room for so many bytes; "" if there is none.

    Room that is only promised would end a process that writes there.
    """
    try:
        handle, path = tempfile.mkstemp(prefix="pydgd-", dir=MEMORY)
    except OSError:
        return ""
    try:
        os.posix_fallocate(handle, 0, n_bytes)
    except OSError:
        Path(path).unlink()
        return ""
    finally:
        os.close(handle)
    return path


def _told(path: str, ranks: Ranks) -> str:
    """The path that process 0 gives."""
    letters = torch.tensor([*path.encode().ljust(_LONGEST_PATH, b"\0")], dtype=torch.uint8)
    ranks.share([letters])
    return bytes(letters.tolist()).rstrip(b"\0").decode()
