# SPDX-License-Identifier: BSD-3-Clause
"""Files made to harm: bombs, claims of enormous size, data elsewhere, pickles, and names with intentions."""

import contextlib
import gzip
import json
import os
import pickle
import stat
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from rich.console import Console
from tests.checkpoints.conftest import make_record
from tests.checkpoints.peer_files import write_peer_model

from pydgd.checkpoints import load_model, read_bulkdgd, save_model
from pydgd.cli.result_tables import read_rows, read_table
from pydgd.cli.tables import write_table
from pydgd.data import delimited, read_counts
from pydgd.errors import ModelFileError, PyDGDError
from pydgd.files import atomic_write

from .huge_tables import HUGE
from .watch import fault


def refused(path: Path, words: str) -> None:
    """Refused with these words, at once and without the memory that the file speaks of."""

    def read() -> None:
        with pytest.raises(PyDGDError, match=words):
            read_counts(path)

    assert fault(read, path.stat().st_size) is None


def h5ad(path: Path) -> Path:
    AnnData(np.ones((3, 4)), pd.DataFrame(index=list("abc")), pd.DataFrame(index=list("wxyz"))).write_h5ad(
        path
    )
    return path


@pytest.mark.parametrize("shape", [(2**20, 2**20), (3, 2**40), (2**31, 4)], ids=str)
def test_a_matrix_that_was_never_written_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    """A few kB that claim terabytes of zeros."""
    path = h5ad(tmp_path / "x.h5ad")
    with h5py.File(path, "r+") as file:
        del file["X"]
        file.create_dataset("X", shape, "f4", chunks=(1, 4))
    refused(path, r"/X claims [\d,]+ MiB, of which 0.000 MiB are stored")


def test_a_matrix_packed_beyond_reason_is_refused(tmp_path: Path) -> None:
    """Zarr's metadata are text: anyone can write a size."""
    zarr = pytest.importorskip("zarr")
    from pydgd.data.growing import write_parts

    write_parts(
        [AnnData(np.ones((3, 4)), pd.DataFrame(index=list("abc")), pd.DataFrame(index=list("wxyz")))],
        tmp_path / "x.zarr",
    )
    assert zarr is not None
    note = tmp_path / "x.zarr" / "X" / ".zarray"
    note.write_text(
        json.dumps({**json.loads(note.read_text()), "shape": [2**30, 2**10], "chunks": [2**30, 2**10]})
    )
    refused(tmp_path / "x.zarr", "claims .* MiB")


@pytest.mark.parametrize("kind", ["link", "raw bytes", "virtual"])
def test_data_in_another_file_are_not_followed(tmp_path: Path, kind: str) -> None:
    """HDF5 can point at any file of the reader's."""
    path, secret = h5ad(tmp_path / "x.h5ad"), h5ad(tmp_path / "secret.h5ad")
    with h5py.File(path, "r+") as file:
        del file["X"]
        if kind == "link":
            file["X"] = h5py.ExternalLink(str(secret), "/X")
        elif kind == "raw bytes":
            file.create_dataset("X", (3, 4), "u1", external=[("/proc/self/environ", 0, 12)])
        else:
            layout = h5py.VirtualLayout((3, 4), "f8")
            layout[:] = h5py.VirtualSource(str(secret), "X", (3, 4))
            file.create_virtual_dataset("X", layout)
    refused(path, "X lies in another file, which is not followed")


@pytest.mark.parametrize(
    ("part", "place", "value"), [("indices", 2, 2**30), ("indptr", slice(1, 4), [9, 1, 0])]
)
def test_sparse_indices_outside_the_matrix_are_refused(
    tmp_path: Path, part: str, place: int | slice, value: int | list[int]
) -> None:
    """SciPy would read and write beyond its memory; its own check passes pointers of which the last is 0."""
    from scipy import sparse

    matrix = sparse.csr_matrix(np.ones((3, 4)))
    AnnData(matrix, pd.DataFrame(index=list("abc")), pd.DataFrame(index=list("wxyz"))).write_h5ad(
        tmp_path / "x.h5ad"
    )
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file[f"X/{part}"][place] = value
    refused(tmp_path / "x.h5ad", "damaged")


def test_a_short_line_of_a_sparse_matrix_is_refused(tmp_path: Path) -> None:
    """scipy.io.mmread reads beyond the text where a field is missing, and crashes."""
    (tmp_path / "genes.tsv").write_text("A\nB\n")
    (tmp_path / "barcodes.tsv").write_text("S1\nS2\n")
    (tmp_path / "matrix.mtx").write_text(
        "%%MatrixMarket matrix coordinate integer general\n2 2 3\n1 1 7\n1 3\n2 2 2 1"
    )
    refused(tmp_path, "truncated or damaged")


def test_a_gzip_bomb_of_one_line_is_refused(tmp_path: Path) -> None:
    """1 GB of one character in 1 MB."""
    path = tmp_path / "x.csv.gz"
    with gzip.open(path, "wb", 9) as stream:
        stream.write(b"gene,S1\n")
        for _ in range(1_000):
            stream.write(b"0" * 1_000_000)
    refused(path, "characters or more in 1 fields, which no table of counts has")


