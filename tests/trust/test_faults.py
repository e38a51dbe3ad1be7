# SPDX-License-Identifier: BSD-3-Clause
"""Full disks, failing renames, killed or racing processes, clocks that go back: nothing half-written."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from tests.checkpoints.conftest import make_record

from pydgd.checkpoints import load_model, save_model
from pydgd.cli.tables import write_table
from pydgd.data.growing import write_parts
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.errors import CheckpointError, OutputError, PyDGDError
from pydgd.files import atomic_folder, atomic_write

from .targets import checkpoint_in


def counts() -> AnnData:
    """Too much for the small limits below."""
    rng = np.random.default_rng(0)
    names = [f"g{i}" for i in range(400)]
    return AnnData(
        rng.random((60, 400)), pd.DataFrame(index=[f"S{i}" for i in range(60)]), pd.DataFrame(index=names)
    )


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {"gene": [f"g{i}" for i in range(30_000)], "pvalue": np.random.default_rng(0).random(30_000)}
    )


WRITERS: dict[str, Callable[[Path], object]] = {
    "x.dgd": lambda path: save_model(make_record(widths=(64, 64)), path),
    "x.h5ad": lambda path: write_h5ad(counts(), path),
    "parts.h5ad": lambda path: write_parts([counts()], path),
    "x.zarr": lambda path: write_parts([counts()], path),
    "x.csv": lambda path: write_table(table(), path),
    "x.csv.gz": lambda path: write_table(table(), path),
    "x.parquet": lambda path: write_table(table(), path),
}


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", WRITERS)
def test_a_rename_that_fails_leaves_the_older_result(tmp_path: Path, monkeypatch, name: str) -> None:
    """As on a network file system that loses its server: the error for it, and no temporary file."""
    WRITERS[name](tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    for method in ("replace", "rename"):
        monkeypatch.setattr(Path, method, fail)
        monkeypatch.setattr(os, method, fail)
    with pytest.raises(OutputError, match="the disk reports an error"):
        WRITERS[name](tmp_path / name)
    assert entries(tmp_path) == [name]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_stale_handle_is_told_in_words(tmp_path: Path) -> None:
    """ESTALE: what a network file system says when a file has gone under one's hands."""
    with pytest.raises(OutputError, match="network"), atomic_write(tmp_path / "x.csv"):
        raise OSError(errno.ESTALE, "Stale file handle")
    assert entries(tmp_path) == []


LIMITED = """
import resource, sys
from pathlib import Path
from pydgd.errors import OutputError
sys.path.insert(0, sys.argv[1])
from tests.trust.test_faults import WRITERS
for name in sys.argv[3:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
    try:
        WRITERS[name](Path(sys.argv[2]) / name)
    except OutputError as error:
        print(name)
"""


def test_a_full_disk_is_told_by_every_writer(tmp_path: Path) -> None:
    """4 kB a file, as if the disk were full: one error of the kind for it, and nothing is left."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIMITED, root, tmp_path, *WRITERS],
        capture_output=True, text=True, check=False, cwd=root,
    )  # fmt: skip
    assert done.stdout.split() == list(WRITERS), done.stderr[-2000:]
    assert entries(tmp_path) == []


FULL_DISK_COMMANDS = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.trust.command_lines import exit_code, prepared
files, out = prepared(Path(sys.argv[2]) / "files"), Path(sys.argv[3])
def line(name):
    model, counts, table = (str(files / name) for name in ("normals.dgd", "cases.h5ad", "de.csv"))
    if name == "x.html":
        return ["report", model, counts, "-o", str(out / name)]
    return ["plot", "volcano", table, "--sample", "C00001", "-o", str(out / name)]
for name in sys.argv[4:]:
    # The fonts of pictures are listed in a file of their own.
    code, said = exit_code(line(name))
    assert code == 0, said
    content = (out / name).read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
    code, said = exit_code(line(name))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (out / name).read_bytes() == content
    print(name, code, "cannot write" in said and "Traceback" not in said)
"""


