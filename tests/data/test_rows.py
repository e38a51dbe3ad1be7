# SPDX-License-Identifier: BSD-3-Clause
"""Counts read a few samples at a time are the counts read at once, and never more of them are in memory."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.data import CountRows, as_counts, count_rows, open_counts, read_counts
from pydgd.data import blocks as blocks_module
from pydgd.data.blocks import LazyRows
from pydgd.data.counts import Parts
from pydgd.errors import ConfigError, CountsError, FileFormatError, NamesError

N, G = 23, 7
FORMS = {
    "dense": np.asarray,
    "csr": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "csc": sparse.csc_matrix,
}


def example(form=np.asarray, dtype=np.int32) -> AnnData:
    counts = np.random.default_rng(0).poisson(2.0, (N, G)).astype(dtype)
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {"tissue": pd.Categorical(["liver", "lung", None] * 7 + ["lung"] * 2), "age": np.arange(N) * 1.5},
        index=[f"S{i}" for i in range(N)],
    )
    return AnnData(form(counts), obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(G)]))


def dense(adata: AnnData) -> np.ndarray:
    return adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)


@pytest.fixture(autouse=True)
def _small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 rows at a time."""
    monkeypatch.setattr(blocks_module, "_SLAB_ELEMENTS", 5 * G)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_parts_of_a_file_are_the_whole(tmp_path: Path, form: str, compression: str | None) -> None:
    """Oracle: read_counts; values, types, names and labels, for parts of any size."""
    example(FORMS[form]).write_h5ad(tmp_path / "counts.h5ad", compression=compression)
    whole = read_counts(tmp_path / "counts.h5ad")
    with open_counts(tmp_path / "counts.h5ad") as counts:
        assert (counts.n_obs, counts.n_vars) == (N, G)
        for size in (1, 8, N):
            parts = [counts.read(i, min(i + size, N)) for i in range(0, N, size)]
            assert sparse.issparse(parts[0].X) == sparse.issparse(whole.X)
            assert parts[0].X.dtype == whole.X.dtype
            np.testing.assert_array_equal(np.concatenate([dense(part) for part in parts]), dense(whole))
            pd.testing.assert_frame_equal(pd.concat([part.obs for part in parts]), whole.obs)
            pd.testing.assert_frame_equal(parts[-1].var, whole.var)


def test_a_layer_and_a_turned_table_are_opened_too(tmp_path: Path) -> None:
    """As read_counts takes them."""
    adata = example(np.asarray, np.float64)
    adata.layers["counts"], adata.X = adata.X.copy(), np.log1p(adata.X)
    adata.write_h5ad(tmp_path / "layer.h5ad")
    example().T.copy().write_h5ad(tmp_path / "turned.h5ad")
    example().to_df().to_csv(tmp_path / "table.csv")
    for name, options in (("layer.h5ad", {}), ("turned.h5ad", {"orient": "genes"}), ("table.csv", {})):
        with open_counts(tmp_path / name, **options) as counts:
            np.testing.assert_array_equal(dense(counts.read(3, 9)), dense(example())[3:9])
            assert counts.labels.var_names.tolist() == example().var_names.tolist()


@pytest.mark.parametrize("form", ["dense", "csr"])
def test_selected_samples_are_read_in_their_order(tmp_path: Path, form: str) -> None:
    """`where` reads only rows that meet the conditions."""
    example(FORMS[form]).write_h5ad(tmp_path / "counts.h5ad")
    expected = example()[[i for i in range(N) if i % 3 == 1 or i > 20]]
    with open_counts(tmp_path / "counts.h5ad") as counts:
        chosen = counts.where("tissue=lung")
        assert chosen.n_obs == 9
        np.testing.assert_array_equal(dense(chosen.read(2, 9)), dense(expected)[2:])
        assert chosen.read(2, 9).obs_names.tolist() == expected.obs_names[2:].tolist()
        again = chosen.where("age!=1.5")
        np.testing.assert_array_equal(dense(again.read(0, 8)), dense(expected)[1:])
        with pytest.raises(ConfigError, match="no column 'organ'"):
            counts.where("organ=lung")


@pytest.mark.parametrize("form", ["dense", "csr"])
def test_fractions_are_rounded_as_they_are_read(tmp_path: Path, form: str) -> None:
    """Or refused at once, with how many there are in the whole file."""
    adata = example(np.asarray, np.float64)
    adata.X[1, 2] += 0.25
    adata.X[N - 1, 3] += 0.25
    adata.X = FORMS[form](adata.X)
    adata.write_h5ad(tmp_path / "rsem.h5ad")
    with (
        pytest.raises(CountsError, match=r"rsem.h5ad: fractional counts: 2 of 161 values"),
        open_counts(tmp_path / "rsem.h5ad"),
    ):
        pass
    with open_counts(tmp_path / "rsem.h5ad", round_counts=True) as counts:
        np.testing.assert_array_equal(dense(counts.read(N - 2, N)), dense(example())[N - 2 :])


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_a_bad_count_in_the_last_sample_is_told_at_once(tmp_path: Path, value: float) -> None:
    """Before anything is yielded, with file, sample and gene."""
    adata = example(np.asarray, np.float64)
    adata.X[N - 1, 3] = value
    adata.write_h5ad(tmp_path / "bad.h5ad")
    with (
        pytest.raises(CountsError, match=r"bad.h5ad: .*'S22', gene 'gene3'"),
        open_counts(tmp_path / "bad.h5ad"),
    ):
        pass


