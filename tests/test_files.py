# SPDX-License-Identifier: BSD-3-Clause
"""Results appear whole or not at all."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pydgd.errors import OutputError
from pydgd.files import atomic_folder, atomic_write, check_folder, check_inside, check_writable


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(target: Path, error: BaseException) -> None:
    """Begin to write and fail."""
    with atomic_write(target) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "no_suffix", "x" * 250 + ".h5ad"])
def test_a_file_appears_under_its_name_once_the_block_ends(tmp_path, name):
    """Inside the block only the temporary file exists, in the same folder and with the same suffix."""
    with atomic_write(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == (Path(name).suffix or ".tmp")
        temporary.write_bytes(b"whole")
        assert entries(tmp_path) == [temporary.name]
    assert entries(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


@pytest.mark.parametrize(
    "error", [ValueError("bad"), KeyboardInterrupt(), OSError(errno.ENOENT, "other file")]
)
def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    """Errors that have nothing to do with writing pass through unchanged."""
    target = tmp_path / "model.dgd"
    target.write_text("old")
    with pytest.raises(type(error)) as caught:
        write_half(target, error)
    assert caught.value is error
    assert entries(tmp_path) == ["model.dgd"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("error", "reason", "repair"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full", "free some space"),
        (
            OSError("Can't write data (errno = 28, error message = 'No space left')"),
            "the disk is full",
            "free",
        ),
        (RuntimeError("unable to extend file, errno = 28"), "the disk is full", "free some space"),
        (
            OSError("Error writing bytes to file. Detail: [errno 122] quota"),
            "the disk quota",
            "free some space",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied", "may write to"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only", "may write to"),
    ],
)
def test_a_failing_disk_becomes_one_error_with_path_reason_and_repair(tmp_path, error, reason, repair):
    """h5py and pyarrow hide the error number in their text; it is found there too."""
    target = tmp_path / "result.h5ad"
    with pytest.raises(OutputError) as caught, atomic_write(target):
        raise error
    message = str(caught.value)
    assert str(target) in message
    assert reason in message
    assert repair in message
    assert caught.value.__cause__ is error
    assert entries(tmp_path) == []


@pytest.mark.parametrize("writer", ["plain", "h5ad", "parquet"])
def test_a_full_disk_leaves_the_old_file(tmp_path, writer):
    """With a real size limit (RLIMIT_FSIZE) every writer we use fails, and the old file stays."""
    script = """
    import resource, sys
    from pathlib import Path
    import anndata, h5py, numpy as np, pyarrow as pa
    from pyarrow import parquet
    from pydgd.errors import OutputError
    from pydgd.files import atomic_write

    random = np.random.default_rng(0).random((400, 400))
    write = {
        "plain": lambda path: path.write_bytes(random.tobytes()),
        "h5ad": lambda path: anndata.AnnData(random).write_h5ad(path),
        "parquet": lambda path: parquet.write_table(pa.table({"x": random.ravel()}), path),
    }[sys.argv[2]]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        with atomic_write(sys.argv[1]) as temporary:
            write(temporary)
    except OutputError as error:
        print(error)
    """
    target = tmp_path / "result"
    target.write_text("old")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), str(target), writer],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"cannot write {target}: the file grew beyond the size limit")
    assert entries(tmp_path) == ["result"]
    assert target.read_text() == "old"


def unwritable(tmp_path: Path, case: str) -> Path:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return {
        "missing": tmp_path / "missing" / "x.csv",
        "under a file": tmp_path / "file" / "x.csv",
        "folder": tmp_path / "folder",
        "pipe": tmp_path / "pipe",
        "long name": tmp_path / ("x" * 300),
    }[case]


@pytest.mark.parametrize("action", [check_writable, lambda path: atomic_write(path).__enter__()])
@pytest.mark.parametrize(
    ("case", "reason", "repair"),
    [
        ("missing", "does not exist", "create it"),
        ("under a file", "does not exist or is not a folder", "correct the path"),
        ("folder", "it is a folder", "give a file name"),
        ("pipe", "not an ordinary file", "another file name"),
        ("long name", "name is too long", "shorter name"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused_before_the_block_runs(
    tmp_path, action, case, reason, repair
):
    """The early check and the writing itself give the same error."""
    path = unwritable(tmp_path, case)
    before = entries(tmp_path)
    with pytest.raises(OutputError, match=reason) as caught:
        action(path)
    assert f"cannot write {path}" in str(caught.value)
    assert repair in str(caught.value)
    assert entries(tmp_path) == before


def test_missing_permission_is_found_early(tmp_path, monkeypatch):
    """The check tries to create a file rather than trust the mode bits, which root may ignore."""

    def touch(self, mode=0o666, exist_ok=True):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", touch)
    with pytest.raises(OutputError, match="permission denied; choose a folder that you may write to"):
        check_writable(tmp_path / "model.dgd")


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    """Moving a file over it would succeed, against its owner's will."""
    target = tmp_path / "model.dgd"
    target.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="write-protected"):
        check_writable(target)
    assert target.read_text() == "old"


