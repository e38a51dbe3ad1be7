# SPDX-License-Identifier: BSD-3-Clause
"""An AnnData written in parts is the AnnData written at once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.data import growing
from pydgd.data.growing import write_parts
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.errors import ConfigError, OutputError

N = 21
READERS = {"whole.h5ad": anndata.read_h5ad, "whole.zarr": anndata.read_zarr}
FULL_DISK = """
import resource, sys
import numpy as np
from anndata import AnnData
from pydgd.data.growing import write_parts
from pydgd.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
def parts():
    for i in range(100):
        print(i, file=sys.stderr)
        yield AnnData(np.ones((8, 500), dtype=np.float32))
try:
    write_parts(parts(), sys.argv[1])
except OutputError as error:
    print(error)
"""


def example(form=np.asarray) -> AnnData:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "tissue": pd.Categorical(["liver", None, "kidney"] * 7, categories=["kidney", "liver", "lung"]),
            "note": [f"text {i % 4}" for i in range(N)],
            "age": rng.normal(size=N),
            "converged": rng.random(N) < 0.5,
        },
        index=[f"S{i}" for i in range(N)],
    )
    var = pd.DataFrame({"symbol": list("ABAB"), "r": rng.random(4)}, index=[f"g{i}" for i in range(4)])
    adata = AnnData(form(rng.poisson(1.0, (N, 4)).astype(np.int32)), obs=obs, var=var)
    adata.layers["dgd_mean"] = rng.random((N, 4), dtype=np.float32)
    adata.obsm["X_dgd"] = rng.normal(size=(N, 3))
    adata.uns["dgd"] = {"versions": {"pydgd": "0.1.0"}, "point": "map"}
    return adata


def parts(adata: AnnData, size: int = 8) -> Iterator[AnnData]:
    for first in range(0, adata.n_obs, size):
        yield adata[first : first + size].copy()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("size", [1, 8, 50])
def test_parts_make_the_whole(tmp_path: Path, name: str, form, size: int) -> None:
    """Oracle: the file that is written at once; everything comes back the same, missing labels included."""
    write_parts(parts(example(form), size), tmp_path / name)
    write_h5ad(example(form), tmp_path / "oracle.h5ad")
    found, expected = READERS[name](tmp_path / name), anndata.read_h5ad(tmp_path / "oracle.h5ad")
    pd.testing.assert_frame_equal(found.obs, expected.obs, check_categorical=False)
    pd.testing.assert_frame_equal(found.var, expected.var)
    assert sparse.issparse(found.X) == sparse.issparse(expected.X)
    dense = (found.X.toarray(), expected.X.toarray()) if sparse.issparse(found.X) else (found.X, expected.X)
    np.testing.assert_array_equal(*dense)
    assert found.X.dtype == np.int32
    np.testing.assert_array_equal(found.layers["dgd_mean"], expected.layers["dgd_mean"])
    assert found.layers["dgd_mean"].dtype == np.float32
    np.testing.assert_array_equal(found.obsm["X_dgd"], expected.obsm["X_dgd"])
    assert found.uns == expected.uns


def test_tiles_have_whole_rows(tmp_path: Path) -> None:
    """So that a backed reader of some samples reads little more."""
    write_parts(parts(example()), tmp_path / "whole.h5ad")
    with h5py.File(tmp_path / "whole.h5ad") as file:
        assert file["X"].chunks == (8, 4)
        assert file["X"].shape == (N, 4)
    backed = anndata.read_h5ad(tmp_path / "whole.h5ad", backed="r")
    np.testing.assert_array_equal(backed.X[5:9], example().X[5:9])
    backed.file.close()


def test_row_starts_have_64_bits(tmp_path: Path) -> None:
    """32 bits would end at 2**31 stored counts: 160,000 samples."""
    write_parts(parts(example(sparse.csr_matrix)), tmp_path / "whole.h5ad")
    with h5py.File(tmp_path / "whole.h5ad") as file:
        assert file["X/indptr"].dtype == np.int64


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(143)])
def test_an_error_between_parts_leaves_what_was_there(
    tmp_path: Path, name: str, error: BaseException
) -> None:
    """The older result stays, nothing else does."""
    write_parts(parts(example()), tmp_path / name)

    def failing() -> Iterator[AnnData]:
        yield next(parts(example()))
        raise error

    with pytest.raises(type(error)):
        write_parts(failing(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert READERS[name](tmp_path / name).n_obs == N


@pytest.mark.parametrize("name", READERS)
def test_an_older_result_is_replaced(tmp_path: Path, name: str) -> None:
    """Whole, not mixed."""
    for n in (N, 5):
        write_parts(parts(example()[:n].copy()), tmp_path / name)
    assert READERS[name](tmp_path / name).n_obs == 5
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_another_folder_is_not_replaced(tmp_path: Path) -> None:
    """Only what is a zarr store is."""
    (tmp_path / "data.zarr").mkdir()
    (tmp_path / "data.zarr" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not a result of this kind"):
        write_parts(parts(example()), tmp_path / "data.zarr")
    assert (tmp_path / "data.zarr" / "mine.txt").read_text() == "mine"


def test_a_full_disk_is_told_at_the_next_part(tmp_path: Path) -> None:
    """Not after all of them: hours of search may lie between."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "whole.h5ad"), "100000"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cannot write" in done.stdout
    assert len(done.stderr.split()) < 40
    assert list(tmp_path.iterdir()) == []


def test_zarr_that_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the repair."""
    monkeypatch.setattr(growing, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install zarr"):
        write_parts(parts(example()), tmp_path / "data.zarr")
    assert list(tmp_path.iterdir()) == []
