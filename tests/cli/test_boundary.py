# SPDX-License-Identifier: BSD-3-Clause
"""Exit codes and what is said with them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydgd import DGD
from pydgd._version import __version__

from .test_commands import WITHOUT_TERMINAL


def test_version_goes_to_stdout(pydgd) -> None:
    """`pydgd --version` names the program and the version."""
    done = pydgd("--version")
    assert (done.code, done.out, done.err) == (0, f"pydgd {__version__}\n", "")


def test_without_arguments_the_help_is_shown(pydgd) -> None:
    """Every command is listed; the exit code says that nothing was done."""
    done = pydgd()
    assert done.code == 2
    for command in ("train", "closest-normal", "de", "info", "simulate", "demo"):
        assert command in done.out + done.err


@pytest.mark.parametrize("command", ["train", "closest-normal", "de", "info", "simulate", "demo"])
def test_every_command_explains_itself(pydgd, command) -> None:
    """--help works and lists the common options."""
    done = pydgd(command, "--help")
    assert done.code == 0
    for option in ("--threads", "--quiet", "--verbose", "--debug"):
        assert option in done.out


def test_a_misspelt_command_is_corrected(pydgd) -> None:
    """The nearest command is proposed."""
    done = pydgd("trian")
    assert done.code == 2
    assert "train" in done.err


def test_a_missing_output_is_asked_for(pydgd, cohort) -> None:
    """-o has no default: no result is written where the user did not say."""
    done = pydgd("train", cohort / "normals.h5ad")
    assert done.code == 2
    assert "--output" in done.err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ZeroDivisionError("division by zero"), 1, ("unexpected ZeroDivisionError", "--debug")),
        (MemoryError("Unable to allocate 9 TiB"), 1, ("not enough memory", "9 TiB")),
        (PermissionError(13, "Permission denied", "m.dgd"), 2, ("Permission denied", "m.dgd")),
        (KeyboardInterrupt(), 130, ("interrupted",)),
    ],
)
def test_what_went_wrong_decides_code_and_words(pydgd, cohort, monkeypatch, error, code, words) -> None:
    """A bug is 1, the world's refusal 2, Ctrl-C 130; none shows a traceback."""

    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr(DGD, "load", fail)
    done = pydgd("info", cohort / "normals.dgd")
    assert done.code == code
    assert "Traceback" not in done.err
    assert [word for word in words if word not in done.err] == []


def test_debug_shows_the_traceback(pydgd, tmp_path) -> None:
    """--debug is the only way to one; code and message stay."""
    done = pydgd("info", tmp_path / "no.dgd", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err
    assert "error: " in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_leaves_nothing(cohort, tmp_path, number, code) -> None:
    """Ctrl-C and a batch system's SIGTERM: the usual codes, the old model stays, no temporary file."""
    (tmp_path / "m.dgd").write_text("an older model")
    arguments = ["train", str(cohort / "normals.h5ad"), "-o", "m.dgd", "--epochs", "1000000"]
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_TERMINAL, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "training: 1 of" not in process.stderr.readline():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, number)
        said = process.stderr.read()
        assert process.wait(timeout=30) == code
    assert "Traceback" not in said
    assert (tmp_path / "m.dgd").read_text() == "an older model"
    assert list(tmp_path.iterdir()) == [tmp_path / "m.dgd"]