def test_check_leaves_no_trace_and_keeps_the_old_file(tmp_path):
    """Neither a new file nor a changed one."""
    target = tmp_path / "model.dgd"
    check_writable(target)
    assert entries(tmp_path) == []
    target.write_text("old")
    check_writable(target)
    assert target.read_text() == "old"


def test_a_symbolic_link_keeps_pointing_and_its_target_changes(tmp_path):
    """The link itself is not replaced by a file."""
    (tmp_path / "data").mkdir()
    target, link = tmp_path / "data" / "real.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_permissions_are_the_old_files_or_the_users_default(tmp_path):
    """A private result stays private; a new one is what the umask allows, not mkstemp's 0600."""
    private, fresh, plain = (tmp_path / name for name in ("private", "fresh", "plain"))
    private.write_text("")
    private.chmod(0o600)
    plain.write_text("")
    for path in (private, fresh):
        with atomic_write(path) as temporary:
            temporary.write_text("new")
    assert private.stat().st_mode & 0o777 == 0o600
    assert fresh.stat().st_mode == plain.stat().st_mode


def make_folder(target: Path, content: str, error: BaseException | None = None) -> None:
    """Write a folder with a mark and a file, or fail half-way."""
    with atomic_folder(target, marks=["mark"]) as temporary:
        (temporary / "mark").touch()
        (temporary / "deep").mkdir()
        if error is not None:
            raise error
        (temporary / "deep" / "file").write_text(content)


def test_a_folder_appears_whole_and_replaces_its_like(tmp_path):
    """Nothing of the older one is left."""
    for content in ("old", "new"):
        make_folder(tmp_path / "x.zarr", content)
        assert entries(tmp_path) == ["x.zarr"]
        assert (tmp_path / "x.zarr" / "deep" / "file").read_text() == content


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), OSError(errno.ENOENT, "other")])
def test_an_error_leaves_the_older_folder(tmp_path, error):
    """And no temporary one."""
    make_folder(tmp_path / "x.zarr", "old")
    with pytest.raises(type(error)):
        make_folder(tmp_path / "x.zarr", "new", error)
    assert entries(tmp_path) == ["x.zarr"]
    assert (tmp_path / "x.zarr" / "deep" / "file").read_text() == "old"


def test_a_full_disk_is_named_for_folders_too(tmp_path):
    """As for files."""
    with pytest.raises(OutputError, match="the disk is full; free some space"):
        make_folder(tmp_path / "x.zarr", "new", OSError(errno.ENOSPC, "No space left on device"))
    assert entries(tmp_path) == []


def test_an_old_file_is_replaced_by_a_folder(tmp_path):
    """Of the same name."""
    (tmp_path / "x.zarr").write_text("old")
    make_folder(tmp_path / "x.zarr", "new")
    assert (tmp_path / "x.zarr" / "mark").exists()


def test_folders_of_others_are_safe(tmp_path):
    """Refused before and at writing."""
    (tmp_path / "x.zarr").mkdir()
    for refuse in (lambda path: check_folder(path, marks=["mark"]), lambda path: make_folder(path, "new")):
        with pytest.raises(OutputError, match="not a result of this kind; remove it or choose another name"):
            refuse(tmp_path / "x.zarr")
        with pytest.raises(OutputError, match="does not exist"):
            refuse(tmp_path / "none" / "x.zarr")
    assert entries(tmp_path) == ["x.zarr"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    """Not a file that nobody asked for."""

    def refuse(path, mode=0o666, exist_ok=True):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OutputError, match=rf"cannot write {tmp_path}: permission denied"):
        check_inside(tmp_path)
