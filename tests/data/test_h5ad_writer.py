# SPDX-License-Identifier: BSD-3-Clause
"""Writing h5ad: the same file as AnnData's own, and an error instead of a crash when the disk is full."""

import io
import resource
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.data.h5ad_writer import FaultTolerantFile, write_h5ad

FULL_DISK = """
import resource, sys
import numpy as np
from anndata import AnnData
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    write_h5ad(AnnData(np.ones((50, 200), dtype=np.float32)), sys.argv[1])
except OutputError as error:
    print(error)
"""


def example() -> AnnData:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"tissue": ["liver", None, "kidney"], "age": [3.0, np.nan, 5.0]}, index=["a", "b", "c"]
    )
    adata = AnnData(rng.poisson(5.0, (3, 4)).astype(np.int32), obs=obs)
    adata.layers["sparse"] = sparse.csr_matrix(adata.X)
    adata.obsm["X_dgd"] = rng.normal(size=(3, 2))
    adata.uns["dgd"] = {"versions": {"pydgd": "0.1.0"}, "point": "map"}
    return adata


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_the_file_is_what_anndata_itself_writes(tmp_path: Path, compression: str | None) -> None:
    """Oracle: AnnData.write_h5ad; every part comes back the same, missing labels included."""
    write_h5ad(example(), tmp_path / "ours.h5ad", compression=compression)
    example().write_h5ad(tmp_path / "theirs.h5ad", compression=compression)
    ours, theirs = (anndata.read_h5ad(tmp_path / name) for name in ("ours.h5ad", "theirs.h5ad"))
    pd.testing.assert_frame_equal(ours.obs, theirs.obs)
    pd.testing.assert_frame_equal(ours.var, theirs.var)
    np.testing.assert_array_equal(ours.X, theirs.X)
    np.testing.assert_array_equal(ours.layers["sparse"].toarray(), theirs.layers["sparse"].toarray())
    np.testing.assert_array_equal(ours.obsm["X_dgd"], theirs.obsm["X_dgd"])
    assert ours.uns == theirs.uns


@pytest.mark.parametrize("limit", [100, 2_000, 20_000])
def test_a_full_disk_is_an_error_wherever_it_strikes(tmp_path: Path, limit: int) -> None:
    """In the header, between groups or inside the counts: HDF5 would crash at exit if it heard of it."""
    (tmp_path / "counts.h5ad").write_text("older")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "counts.h5ad"), str(limit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot write" in done.stdout
    assert (tmp_path / "counts.h5ad").read_text() == "older"
    assert list(tmp_path.iterdir()) == [tmp_path / "counts.h5ad"]


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    """What AnnData cannot write is its own error, not the disk's, and leaves no file."""
    adata = example()
    adata.uns["dgd"] = object()
    with pytest.raises(Exception, match="No method registered"):
        write_h5ad(adata, tmp_path / "counts.h5ad")
    assert list(tmp_path.iterdir()) == []


def test_the_first_error_is_kept_and_the_rest_passes_as_written(tmp_path: Path) -> None:
    """HDF5 must believe that all went well; whoever asks afterwards gets the error."""
    (tmp_path / "file").write_bytes(b"")
    with FaultTolerantFile(tmp_path / "file", "r") as stream:
        stream.raise_error()
        assert stream.write(b"four") == 4
        assert stream.write(np.zeros(3)) == 24
        assert stream.truncate(100) == 100
        with pytest.raises(OSError, match="not open for writing"):
            stream.raise_error()


def test_what_could_not_be_written_is_read_back(tmp_path) -> None:
    """HDF5 crashes over bytes that are not its own; the first error is kept and the file stays short."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with FaultTolerantFile(tmp_path / "file", "w+") as file:
        file.write(b"abcdef")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
            assert file.write(b"ghijkl") == 6
            file.seek(20)
            file.write(b"xyz")
            file.seek(5)
            file.write(b"FG")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert file.seek(0, io.SEEK_END) == 23
        file.seek(0)
        found = bytearray(25)
        assert file.readinto(found) == 25
        assert bytes(found) == b"abcdeFGhijkl" + bytes(8) + b"xyz" + bytes(2)
        with pytest.raises(OSError, match="too large"):
            file.raise_error()
    assert (tmp_path / "file").read_bytes() == b"abcdefgh"
