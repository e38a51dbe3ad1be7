# SPDX-License-Identifier: BSD-3-Clause
"""Options that every command has."""

import os

import pytest

from pydgd import DGD
from pydgd.cli.common import MOST_THREADS
from pydgd.errors import ModelFileError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the libraries of a command would find when they load."""
    found: dict[str, str] = {}

    def load(path: object) -> DGD:
        found.update(os.environ)
        raise ModelFileError("enough seen")

    monkeypatch.setattr(DGD, "load", load)
    return found


def test_threads_limit_every_library(pydgd, cohort, environment) -> None:
    """One option for torch, BLAS and OpenMP."""
    assert pydgd("info", cohort / "normals.dgd", "--threads", 3).code == 2
    assert [environment[name] for name in THREADS] == ["3"] * 3


def test_threads_are_left_alone_by_default(pydgd, cohort, environment) -> None:
    """What the user or the batch system has set stays."""
    pydgd("info", cohort / "normals.dgd")
    assert [environment[name] for name in THREADS] == ["1"] * 3


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(
    pydgd, cohort, environment, monkeypatch, given, expected
) -> None:
    """On busy cores threads that wait actively made training ten times slower."""
    monkeypatch.delenv("OMP_WAIT_POLICY") if given is None else monkeypatch.setenv("OMP_WAIT_POLICY", given)
    pydgd("info", cohort / "normals.dgd")
    assert environment["OMP_WAIT_POLICY"] == expected


def test_no_thread_at_all_is_refused(pydgd, cohort) -> None:
    """The message names the option."""
    done = pydgd("info", cohort / "normals.dgd", "--threads", 0)
    assert done.code == 2
    assert "--threads" in done.err


@pytest.mark.parametrize("n_cores", [2, 1000])
def test_more_threads_than_any_machine_needs_are_refused(
    pydgd, cohort, environment, monkeypatch, n_cores
) -> None:
    """OpenMP would end the process; a script for a larger machine runs."""
    monkeypatch.setattr(os, "cpu_count", lambda: n_cores)
    most = max(MOST_THREADS, 4 * n_cores)
    done = pydgd("info", cohort / "normals.dgd", "--threads", most + 1)
    assert done.code == 2
    assert f"--threads {most + 1:,}: this machine has {n_cores:,} cores; give at most {most:,}" in done.err
    assert not environment
    pydgd("info", cohort / "normals.dgd", "--threads", most)
    assert environment["OMP_NUM_THREADS"] == str(most)
