# SPDX-License-Identifier: BSD-3-Clause
"""The process that tries files first: what it finds, what becomes of it, and where it cannot be had."""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd import probe as module
from pydgd.data import read_counts
from pydgd.data.growing import write_parts
from pydgd.errors import FileFormatError
from pydgd.probe import prepare, probe
from pydgd.probe_process import beginning

needs_limits = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux limits processes")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[module._Probe]:
    """A probe that no other test has used, and that is ended."""
    made = module._Probe()
    monkeypatch.setattr(module, "_PROBE", made)
    yield made
    made.stop()


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "é x.h5ad"
    AnnData(np.ones((3, 4)), pd.DataFrame(index=list("abc")), pd.DataFrame(index=list("wxyz"))).write_h5ad(
        path
    )
    return path


def with_script(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str) -> None:
    """Instead of the script, one that answers its first line and then does something."""
    path = folder / "script.py"
    path.write_text(
        "import sys, os, signal, time\ninput()\nprint('ready', flush=True)\n"
        f"for line in sys.stdin:\n    {body}\n"
    )
    monkeypatch.setattr(module, "_SCRIPT", path)


def test_a_good_file_passes_and_one_process_serves_all(own: module._Probe, counts: Path) -> None:
    """Also under a relative path, and after the folder was changed."""
    probe(counts)
    first = own._process
    assert first is not None
    probe(Path(os.path.relpath(counts)))
    probe(counts.with_name("no-such.h5ad"))
    assert own._process is first


def test_it_can_be_started_ahead(own: module._Probe, counts: Path) -> None:
    """While the rest loads; asked for twice, it is one."""
    prepare()
    prepare()
    begun = own._begun
    probe(counts)
    assert own._process is begun
    assert own._begun is None
    prepare()
    assert own._begun is None


def test_one_that_is_never_asked_ends(own: module._Probe) -> None:
    prepare()
    begun = own._begun
    own.stop()
    assert begun is not None
    assert begun.returncode is not None


