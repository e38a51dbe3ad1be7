# SPDX-License-Identifier: BSD-3-Clause
"""CSVs of bulkdgd: samples, representations, means and r-values, in and out."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.checkpoints import read_bulkdgd_table, write_bulkdgd_table
from pydgd.errors import ConfigError, CountsError, FileFormatError, NamesError, PyDGDError

GENES = ["ENSG00000000001", "ENSG00000000002.3", "ERCC-1"]


def annotated(matrix: object | None = None) -> AnnData:
    """Two samples with their closest normals; the last gene is unknown to the model."""
    counts = np.array([[4, 0, 9], [20, 10, 9]]) if matrix is None else matrix
    adata = AnnData(
        counts, obs=pd.DataFrame({"tissue": ["liver", None]}, ["001", "NA"]), var=pd.DataFrame(index=GENES)
    )
    adata.layers["dgd_mean"] = np.array([[3.0, 1.0, np.nan], [18.0, 12.0, np.nan]])
    adata.layers["dgd_r"] = np.array([[0.1, 2.0, np.nan], [0.2, 3.0, np.nan]])
    adata.obsm["X_dgd"] = np.array([[0.1, -0.2], [1 / 3, 1e-9]])
    return adata


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_samples_come_back(form: object, ending: str, tmp_path: Path) -> None:
    """Names such as 001 and NA, labels, counts; columns without ENSG are no genes there."""
    path = tmp_path / f"samples{ending}"
    write_bulkdgd_table(annotated(form(np.array([[4, 0, 9], [20, 10, 9]]))), path, kind="samples")
    found = read_bulkdgd_table(path)
    assert found.obs_names.tolist() == ["001", "NA"]
    assert found.var_names.tolist() == GENES[:2]
    assert found.X.tolist() == [[4, 0], [20, 10]]
    assert found.X.dtype == np.int32
    assert found.obs["tissue"].tolist()[0] == "liver"
    text = gzip.decompress(path.read_bytes()) if ending.endswith("gz") else path.read_bytes()
    assert text.startswith(f",{GENES[0]},{GENES[1]},tissue\n001,4,0,liver\n".encode())


def test_representations_come_back_to_the_bit(tmp_path: Path) -> None:
    """In the order of their numbers, whatever that of the columns."""
    path = tmp_path / "representations.csv"
    write_bulkdgd_table(annotated(), path, kind="representations")
    np.testing.assert_array_equal(read_bulkdgd_table(path).obsm["X_dgd"], annotated().obsm["X_dgd"])
    path.write_text(",latent_dim_2,group,latent_dim_1\nS1,2.5,a,1.5\n")
    found = read_bulkdgd_table(path)
    assert found.obsm["X_dgd"].tolist() == [[1.5, 2.5]]
    assert (found.obs["group"].tolist(), found.n_vars) == (["a"], 0)


def test_means_times_mean_counts_are_the_expected_reads(tmp_path: Path) -> None:
    """bulkdgd multiplies by the mean of the counts it is given."""
    write_bulkdgd_table(annotated(), tmp_path / "means.csv", kind="means")
    means = read_bulkdgd_table(tmp_path / "means.csv")
    np.testing.assert_allclose(means.X * np.array([[2.0], [15.0]]), [[3.0, 1.0], [18.0, 12.0]])


def test_r_values_of_genes_are_repeated(tmp_path: Path) -> None:
    """One row per sample, as there, also where r belongs to the gene."""
    adata = annotated()
    write_bulkdgd_table(adata, tmp_path / "r.csv", kind="r-values")
    assert read_bulkdgd_table(tmp_path / "r.csv").X.tolist() == [[0.1, 2.0], [0.2, 3.0]]
    del adata.layers["dgd_r"]
    adata.var["dgd_r"] = [0.5, 7.0, np.nan]
    write_bulkdgd_table(adata, tmp_path / "r.csv", kind="r-values")
    assert read_bulkdgd_table(tmp_path / "r.csv").X.tolist() == [[0.5, 7.0]] * 2


def test_the_peer_s_own_tables_are_read_and_written_again(shared: Path, tmp_path: Path) -> None:
    """Counts, representations, means and r of bulkdgd 2.0.1: every number to the bit."""
    folder = shared / "peer" / "artifacts"
    counts = read_bulkdgd_table(folder / "counts.csv")
    assert counts.shape == (200, 1000)
    assert counts.obs["group"].nunique() == 5
    again = tmp_path / "again.csv"
    write_bulkdgd_table(counts, again, kind="samples")
    assert again.read_bytes() == (folder / "counts.csv").read_bytes()
    for name in ("rep_two_opt", "pred_means_two_opt", "pred_r_values_two_opt", "train_rep_train"):
        path = folder / "nb_full_dispersion__tgmm" / f"{name}.csv"
        expected = pd.read_csv(path, index_col=0, float_precision="round_trip")
        found = read_bulkdgd_table(path)
        values = found.obsm.get("X_dgd", found.X)
        np.testing.assert_array_equal(values, expected.drop(columns="group", errors="ignore"))


BROKEN = {
    "empty": (b"", FileFormatError, "empty, damaged or no CSV"),
    "header only": (b",ENSG1\n", FileFormatError, "empty, damaged or no CSV"),
    "no genes": (b",TP53\nS1,3\n", FileFormatError, "its columns are TP53"),
    "cut": (b",ENSG1,ENSG2\nS1,3,4\nS2,5\n", CountsError, "first: sample 'S2', ENSG2: nan"),
    "text": (b",ENSG1\nS1,three\n", CountsError, "sample 'S1', ENSG1: three"),
    "infinite": (b",latent_dim_1\nS1,inf\n", CountsError, "no finite number"),
    "twice": (b",ENSG1,ENSG1\nS1,3,4\n", NamesError, "column 'ENSG1' is there twice"),
    "sample twice": (b",ENSG1\nS1,3\nS1,4\n", NamesError, "sample 'S1' is there twice"),
    "gap": (b",latent_dim_1,latent_dim_3\nS1,0,1\n", FileFormatError, "latent_dim_1 to latent_dim_2"),
    "encoding": (b",ENSG1,t\nS1,3,\xff\n", FileFormatError, "not UTF-8"),
    "ragged": (b",ENSG1\nS1,3,4,5\nS2,3,4,5\n", FileFormatError, "the header names 2 columns, rows have 4"),
    "no separator": (b"S1 3 4\nS2 5 6\n", FileFormatError, "the header names 1 column"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables_are_refused(name: str, tmp_path: Path) -> None:
    """One error that names the file and where it is broken."""
    content, kind, message = BROKEN[name]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(kind, match=message) as caught:
        read_bulkdgd_table(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, PyDGDError)


def test_a_cut_gzip_is_refused(tmp_path: Path) -> None:
    """And a file that is not there."""
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b",ENSG1\n" + b"S1,3\n" * 99)[:-9])
    with pytest.raises(FileFormatError, match="damaged"):
        read_bulkdgd_table(path)
    with pytest.raises(FileFormatError, match="no such file"):
        read_bulkdgd_table(tmp_path / "none.csv")


def test_what_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    """Each with what it would need."""
    bare, path = AnnData(np.ones((1, 1)), var=pd.DataFrame(index=["TP53"])), tmp_path / "out.csv"
    for kind, message in {
        "representations": 'no obsm\\["X_dgd"\\]',
        "means": 'no layers\\["dgd_mean"\\]',
        "r-values": "a Poisson model has no r",
        "other": "kind must be one of samples",
    }.items():
        with pytest.raises(ConfigError, match=message):
            write_bulkdgd_table(bare, path, kind=kind)
    with pytest.raises(NamesError, match="begins with ENSG \\(first: \\['TP53'\\]\\)"):
        write_bulkdgd_table(bare, path, kind="samples")
    assert not path.exists()