def test_a_full_disk_is_told_by_report_and_plot(tmp_path: Path) -> None:
    """Exit code 2, the older page or picture as it was, and no temporary file."""
    root, out = Path(__file__).resolve().parents[2], tmp_path / "out"
    out.mkdir()
    names = ["x.html", "x.png", "x.svg", "x.pdf"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FULL_DISK_COMMANDS, root, tmp_path, out, *names],
        capture_output=True, text=True, check=False, cwd=root,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{name} 2 True" for name in names], done.stderr[-2000:]
    assert entries(out) == sorted(names)


WRITE_FOREVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.trust.test_faults import WRITERS
print("ready", flush=True)
while True:
    WRITERS[sys.argv[3]](Path(sys.argv[2]) / sys.argv[3])
"""


def writing(folder: Path, name: str) -> subprocess.Popen[str]:
    """A process that writes one result again and again."""
    root = Path(__file__).resolve().parents[2]
    made = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(WRITE_FOREVER), root, folder, name],
        stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert made.stdout is not None
    assert made.stdout.readline() == "ready\n"
    made.stdout.close()
    return made


def reads(path: Path) -> None:
    """Read what is there; anything but a whole result is an error."""
    if path.suffix == ".dgd":
        load_model(path)
    else:
        assert len(pd.read_parquet(path)) == len(table())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.dgd", "x.parquet"])
def test_a_process_killed_at_any_moment_leaves_a_whole_result(tmp_path: Path, name: str) -> None:
    """SIGKILL, which nobody can catch; six moments."""
    WRITERS[name](tmp_path / name)
    rng = random.Random(0)
    for _ in range(6):
        process = writing(tmp_path, name)
        time.sleep(rng.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        reads(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.dgd", "x.parquet"])
def test_two_processes_on_one_output_leave_one_whole_result(tmp_path: Path, name: str) -> None:
    """The last one wins; a reader sees whole results all the time."""
    WRITERS[name](tmp_path / name)
    processes = [writing(tmp_path, name) for _ in range(2)]
    try:
        for _ in range(30):
            reads(tmp_path / name)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_folder_that_appears_while_writing_is_not_lost(tmp_path: Path) -> None:
    """Two runs make one zarr: the later one takes the place of the earlier, whole."""
    with atomic_folder(tmp_path / "x.zarr", marks=(".zgroup",)) as temporary:
        (temporary / ".zgroup").write_text("ours")
        (tmp_path / "x.zarr").mkdir()
        (tmp_path / "x.zarr" / ".zgroup").write_text("theirs")
    assert (tmp_path / "x.zarr" / ".zgroup").read_text() == "ours"
    assert entries(tmp_path) == ["x.zarr"]


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9, 0.999])
def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path, cut: float) -> None:
    """With the folder to delete."""
    state, restore = checkpoint_in(tmp_path)
    for path in state.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[: int(cut * len(content))])
        with pytest.raises(CheckpointError, match="delete"):
            restore()
        path.write_bytes(content)
    restore()


def test_a_clock_that_goes_back_changes_no_answer(monkeypatch, tmp_path: Path) -> None:
    """The time of day is written down, never computed with: an hour back between two calls."""
    path = tmp_path / "x.dgd"
    saved = save_model(make_record(), path)
    now = time.time()
    ticks = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(ticks))
    os.utime(path, (1, 1))
    assert load_model(path).content_hash == saved.content_hash
    assert save_model(make_record(), path).content_hash == saved.content_hash


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_place_is_told(tmp_path: Path, monkeypatch, code: int) -> None:
    """Tests may run as root, whom no folder refuses: the system's answer is played."""

    def refuse(self: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        raise OSError(code, "no", str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    for name, write in WRITERS.items():
        if name != "x.zarr":
            with pytest.raises(PyDGDError, match="choose"):
                write(tmp_path / name)
    assert entries(tmp_path) == []
