# SPDX-License-Identifier: BSD-3-Clause
"""What a file holds, by its first bytes; its name is only a claim."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any

from pydgd.errors import FileFormatError

_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "h5ad"),
    (b"PAR1", "parquet"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"ARROW1", "feather"),
    (b"\xff\xfe", "utf16"),
    (b"\xfe\xff", "utf16"),
    (b"<", "markup"),
)
_DESCRIPTIONS = {
    "h5ad": "HDF5 (h5ad)",
    "zarr": "zarr",
    "parquet": "Parquet",
    "gzip": "gzip-compressed data",
    "text": "a text table",
    "zip": "a ZIP archive (Excel workbooks are such)",
    "xz": "xz-compressed data",
    "bzip2": "bzip2-compressed data",
    "zstd": "Zstandard-compressed data",
    "feather": "Feather",
    "utf16": "text in UTF-16",
    "markup": "HTML or XML (perhaps the error page of a failed download)",
    "binary": "binary data of an unknown kind",
}
# What may be inside by the end of the name; other names promise nothing.
_PROMISES = {
    ".h5ad": "h5ad",
    ".h5": "h5ad",
    ".hdf5": "h5ad",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "text",
    ".tsv": "text",
    ".tab": "text",
    ".txt": "text",
    ".gct": "text",
    ".sf": "text",
    ".feather": "feather",
    ".gz": "gzip",
    ".xz": "xz",
    ".bz2": "bzip2",
}
_USUAL_SUFFIX = {
    "h5ad": ".h5ad",
    "parquet": ".parquet",
    "feather": ".feather",
    "text": ".csv",
    "gzip": ".csv.gz",
    "xz": ".csv.xz",
    "bzip2": ".csv.bz2",
}
OPENERS: dict[str, Callable[[Path], IO[Any] | gzip.GzipFile]] = {
    "text": lambda path: path.open("rb"),
    "gzip": gzip.open,
    "xz": lzma.open,
    "bzip2": bz2.open,
}
"""How the bytes of text are read, by kind of file."""

READABLE = "h5ad, zarr, CSV or TSV (also .gz, .xz, .bz2), Parquet, Feather"
"""What one file may be, for messages; of pipelines' files, which are text, see docs/formats.md."""

UNPACK_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError)
"""What reading a damaged file raises; OSError is what gzip and bzip2 say."""


def detect_format(path: Path) -> str:
    """The format of a count file, found by content.

    Args:
        path: An existing, readable file.

    Returns:
        ``"h5ad"``, ``"parquet"``, ``"feather"``, ``"text"``, or what text is compressed with: ``"gzip"``,
        ``"xz"`` or ``"bzip2"``.

    Raises:
        FileFormatError: If the file cannot be read, is empty, is of a kind that is not read here, or is
            not what its extension says.
    """
    found = _kind(_head(path), path)
    promised = _PROMISES.get(path.suffix.lower(), found)
    if promised != found:
        usual = _USUAL_SUFFIX.get(found)
        repair = f"rename it to *{usual}, or" if usual else f"convert it to {READABLE}, or"
        raise FileFormatError(
            f"{path}: by its extension {path.suffix!r} this should be {_DESCRIPTIONS[promised]}, but it "
            f"holds {_DESCRIPTIONS[found]}; {repair} give the right file"
        )
    packed = found in OPENERS and found != "text"
    inside = _kind(_inside(path, found), path) if packed else found
    if inside not in _USUAL_SUFFIX or (packed and inside != "text"):
        where = f"inside the {found} there is" if packed else "the file holds"
        raise FileFormatError(
            f"{path}: expected {READABLE}, but {where} {_DESCRIPTIONS[inside]}; unpack or convert it first"
        )
    return found


def _kind(head: bytes, path: Path) -> str:
    if not head.strip():
        raise FileFormatError(
            f"{path}: the file is empty; write it again, or check that its download or copy was complete"
        )
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    return found or ("binary" if b"\x00" in head else "text")


def _head(path: Path, n_bytes: int = 65536) -> bytes:
    """The first bytes, or the one error that says why there are none."""
    try:
        with path.open("rb") as stream:
            return stream.read(n_bytes)
    except FileNotFoundError as error:
        raise FileFormatError(f"{path}: there is no such file; {_neighbour(path)}") from error
    except IsADirectoryError as error:
        raise FileFormatError(f"{path}: this is a folder; give one file") from error
    except PermissionError as error:
        raise FileFormatError(f"{path}: no permission to read it; chmod +r it or copy it") from error
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check disk and path") from error


def _neighbour(path: Path) -> str:
    """A file of nearly this name, or plain advice."""
    if not path.parent.is_dir():
        return f"nor a folder {path.parent}; check the path"
    close = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    return f"did you mean {path.parent / close[0]}?" if close else "check the path"


def _inside(path: Path, kind: str, n_bytes: int = 65536) -> bytes:
    try:
        with OPENERS[kind](path) as stream:
            return bytes(stream.read(n_bytes))
    except UNPACK_ERRORS as error:
        raise damaged(path, kind, error) from error


def damaged(path: Path, kind: str, error: Exception) -> FileFormatError:
    """The error for a file of the right kind that breaks off or is corrupt.

    Args:
        path: The file.
        kind: Its format as `detect_format` says.
        error: What the library said.
    """
    reason = " ".join(str(error).split())[:200]
    return FileFormatError(
        f"{path}: this {_DESCRIPTIONS[kind].removeprefix('a ')} file is truncated or damaged ({reason}); "
        "copy, download or write it again"
    )
