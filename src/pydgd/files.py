# SPDX-License-Identifier: BSD-3-Clause
"""Files that appear whole or not at all: written beside their place, then moved into it."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from pydgd.errors import OutputError

_REPAIRS = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another disk"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another disk"),
    errno.EFBIG: (
        "the file grew beyond the size limit",
        "raise the limit (ulimit -f) or choose another disk",
    ),
    errno.EACCES: ("permission denied", "choose a folder that you may write to"),
    errno.EPERM: ("permission denied", "choose a folder that you may write to"),
    errno.EROFS: ("the file system is read-only", "choose a folder that you may write to"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.EIO: ("the disk reports an error", "choose another disk"),
    errno.ESTALE: ("the network file system lost the file", "write again, or to a local disk"),
}


@contextmanager
def atomic_write(path: str | PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; move it to `path` once the block has ended well.

    Whatever interrupts the block, an error or Ctrl-C, the temporary file is removed and an older file at
    `path` stays as it was. The temporary name ends like `path`, for writers that go by the suffix.

    Args:
        path: Where the file shall be. A symbolic link is followed: its target is replaced.

    Yields:
        The path to write to.

    Raises:
        OutputError: If the folder is missing, `path` is a folder or no ordinary file, there is no
            permission, or the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder) / "table.csv") as temporary:
        ...         _ = temporary.write_text("gene,padj")
        ...     (Path(folder) / "table.csv").read_text()
        'gene,padj'
    """
    target = _checked_target(path)
    temporary = _reserve(target)
    try:
        try:
            yield temporary
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            _publish(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    # h5py reports a full disk as RuntimeError when it closes the file.
    except (OSError, RuntimeError) as error:
        code = _write_errno(error)
        if isinstance(error, OutputError) or code not in _REPAIRS:
            raise
        raise _output_error(target, code) from error


def check_writable(path: str | PathLike[str]) -> None:
    """Fail now rather than after hours of work: create and remove an empty file where `path` shall be.

    Args:
        path: Where a file is to be written later.

    Raises:
        OutputError: As `atomic_write` does, as far as it can be known before writing.

    Example:
        >>> check_writable("no-such-folder/model.dgd")
        Traceback (most recent call last):
        pydgd.errors.OutputError: cannot write no-such-folder/model.dgd: the folder no-such-folder does not
        exist...
    """
    _reserve(_checked_target(path)).unlink()


@contextmanager
def atomic_folder(path: str | PathLike[str], *, marks: Collection[str]) -> Iterator[Path]:
    """Like `atomic_write`, for a result that is a folder.

    Args:
        path: Where the folder shall be.
        marks: Names of files; a folder that is there already is replaced if it holds one of them.

    Yields:
        A new, empty folder to write into.

    Raises:
        OutputError: As `atomic_write` does, or if at `path` is something else than such a folder.
    """
    target = _checked_folder(path, marks)
    temporary = target.with_name(_hidden_name(target))
    try:
        temporary.mkdir()
        try:
            yield temporary
            _swap(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        code = _write_errno(error)
        if isinstance(error, OutputError) or code not in _REPAIRS:
            raise
        raise _output_error(target, code) from error


def check_folder(path: str | PathLike[str], *, marks: Collection[str]) -> None:
    """Fail now rather than after hours of work: what `atomic_folder` would refuse.

    Args:
        path: Where a folder is to be written later.
        marks: As in `atomic_folder`.

    Raises:
        OutputError: As `atomic_folder` does, as far as it can be known before writing.
    """
    _reserve(_checked_folder(path, marks)).unlink()


def check_inside(folder: str | PathLike[str]) -> None:
    """Fail now if no file can be written into a folder.

    Args:
        folder: It exists.

    Raises:
        OutputError: If it cannot be written to.
    """
    place = Path(folder)
    _touch(place / _hidden_name(place), place).unlink()


def make_folder(directory: str | PathLike[str]) -> Path:
    """The folder to write into, made if it is missing.

    Args:
        directory: Its path.

    Returns:
        The same as a path.

    Raises:
        OutputError: If it is a file, cannot be made, or cannot be written to.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "there is a file of that name" if folder.exists() else error.strerror
        raise OutputError(f"cannot make the folder {folder}: {reason}; give another one with -o") from error
    check_inside(folder)
    return folder


def _checked_folder(path: str | PathLike[str], marks: Collection[str]) -> Path:
    target = Path(os.path.realpath(path))
    if not target.is_dir():
        return _checked_target(path)
    if not any((target / mark).exists() for mark in marks):
        raise OutputError(
            f"cannot write {path}: there is a folder of that name that is not a result of this kind; remove "
            "it or choose another name"
        )
    return target


def _swap(temporary: Path, target: Path) -> None:
    """Put a folder in its place; an older one goes only once the new one is there."""
    if not target.exists():
        temporary.rename(target)
        return
    if target.is_file():
        target.unlink()
        temporary.rename(target)
        return
    older = target.with_name(_hidden_name(target))
    target.rename(older)
    try:
        temporary.rename(target)
    except BaseException:
        older.rename(target)
        raise
    shutil.rmtree(older, ignore_errors=True)


def _checked_target(path: str | PathLike[str]) -> Path:
    """The file that `path` means, links followed, if a file may be there."""
    target, given = Path(os.path.realpath(path)), Path(path)
    try:
        target.exists()
    except OSError as error:
        raise _output_error(given, error.errno or 0) from error
    if not target.parent.is_dir():
        raise OutputError(
            f"cannot write {given}: the folder {given.parent} does not exist or is not a folder; create it "
            "or correct the path"
        )
    if target.is_dir():
        raise OutputError(f"cannot write {given}: it is a folder; give a file name, e.g. {given / 'result'}")
    # Moving a file over a device such as /dev/null would destroy the device.
    if target.exists() and not target.is_file():
        raise OutputError(f"cannot write {given}: it is not an ordinary file; give another file name")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"cannot write {given}: the file is write-protected; choose another name")
    return target


def _reserve(target: Path) -> Path:
    """A new empty file beside the target, with the user's default permissions."""
    return _touch(target.with_name(_hidden_name(target)), target)


def _touch(temporary: Path, target: Path) -> Path:
    """A new empty file; that it cannot be there is said of `target`."""
    try:
        temporary.touch(mode=0o666, exist_ok=False)
    except OSError as error:
        raise _output_error(target, error.errno or 0) from error
    return temporary


def _hidden_name(target: Path) -> str:
    # The name may have 255 bytes; a long stem is cut so that the token still fits.
    return f".{target.stem[:100]}.{secrets.token_hex(6)}.tmp{target.suffix}"


def _publish(temporary: Path, target: Path) -> None:
    """Put the file in its place once its bytes are on the disk, so that a power cut leaves old or new."""
    with temporary.open("rb+") as stream:
        os.fsync(stream.fileno())
    temporary.replace(target)


def _write_errno(error: OSError | RuntimeError) -> int:
    """The system's error number; h5py and pyarrow give it only in the text."""
    number = getattr(error, "errno", None)
    found = re.search(r"errno\s*=?\s*(\d+)", str(error))
    return number or (int(found.group(1)) if found else 0)


def _output_error(target: Path, code: int) -> OutputError:
    reason, repair = _REPAIRS.get(code, (os.strerror(code), "choose another file name"))
    return OutputError(f"cannot write {target}: {reason}; {repair}")
