# SPDX-License-Identifier: BSD-3-Clause
"""What a file holds, against what its name says."""

import bz2
import errno
import gzip
import lzma
import re
import zipfile
from pathlib import Path

import h5py
import pandas as pd
import pytest

from pydgd.data.formats import detect_format
from pydgd.errors import FileFormatError

TEXT = b"sample,TP53,MYC\nS1,1,2\n"


def write(path: Path, kind: str) -> Path:
    """A small file of a kind under any name."""
    if kind == "h5ad":
        with h5py.File(path, "w") as file:
            file["X"] = [1]
    elif kind == "parquet":
        path.write_bytes(pd.DataFrame({"TP53": [1]}).to_parquet(None))
    elif kind == "feather":
        pd.DataFrame({"TP53": [1]}).to_feather(path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("xl/workbook.xml", "")
    else:
        path.write_bytes(
            {
                "text": TEXT,
                "gzip": gzip.compress(TEXT),
                "gzip of binary": gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(100)),
                "xz": lzma.compress(TEXT),
                "bzip2": bz2.compress(TEXT),
                "zstd": b"\x28\xb5\x2f\xfd" + bytes(20),
                "utf16": TEXT.decode().encode("utf-16"),
                "markup": b"<!DOCTYPE html><html>404</html>",
                "binary": b"\x80\x04\x95\x00\x01" + bytes(20),
                "empty": b"",
                "blank": b"\n \n",
            }[kind]
        )
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.h5ad", "h5ad"),
        ("x.parquet", "parquet"),
        ("x.csv", "text"),
        ("x.TSV", "text"),
        ("x.txt", "text"),
        ("x.csv.gz", "gzip"),
        ("x", "h5ad"),
        ("x.counts", "text"),
        ("x.data", "gzip"),
        ("x.v2", "parquet"),
        ("x.feather", "feather"),
        ("x.csv.xz", "xz"),
        ("x.csv.bz2", "bzip2"),
    ],
)
def test_the_content_decides(tmp_path, name, kind):
    """Names of known extensions agree, others promise nothing."""
    assert detect_format(write(tmp_path / name, kind)) == kind


@pytest.mark.parametrize(
    ("name", "kind", "expected", "found", "repair"),
    [
        ("x.h5ad", "text", "HDF5 (h5ad)", "a text table", "rename it to *.csv"),
        ("x.csv", "h5ad", "a text table", "HDF5 (h5ad)", "rename it to *.h5ad"),
        ("x.csv", "gzip", "a text table", "gzip-compressed data", "rename it to *.csv.gz"),
        ("x.csv.gz", "text", "gzip-compressed data", "a text table", "rename it to *.csv"),
        ("x.parquet", "text", "Parquet", "a text table", "rename it to *.csv"),
        ("x.tsv", "parquet", "a text table", "Parquet", "rename it to *.parquet"),
        ("x.csv", "zip", "a text table", "Excel", "convert it to"),
        ("x.h5ad", "markup", "HDF5 (h5ad)", "HTML", "give the right file"),
        ("x.csv", "utf16", "a text table", "UTF-16", "convert it to"),
    ],
)
def test_a_file_that_is_not_what_its_extension_says_is_refused(tmp_path, name, kind, expected, found, repair):
    """The message names file, expected, found and repair."""
    path = write(tmp_path / name, kind)
    with pytest.raises(FileFormatError) as caught:
        detect_format(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: by its extension {path.suffix!r} this should be {expected}")
    assert f"but it holds {found}" in message or found in message
    assert repair in message


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("zip", "a ZIP archive"),
        ("zstd", "Zstandard-compressed"),
        ("utf16", "UTF-16"),
        ("markup", "error page of a failed download"),
        ("binary", "binary data of an unknown kind"),
        ("gzip of binary", "inside the gzip there is HDF5"),
    ],
)
def test_a_kind_that_is_not_read_is_named(tmp_path, kind, found):
    """With what could be read instead."""
    path = write(tmp_path / "x.unknown", kind)
    with pytest.raises(FileFormatError, match=re.escape(found)) as caught:
        detect_format(path)
    assert f"{path}: expected h5ad, zarr, CSV or TSV (also .gz, .xz, .bz2), Parquet, Feather" in str(
        caught.value
    )


@pytest.mark.parametrize("name", ["x.csv", "x.h5ad", "x.parquet", "x"])
@pytest.mark.parametrize("kind", ["empty", "blank"])
def test_an_empty_file_is_called_empty(tmp_path, name, kind):
    """Whatever its name."""
    path = write(tmp_path / name, kind)
    with pytest.raises(FileFormatError, match=re.escape(f"{path}: the file is empty")):
        detect_format(path)


def test_a_missing_file_is_missed_with_its_neighbour(tmp_path):
    """A typing error gets the right name."""
    write(tmp_path / "normals.csv", "text")
    with pytest.raises(
        FileFormatError, match=r"norMals.csv: there is no such file; did you mean .*normals.csv\?"
    ):
        detect_format(tmp_path / "norMals.csv")
    with pytest.raises(FileFormatError, match="no such file; check the path"):
        detect_format(tmp_path / "zzz")
    with pytest.raises(FileFormatError, match="no such file; nor a folder"):
        detect_format(tmp_path / "nowhere" / "x.csv")


def test_a_folder_is_refused(tmp_path):
    """Those of counting programs are looked into before; see pipelines."""
    with pytest.raises(FileFormatError, match=re.escape(f"{tmp_path}: this is a folder; give one file")):
        detect_format(tmp_path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), r"no permission to read it; chmod \+r"),
        (OSError(errno.EIO, "Input/output error"), r"cannot be read \(Input/output error\)"),
    ],
)
def test_an_unreadable_file_is_one_clear_error(tmp_path, monkeypatch, error, message):
    """Simulated, because root may read everything."""

    def refuse(*args, **kwargs):
        raise error

    path = write(tmp_path / "x.csv", "text")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileFormatError, match=message) as caught:
        detect_format(path)
    assert str(path) in str(caught.value)


def test_a_gzip_that_breaks_off_at_once_is_damaged(tmp_path):
    """Only the header of the gzip is there."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(TEXT)[:15])
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        detect_format(path)
