# SPDX-License-Identifier: BSD-3-Clause
"""Memory that all processes of one machine see: sums by it need no network and no more threads."""

import logging
import math
import os
import shutil
import socket
import tempfile
import weakref
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from pydgd.training.ranks import Ranks, other_gone

MEMORY = Path("/dev/shm")  # noqa: S108  of Linux: files that are never on a disk
LONGEST_WAIT = 30 * 60.0
"""Seconds after which a process that does not come is taken for gone, as in torch's groups."""
_LONGEST_PATH = 256
# Parts of pages begin at multiples of so many bytes, so that numbers of any type may begin there.
_ALIGNED = 64

_log = logging.getLogger(__name__)


class Board:
    """Each process writes its numbers, tells the others, and reads those of all.

    There are two pages, used in turn. Whoever comes back to a page has heard from the others since, so all
    have read it; one word of each to each is enough for a sum.

    Args:
        pages: Bytes that all see, (2, processes, bytes).
        others: Connections to the other processes.
        ranks: All of them.
    """

    def __init__(self, pages: Tensor, others: list[socket.socket], ranks: Ranks) -> None:
        self._pages, self._others, self._ranks, self._turn = pages, others, ranks, 0
        weakref.finalize(self, _close, others)

    @classmethod
    def opened(cls, n_bytes: int, ranks: Ranks) -> "Board | None":
        """One for sums of up to so many bytes, or None where processes cannot have it.

        That is if they are on several machines or on an unknown number, if the machine has no such memory, or
        too little left of it.

        Args:
            n_bytes: Of one process.
            ranks: All processes, which call this together.
        """
        if not _on_one_machine():
            return None
        n_bytes = math.ceil(n_bytes / _ALIGNED) * _ALIGNED
        n_all = 2 * ranks.size * n_bytes
        made = _reserved(n_all) if ranks.index == 0 else ""
        try:
            folder = _told(made, ranks)
            if not _all_see(folder, ranks):
                _log.info("gradients go through the network: processes have no memory that all of them see")
                return None
            pages = torch.from_file(f"{folder}/pages", shared=True, size=n_all, dtype=torch.uint8)
            others = _connected(Path(folder), ranks)
            ranks.wait()
        finally:
            # Open files need no names, and without one nothing is left behind however the processes end.
            if made:
                shutil.rmtree(made, ignore_errors=True)
        return cls(pages.view(2, ranks.size, n_bytes), others, ranks)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same bits for each."""
        n_bytes = values.numel() * values.dtype.itemsize
        if n_bytes > self._pages.shape[2]:
            return self._ranks.total(values)
        page = self._pages[self._turn, :, :n_bytes].view(values.dtype)
        self._turn = 1 - self._turn
        page[self._ranks.index].copy_(values.detach().reshape(-1))
        self._meet()
        total = page[0] + page[1]
        for part in page[2:]:
            total += part
        return total.view_as(values)

    def joined(self, rows: Tensor) -> Tensor:
        """The rows of all processes, those of process 0 first; the same number of rows from each."""
        return self._ranks.joined(rows)

    def _meet(self) -> None:
        """Until all have come here. What was written before is read after."""
        try:
            for other in self._others:
                other.sendall(b".")
            for other in self._others:
                if not other.recv(1):
                    raise ConnectionResetError("Connection closed by peer")
        except OSError as error:
            raise other_gone(error) from error


def _on_one_machine() -> bool:
    """By what torchrun tells."""
    local, everywhere = (os.environ.get(name) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return local is not None and local == everywhere


def _reserved(n_bytes: int) -> str:
    """A folder in memory with a file of so many bytes; "" if there is no room.

    It is taken at once: a process that writes where a file has none yet, and the memory is full, is killed.
    """
    try:
        folder = tempfile.mkdtemp(prefix="pydgd-", dir=MEMORY)
    except OSError:
        return ""
    try:
        with Path(folder, "pages").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
    except BaseException as error:
        shutil.rmtree(folder)
        if isinstance(error, OSError):
            return ""
        raise
    return folder


def _told(path: str, ranks: Ranks) -> str:
    """The path that process 0 gives."""
    letters = torch.tensor([*path.encode().ljust(_LONGEST_PATH, b"\0")], dtype=torch.uint8)
    ranks.share([letters])
    return bytes(letters.tolist()).rstrip(b"\0").decode()


def _all_see(folder: str, ranks: Ranks) -> bool:
    """Whether there is a folder; containers of one machine may each have another memory."""
    blind = not folder or not Path(folder, "pages").exists()
    return not bool(ranks.total(torch.tensor([float(blind)])))


def _connected(folder: Path, ranks: Ranks) -> list[socket.socket]:
    """A connection to each other process: to those before it, and from those after it."""
    with ExitStack() as opened:
        door = opened.enter_context(_socket())
        door.bind(str(folder / str(ranks.index)))
        door.listen(ranks.size)
        ranks.wait()
        others = [opened.enter_context(_socket()) for _ in range(ranks.index)]
        try:
            for number, other in enumerate(others):
                other.connect(str(folder / str(number)))
            others += [opened.enter_context(door.accept()[0]) for _ in range(ranks.index + 1, ranks.size)]
        except OSError as error:
            raise other_gone(error) from error
        for other in others:
            other.settimeout(LONGEST_WAIT)  # one that is accepted does not have the door's
        opened.pop_all()
    door.close()
    return others


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(LONGEST_WAIT)
    return made


def _close(others: Iterable[socket.socket]) -> None:
    for other in others:
        other.close()
