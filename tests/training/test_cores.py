# SPDX-License-Identifier: BSD-3-Clause
"""Cores of processes that torchrun starts: shares that differ, and nobody's own choice overruled."""

import os

import pytest

from pydgd.training.cores import own_cores

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no processes")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[int]]:
    """Cores of this process (0) and of the one that started it."""
    cores = {0: set(range(8)), os.getppid(): set(range(8))}
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: cores[process])
    monkeypatch.setattr("os.sched_setaffinity", lambda process, chosen: cores.update({process: set(chosen)}))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "0")
    return cores


def bound(machine: dict[int, set[int]]) -> set[int]:
    """Cores inside; outside they are those before."""
    before = machine[0]
    with own_cores():
        inside = machine[0]
    assert machine[0] == before
    return inside


def test_processes_share_all_cores(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each core is one process's."""
    shares = []
    for i in range(3):
        monkeypatch.setenv("LOCAL_RANK", str(i))
        shares.append(bound(machine))
    assert sorted(core for share in shares for core in share) == list(range(8))
    assert {len(share) for share in shares} == {2, 3}


def test_one_process_has_all(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody started it with others."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert bound(machine) == set(range(8))
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert bound(machine) == set(range(8))


def test_a_choice_of_others_stands(machine) -> None:
    """Who was bound already, by a launcher that is not, stays so."""
    machine[0] = {0, 1, 2, 3}
    assert bound(machine) == {0, 1, 2, 3}


def test_more_processes_than_cores_share_them(machine) -> None:
    """As the system sees fit."""
    machine[0] = machine[os.getppid()] = {4, 5}
    assert bound(machine) == {4, 5}


@pytest.mark.parametrize("call", ["sched_getaffinity", "sched_setaffinity"])
def test_a_system_that_forbids_it_is_let_be(machine, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """It would have been for speed only; an error inside comes out as it is."""

    def forbidden(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(f"os.{call}", forbidden)
    with pytest.raises(ZeroDivisionError), own_cores():
        raise ZeroDivisionError
    assert machine[0] == set(range(8))


def test_beside_a_gpu_nothing_is_bound(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cores near it are not these."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert bound(machine) == set(range(8))