def test_a_gzip_bomb_of_many_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told from counts by how well it packs; a smaller bomb, since lines take their time."""
    monkeypatch.setattr(delimited, "SLACK", 2**20)
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"gene,S1\n" + b"g,0\n" * 4_000_000))
    refused(path, "unpacks to more than")


def test_very_many_columns_are_read_or_refused(tmp_path: Path) -> None:
    """50,000 columns: more than any annotation has genes; the time grows as they do."""
    names = [f"ENSG{i:011d}" for i in range(50_000)]
    path = tmp_path / "x.csv"
    path.write_text("sample," + ",".join(names) + "\nS1," + "1," * 49_999 + "1\n")
    size = path.stat().st_size
    assert fault(lambda: read_counts(path), size) is None


@pytest.mark.parametrize("name", HUGE)
def test_tables_beyond_all_measure_are_refused(tmp_path: Path, name: str) -> None:
    """A fifteenth of what the benchmark tries, so that time and memory are those of the whole."""
    write, n = HUGE[name]
    write(tmp_path / "x.csv", n // 7 if n < 10**8 else 2**27 + 10**6)
    refused(
        tmp_path / "x.csv",
        "fields, 1,000,000 at most|which no table of counts has|no line after it|not closed",
    )


@pytest.mark.parametrize(
    "text", ["gene,S1\nA\x00B,3\nC,4\n", "\x00" * 5000, "gene,S1\n\x1b[31mA,3\nB,2\n", "gene\x07,S1\nA,1\n"]
)
def test_control_characters_are_read_or_refused(tmp_path: Path, text: str) -> None:
    """Never a traceback."""
    (tmp_path / "x.csv").write_text(text)
    assert fault(lambda: read_counts(tmp_path / "x.csv"), len(text)) is None


class Payload:
    """What a pickle could do."""

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("pickle-was-here"),))


def test_a_pickle_in_weights_of_bulkdgd_is_not_run(tmp_path: Path, monkeypatch) -> None:
    """Neither as a plain pickle nor inside PyTorch's zip."""
    monkeypatch.chdir(tmp_path)
    write_peer_model(tmp_path / "model")
    weights = tmp_path / "model" / "gmm.pth"
    for content in (pickle.dumps(Payload()), _torch_zip(tmp_path)):
        weights.write_bytes(content)
        with pytest.raises(ModelFileError):
            read_bulkdgd(tmp_path / "model")
    assert not Path("pickle-was-here").exists()


def _torch_zip(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "made.zip", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(Payload()))
        archive.writestr("x/version", "3\n")
    return (folder / "made.zip").read_bytes()


@pytest.mark.parametrize("shape", [[2**40], [2**31, 2**31], [2**62, 4]], ids=str)
def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path, shape: list[int]) -> None:
    """The header of safetensors claims what is not there."""
    path = tmp_path / "model.dgd"
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 16]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))

    def read() -> None:
        with pytest.raises(ModelFileError):
            load_model(path)

    assert fault(read, path.stat().st_size) is None


def test_names_cannot_lead_out_of_a_folder(tmp_path: Path) -> None:
    """One file per sample, whatever the samples are called."""
    from pydgd.cli.result_tables import write_per_sample
    from pydgd.cli.terminal import Terminal

    table = pd.DataFrame({"sample": ["../../out", "/etc/passwd", "a\x00b"], "gene": "A", "pvalue": 0.5})
    inside = tmp_path / "deep" / "folder"
    inside.parent.mkdir()
    with contextlib.suppress(PyDGDError):
        write_per_sample(Terminal(Console(), quiet=True), table, inside, ".csv")
    assert [path for path in tmp_path.rglob("*") if path.is_file() and inside not in path.parents] == []


FORMULAS = ("=HYPERLINK(1)", "+1", "-2+3", "@SUM(A1)", "\tx", "plain", "'quoted", "a=b")


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz"])
def test_names_are_no_formulas_in_a_spreadsheet(tmp_path: Path, name: str) -> None:
    """An apostrophe stands before them in text, as spreadsheets want it; PyDGD takes it away again."""
    table = pd.DataFrame({"sample": FORMULAS, "gene": "A", "pvalue": -0.5})
    write_table(table, tmp_path / name)
    raw = (tmp_path / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    firsts = [line.lstrip('"')[0] for line in text.splitlines()[1:] if line]
    assert not set(firsts) & set("=+-@\t")
    assert "-0.5" in text
    assert "'-0.5" not in text
    assert read_table(tmp_path / name)["sample"].tolist() == list(FORMULAS)
    assert read_rows(tmp_path / name).index.tolist() == list(FORMULAS)


def test_parquet_keeps_names_as_they_are(tmp_path: Path) -> None:
    """No spreadsheet opens it unasked."""
    write_table(pd.DataFrame({"sample": FORMULAS}), tmp_path / "x.parquet")
    assert pd.read_parquet(tmp_path / "x.parquet")["sample"].tolist() == list(FORMULAS)


def test_a_link_that_is_put_in_the_way_while_writing_is_replaced(tmp_path: Path) -> None:
    """The result never goes through a link that appeared after the check."""
    victim, target = tmp_path / "victim", tmp_path / "result.csv"
    victim.write_text("precious")
    with atomic_write(target) as temporary:
        temporary.write_text("result")
        target.symlink_to(victim)
    assert victim.read_text() == "precious"
    assert target.read_text() == "result"
    assert not stat.S_ISLNK(os.lstat(target).st_mode)


def test_a_model_of_foreign_bytes_after_its_end_is_refused(tmp_path: Path) -> None:
    """Another file hidden behind a good one."""
    path = tmp_path / "model.dgd"
    save_model(make_record(), path)
    path.write_bytes(path.read_bytes() + b"PK\x03\x04" + bytes(100))
    with pytest.raises(ModelFileError):
        load_model(path)


def test_every_truncation_of_a_model_is_refused(tmp_path: Path) -> None:
    """At each byte."""
    path = tmp_path / "model.dgd"
    save_model(make_record(), path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            load_model(path)