def test_a_damaged_tile_is_told_at_once(tmp_path: Path) -> None:
    """A file whose counts are cut off, but not its names."""
    example().write_h5ad(tmp_path / "counts.h5ad", compression="gzip")
    import h5py

    with h5py.File(tmp_path / "counts.h5ad") as file:
        where = file["X"].id.get_chunk_info(0)
    content = bytearray((tmp_path / "counts.h5ad").read_bytes())
    content[where.byte_offset : where.byte_offset + where.size] = b"\0" * where.size
    (tmp_path / "counts.h5ad").write_bytes(content)
    with pytest.raises(FileFormatError, match="damaged"), open_counts(tmp_path / "counts.h5ad"):
        pass


@pytest.mark.filterwarnings("ignore:Writing zarr")
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "csr"])
def test_a_tile_that_is_damaged_later_is_told_when_it_is_read(tmp_path: Path, form) -> None:
    """In the midst of a search, say, hours after the counts were checked."""
    store = tmp_path / "counts.zarr"
    example(form).write_zarr(store)
    with open_counts(store) as counts:
        for tile in (path for path in (store / "X").rglob("*") if path.name[0].isdigit()):
            tile.write_bytes(b"?")
        with pytest.raises(FileFormatError, match=r"counts\.zarr.*damaged"):
            counts.read(0, 1)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "csr"])
def test_a_file_that_was_closed_is_not_called_damaged(tmp_path: Path, form) -> None:
    """Its counts are asked for behind the block."""
    example(form).write_h5ad(tmp_path / "counts.h5ad")
    with open_counts(tmp_path / "counts.h5ad") as counts:
        pass
    with pytest.raises(ConfigError, match=r"counts\.h5ad is closed; read its counts within the block"):
        counts.read(0, 1)


def test_errors_of_the_block_are_its_own(tmp_path: Path) -> None:
    """What goes wrong while the file is open is not said of the file."""
    example().write_h5ad(tmp_path / "counts.h5ad")
    with pytest.raises(KeyError, match="mine"), open_counts(tmp_path / "counts.h5ad"):
        raise KeyError("mine")


def test_no_more_than_a_slab_is_read_at_a_time() -> None:
    """Neither to check nor to use."""
    adata, read = example(), []

    def fetch(rows):
        read.append(rows)
        return adata.X[rows]

    counts = CountRows.checked(Parts(LazyRows(fetch, (N, G), adata.X.dtype), adata.obs, adata.var))
    assert [(rows.start, rows.stop) for rows in read] == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
    counts.read(4, 6)
    assert read[-1] == slice(4, 6)


@pytest.mark.parametrize("form", FORMS)
def test_backed_counts_are_read_by_parts(tmp_path: Path, form: str) -> None:
    """Of a backed AnnData; a part of one, or CSC, is read whole."""
    example(FORMS[form]).write_h5ad(tmp_path / "counts.h5ad")
    backed = anndata.read_h5ad(tmp_path / "counts.h5ad", backed="r")
    counts = count_rows(backed)
    np.testing.assert_array_equal(dense(counts.read(3, 9)), dense(example())[3:9])
    in_memory = isinstance(counts.matrix.fetch.__self__, np.ndarray | sparse.sparray | sparse.spmatrix)
    assert in_memory == (form == "csc")
    if form != "csc":
        part = count_rows(backed[5:])
        np.testing.assert_array_equal(dense(part.read(0, 4)), dense(example())[5:9])
    backed.file.close()


def test_backed_counts_in_a_layer() -> None:
    """anndata holds layers in memory; they are found as as_counts finds them."""
    adata = example()
    adata.layers["counts"], adata.X = adata.X.copy(), np.log1p(adata.X)
    np.testing.assert_array_equal(count_rows(adata).read(0, N).X, example().X)


def test_other_kinds_of_data() -> None:
    """Tables, arrays with names, and rows themselves."""
    table = example().to_df()
    rows = count_rows(table)
    assert count_rows(rows) is rows
    named = count_rows(table.to_numpy(), sample_names=table.index, genes=table.columns)
    for counts in (rows, named):
        pd.testing.assert_frame_equal(counts.read(1, 3).to_df(), as_counts(table)[1:3].to_df())
    with pytest.raises(NamesError, match="pass sample_names"):
        count_rows(table.to_numpy())
