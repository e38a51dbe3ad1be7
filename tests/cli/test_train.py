# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd train` through interruptions, from disk, and on several processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from pydgd import DGD, read_counts
from pydgd.cli import fitting
from pydgd.cli.terminal import Terminal
from pydgd.config import training_config
from pydgd.data import open_counts
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.errors import OutputError
from pydgd.training import cohort_in_memory, engine
from pydgd.training.cohort import WORKING_BYTES
from pydgd.training.keeper import Keeper
from pydgd.training.ranks import ALONE, Ranks

from .conftest import SMALL

EVERY_STEP = ["--checkpoint-every", "1e-9"]


def content(model: Path) -> str:
    """Hash of what was trained."""
    return str(DGD.load(model).provenance["sha256"])


def interrupted(monkeypatch: pytest.MonkeyPatch, n_steps: int) -> None:
    """Ctrl-C after so many steps."""
    keep = Keeper.keep

    def stop(self: Keeper, run: engine.Run) -> None:
        keep(self, run)
        if run.n_steps == n_steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(Keeper, "keep", stop)


def test_interrupted_training_is_resumed(
    pydgd: Callable, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how, ends with the bits of a whole run, and leaves nothing behind."""
    command = ["train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL, *EVERY_STEP]
    with monkeypatch.context() as patch:
        interrupted(patch, 3)
        stopped = pydgd(*command)
    assert stopped.code == 130
    assert "go on with --resume" in stopped.err
    refused = pydgd(*command)
    assert refused.code == 2
    assert "m.dgd.checkpoint holds the state of a training that was interrupted" in refused.err
    assert "--resume" in refused.err
    other = pydgd(*command, "--resume", "--seed", "7")
    assert other.code == 2
    assert "another training: options differ" in other.err
    done = pydgd(*command, "--resume")
    assert done.code == 0
    assert content(tmp_path / "m.dgd") == content(cohort / "normals.dgd")
    assert [path.name for path in tmp_path.iterdir()] == ["m.dgd"]


def test_resumed_run_can_keep_no_further_states(
    pydgd: Callable, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never is never, not at every step."""
    command = ["train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL]
    monkeypatch.setattr(Keeper, "keep", lambda *_: pytest.fail("kept"))
    assert pydgd(*command, "--checkpoint-every", "0", "--resume").code == 0


def test_full_disk_at_the_end_loses_nothing(
    pydgd: Callable, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to go on."""
    command = ["train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL, *EVERY_STEP]

    def full(*_: object) -> None:
        raise OutputError("cannot write m.dgd: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(DGD, "save", full)
        stopped = pydgd(*command)
    assert stopped.code == 2
    assert "go on with --resume" in stopped.err
    assert pydgd(*command, "--resume").code == 0
    assert content(tmp_path / "m.dgd") == content(cohort / "normals.dgd")


def test_processes_of_a_machine_share_its_memory(
    pydgd: Callable, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would hold the counts, and all do as the first finds."""
    monkeypatch.setattr(fitting, "available_memory", lambda: 200_000)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(Ranks, "agreed", lambda _self, *, wish: wish)
    with open_counts(cohort / "normals.h5ad") as rows:
        for size, streams in ((1, False), (4, True)):
            run = fitting.Fitting(Terminal.open(quiet=True), tmp_path / "m.dgd", None, Ranks(0, size))
            assert run._streams(rows, tmp_path, asked=None) is streams


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_what_is_read_into_memory_is_not_refused_there(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    """Counts that take more as they are read leave less for training."""
    given = read_counts(cohort / "normals.h5ad")
    write_h5ad(AnnData(given.X.astype(dtype), given.obs, given.var), tmp_path / "n.h5ad")
    held = given.n_obs * given.n_vars * np.dtype(dtype).itemsize
    run = fitting.Fitting(Terminal.open(quiet=True), tmp_path / "m.dgd", None, ALONE)
    with open_counts(tmp_path / "n.h5ad") as rows:
        least = WORKING_BYTES * given.n_obs * given.n_vars + held
        for free, streams in ((least, True), (1.06 * least, False)):
            monkeypatch.setattr(fitting, "available_memory", lambda free=free: free)
            assert run._streams(rows, tmp_path, asked=None) is streams
        monkeypatch.setattr("pydgd.data.memory.available_memory", lambda: 1.06 * least - held)
        monkeypatch.setattr("pydgd.data.memory._swap", lambda: 0)
        assert cohort_in_memory(rows.read(0, rows.n_obs), training_config()).sample_names


def test_resume_without_a_state_begins(pydgd: Callable, cohort: Path, tmp_path: Path) -> None:
    """So that one command serves a batch system that starts it again and again."""
    assert pydgd("train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL, "--resume").code == 0
    assert content(tmp_path / "m.dgd") == content(cohort / "normals.dgd")


def test_training_from_disk(pydgd: Callable, cohort: Path, tmp_path: Path) -> None:
    """Asked for by name."""
    done = pydgd("train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL, "--stream")
    assert done.code == 0
    assert DGD.load(tmp_path / "m.dgd").genes == DGD.load(cohort / "normals.dgd").genes


def test_counts_too_large_for_memory_are_read_part_by_part(
    pydgd: Callable, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it says so, unless it was told to hold them."""
    monkeypatch.setattr(fitting, "available_memory", lambda: 1_000)
    command = ["train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL]
    assert "part by part: in memory it would take" in pydgd(*command).err
    assert "part by part" not in pydgd(*command, "--in-memory").err


@pytest.mark.slow
def test_two_processes_write_one_model(cohort: Path, tmp_path: Path) -> None:
    """Only one of them speaks."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, "-m", "pydgd", "train", str(cohort / "normals.h5ad"), "-o", "m.dgd", *SMALL]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained on") == 1
    whole, shared = (
        DGD.load(path).history.train_nll for path in (cohort / "normals.dgd", tmp_path / "m.dgd")
    )
    assert shared.to_list() == pytest.approx(whole.to_list(), rel=1e-5)


def test_the_device_is_chosen(pydgd: Callable, cohort: Path, tmp_path: Path) -> None:
    """What is not there is refused before counts are read; what was chosen is said and kept."""
    command = ["train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL]
    refused = pydgd("train", tmp_path / "none.h5ad", "-o", tmp_path / "m.dgd", "--precision", "16")
    assert refused.code == 2
    assert "precision must be one of 32, tf32, bf16, got '16'" in refused.err
    done = pydgd(*command, "--device", "cpu", "--precision", "bf16")
    assert "trained on cpu in precision bf16 on" in done.err
    assert DGD.load(tmp_path / "m.dgd").provenance["trained_with"]["precision"] == "bf16"