def test_a_zarr_folder_passes(own: module._Probe, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    write_parts([AnnData(np.ones((3, 4)), pd.DataFrame(index=list("abc")))], tmp_path / "x.zarr")
    probe(tmp_path / "x.zarr")
    assert own._process is not None


@pytest.mark.parametrize("signal", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_crash_is_the_files_fault(own, counts: Path, tmp_path: Path, monkeypatch, signal: str) -> None:
    """In one sentence, and the next file gets a new process."""
    with_script(monkeypatch, tmp_path, f"os.kill(os.getpid(), signal.{signal})")
    for _ in range(2):
        with pytest.raises(FileFormatError, match=rf"é x.h5ad: its library crashes over it \({signal}\)"):
            probe(counts)
    assert own._process is None


@needs_limits
def test_what_never_ends_is_the_files_fault(own, counts: Path, tmp_path: Path, monkeypatch) -> None:
    """By the processor's time, so that a busy machine refuses nothing."""
    endless = "signal.setitimer(signal.ITIMER_PROF, 0.1)\n    while True: pass"
    with_script(monkeypatch, tmp_path, endless)
    with pytest.raises(FileFormatError, match="reading it does not come to an end"):
        probe(counts)


def with_copies_of_the_column(table: Path, names: list[str]) -> None:
    """Make a table of a zarr folder wide: the first column again under each name."""
    for name in names[1:]:
        shutil.copytree(table / names[0], table / name)
    attributes = json.loads((table / ".zattrs").read_text())
    (table / ".zattrs").write_text(json.dumps({**attributes, "column-order": names}))


@needs_limits
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_a_wide_table_is_not_endless(own, counts: Path, monkeypatch, kind: str) -> None:
    """recount3's table of TCGA has 937 columns: 3,000 arrays, a second of a usual processor."""
    if kind == "zarr":
        pytest.importorskip("zarr")
    path, names = counts.with_name(f"wide.{kind}"), [f"c{i}" for i in range(500)]
    # A folder's columns are written one by one for half a minute: there they are copies of the first.
    obs = dict.fromkeys(names[:1] if kind == "zarr" else names, pd.Categorical(["a", "b", "a"]))
    write_parts([AnnData(np.ones((3, 4)), pd.DataFrame(obs, index=list("abc")))], path)
    if kind == "zarr":
        with_copies_of_the_column(path / "obs", names)
    # As if the machine were seven times slower: opening them takes longer by then, and so does reading them.
    script, usual = module._SCRIPT.read_text(), "SECONDS, BYTES_PER_SECOND = 1.0"
    assert usual in script
    slow = counts.with_name("probe_process.py")
    slow.write_text(script.replace(usual, usual.replace("1.0", "0.15")))
    monkeypatch.setattr(module, "_SCRIPT", slow)
    probe(path)
    assert own._process is not None


def test_places_of_packages_may_be_no_text(own, counts: Path, monkeypatch) -> None:
    """Python skips a `Path` that a user has put there."""
    monkeypatch.setattr(sys, "path", [*sys.path, counts.parent])
    probe(counts)
    assert own._process is not None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no groups of processes")
def test_ctrl_c_does_not_reach_it(own: module._Probe, counts: Path) -> None:
    """A terminal sends it to all of the group, and it would end one that has just been started."""
    prepare()
    assert own._begun is not None
    assert os.getpgid(own._begun.pid) != os.getpgid(0)
    probe(counts)


@needs_limits
def test_the_input_of_this_process_is_read_not_its_own(
    own, counts: Path, tmp_path: Path, monkeypatch
) -> None:
    with_script(monkeypatch, tmp_path, "print(line.strip(), flush=True)")
    with counts.open() as stream, pytest.raises(FileFormatError, match=r"é x\.h5ad"):
        probe(Path(f"/proc/self/fd/{stream.fileno()}"))


def test_a_process_that_an_older_file_has_damaged_gives_no_verdict(
    own: module._Probe, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers once and crashes at the second file: a fresh one is asked."""
    body = "print('null', flush=True); os.kill(os.getpid(), 11) if sys.stdin.readline() else None"
    with_script(monkeypatch, tmp_path, body)
    for _ in range(3):
        probe(counts)


def test_an_end_from_outside_is_no_verdict(
    own: module._Probe, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    """SIGTERM: the file is read without it, and the log says so."""
    with_script(monkeypatch, tmp_path, "os.kill(os.getpid(), 15)")
    probe(counts)
    assert "read without it" in caplog.text


@pytest.mark.parametrize("way", ["frozen", "no Python", "no script", "other program"])
def test_where_none_can_be_started_files_are_read_without(
    own: module._Probe, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog, way: str
) -> None:
    """One warning for all files."""
    if way == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif way == "no Python":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    elif way == "no script":
        monkeypatch.setattr(module, "_SCRIPT", tmp_path / "none.py")
    else:
        monkeypatch.setattr(sys, "executable", "/bin/echo")
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        assert read_counts(counts).shape == (3, 4)
    assert caplog.text.count("no process can be started") == 1


def test_a_forked_child_has_a_process_of_its_own(own: module._Probe, counts: Path) -> None:
    """What the child forgets stays with its parent."""
    probe(counts)
    process = own._process
    assert process is not None
    pid = process.pid
    own._lock.acquire()
    own.forget()
    probe(counts)
    assert own._process is not None
    assert own._process.pid != pid
    assert os.waitpid(pid, 0)[0] == pid


def test_an_interrupted_question_is_not_answered_later(own: module._Probe, counts: Path, monkeypatch) -> None:
    """Its answer would be taken for that of the next file."""
    probe(counts)
    process = own._process
    real = module._exchange

    def interrupted(*arguments: object) -> str:
        real(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        probe(counts)
    monkeypatch.setattr(module, "_exchange", real)
    probe(counts)
    assert own._process is not process


def test_threads_take_turns(own: module._Probe, counts: Path) -> None:
    found: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(10):
                probe(counts)
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == []


ENDS = """
import os, sys
from pathlib import Path
from pydgd import probe
probe.probe(Path(sys.argv[1]))
print(probe._PROBE._process.pid, flush=True)
os._exit(0)
"""


@needs_limits
def test_it_ends_with_its_parent(counts: Path) -> None:
    """However that ends."""
    done = subprocess.run([sys.executable, "-c", ENDS, counts], capture_output=True, text=True, check=True)
    status = Path(f"/proc/{done.stdout.strip()}/status")
    for _ in range(200):
        if not status.exists() or "Z (zombie)" in status.read_text():
            return
        time.sleep(0.05)
    pytest.fail("it still runs")


@needs_limits
def test_links_out_of_the_file_are_not_followed(own: module._Probe, counts: Path, tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for."""
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(counts, "r+") as file:
        file["uns/link"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
        file.create_dataset("uns/raw", (4,), "u1", external=[(str(tmp_path / "pipe"), 0, 4)])
    probe(counts)
    assert own._process is not None


def test_a_large_tile_that_is_well_packed_is_read(own: module._Probe, counts: Path) -> None:
    """One tile of 80 MB of mostly zeros."""
    with h5py.File(counts, "r+") as file:
        del file["X"]
        values = np.zeros((3, 4), dtype="f4")
        values[:, 0] = 1
        file.create_dataset("X", data=values, chunks=(3, 4))
        file.create_dataset("layers/z", (5_000, 4_000), "f4", chunks=(5_000, 4_000), compression="gzip")
        file["layers/z"][0, 0] = 1
    assert read_counts(counts).shape == (3, 4)


@pytest.mark.parametrize(
    ("shape", "n", "expected"),
    [((), 5, ()), ((3,), 5, (3,)), ((9,), 5, (5,)), ((100, 10), 25, (2, 10)),
     ((4, 2**40), 8, (1, 8)), ((0, 3), 5, (0, 3))],
)  # fmt: skip
def test_the_beginning_of_an_array_is_small(
    shape: tuple[int, ...], n: int, expected: tuple[int, ...]
) -> None:
    assert tuple(part.stop for part in beginning(shape, n)) == expected
