# SPDX-License-Identifier: BSD-3-Clause
"""Memory that processes share: every sum is whole, and no file stays."""

import errno
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pydgd.errors import TrainingError
from pydgd.training import board
from pydgd.training.board import Board
from pydgd.training.ranks import Ranks

SIZE = 3


@dataclass(frozen=True)
class Threads(Ranks):
    """Threads in the place of processes."""

    barrier: threading.Barrier | None = None
    told: tuple[torch.Tensor, ...] = ()

    def wait(self) -> None:
        """Until all have come here."""
        self.barrier.wait(timeout=30)

    def share(self, tensors: list[torch.Tensor]) -> None:
        """Give all those of thread 0."""
        if self.index == 0:
            self.told[0][: len(tensors[0])] = tensors[0]
        self.wait()
        tensors[0].copy_(self.told[0][: len(tensors[0])])

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """A sum of one number; of more, that they came here."""
        if len(values) > 1:
            return values + self.index
        self.told[1][self.index] = values[0]
        self.wait()
        total = self.told[1].sum()[None]
        self.wait()
        return total

    def joined(self, rows: torch.Tensor) -> torch.Tensor:
        """Likewise."""
        return rows - self.index


@pytest.fixture
def everyone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Threads]:
    """Processes of one machine."""
    # A socket's path has about a hundred letters.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(board, "MEMORY", Path())
    monkeypatch.setenv("WORLD_SIZE", str(SIZE))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(SIZE))
    barrier, told = threading.Barrier(SIZE), (torch.zeros(256, dtype=torch.uint8), torch.zeros(SIZE))
    return [Threads(i, SIZE, barrier, told) for i in range(SIZE)]


def each(everyone: list[Threads], task) -> list:
    """What all find, at the same time."""
    with ThreadPoolExecutor(SIZE) as pool:
        return list(pool.map(task, everyone))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_sum_is_that_of_all(everyone: list[Threads], tmp_path: Path, dtype: torch.dtype) -> None:
    """However long one lingers over the last one, and of however many numbers; the same bits for all."""
    numbers = torch.randn(SIZE, 40, 10, dtype=dtype)

    def sums(rank: Threads) -> list[torch.Tensor]:
        shared, pause = Board.opened(160, rank), np.random.default_rng(rank.index)
        found = []
        for i in range(40):
            found.append(shared.total(numbers[rank.index, i, : 10 - i % 3]))
            time.sleep(pause.uniform(0, 2e-3))
        return [*found, shared.total(numbers[rank.index, :2])]

    first, *others = each(everyone, sums)
    for i, total in enumerate(first[:40]):
        torch.testing.assert_close(total, numbers[:, i, : len(total)].sum(0))
    torch.testing.assert_close(first[40], numbers[:, :2].sum(0))
    for i, total in enumerate(first):
        assert all(torch.equal(total, other[i]) for other in others)
    assert not [*tmp_path.iterdir()]


def test_sums_that_do_not_fit_go_the_long_way(everyone: list[Threads]) -> None:
    """As those of processes without a board, and so do rows that are joined."""
    boards = each(everyone, lambda rank: Board.opened(80, rank))
    many = torch.ones(81)
    for i, one in enumerate(boards):
        assert torch.equal(one.total(many), many + i)
        assert torch.equal(one.joined(many), many - i)


def test_process_that_lost_another_says_so(everyone: list[Threads]) -> None:
    """Whether it writes to that one or waits for it."""
    boards = each(everyone, lambda rank: Board.opened(80, rank))
    boards.pop()
    for one in boards:
        with pytest.raises(TrainingError, match="another process of this training is gone"):
            one.total(torch.ones(2))


@pytest.mark.parametrize(("name", "value"), [("LOCAL_WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", None)])
def test_no_board_for_several_machines(
    everyone: list[Threads], monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    """Nor where nobody tells how many there are."""
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    assert each(everyone, lambda rank: Board.opened(80, rank)) == [None] * SIZE


def test_no_board_without_room(
    everyone: list[Threads], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full memory, or none at all: all processes know, and nothing is left."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    assert each(everyone, lambda rank: Board.opened(80, rank)) == [None] * SIZE
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr(board, "MEMORY", Path("missing"))
    assert each(everyone, lambda rank: Board.opened(80, rank)) == [None] * SIZE


def test_no_board_where_memory_is_each_ones_own(
    everyone: list[Threads], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in containers of one machine: the others do not find what the first one has made."""
    monkeypatch.setattr(board, "_told", lambda path, rank: path if rank.index == 0 else "elsewhere")
    assert each(everyone, lambda rank: Board.opened(80, rank)) == [None] * SIZE
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("error", [TrainingError("another process is gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["_told", "_connected", "posix_fallocate"])
def test_nothing_is_left_of_a_start_that_failed(
    monkeypatch: pytest.MonkeyPatch,
    everyone: list[Threads],
    tmp_path: Path,
    error: BaseException,
    place: str,
) -> None:
    """Wherever it did: the memory would be taken until the machine is started anew."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(board, "_told", lambda path, _: path)
    monkeypatch.setattr(board, "_all_see", lambda *_: True)
    monkeypatch.setattr(board.os if place == "posix_fallocate" else board, place, fail)
    with pytest.raises(type(error)):
        Board.opened(80, everyone[0])
    assert not [*tmp_path.iterdir()]


def test_who_does_not_come_is_taken_for_gone(
    monkeypatch: pytest.MonkeyPatch, everyone: list[Threads]
) -> None:
    """After as long as torch's groups wait; in the midst of a training, and at its start."""
    monkeypatch.setattr(board, "LONGEST_WAIT", 0.1)
    boards = each(everyone, lambda rank: Board.opened(80, rank))
    with pytest.raises(TrainingError, match=r"another process of this training is gone \(timed out"):
        boards[0].total(torch.ones(2))
    monkeypatch.setattr(Threads, "wait", lambda _: None)
    with pytest.raises(TrainingError, match="another process of this training is gone"):
        board._connected(Path(), everyone[0])
