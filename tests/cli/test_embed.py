# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd embed`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pydgd import DGD, tl


def test_training_samples_then_new_ones_in_the_same_plane(results: Path, pydgd, tmp_path: Path) -> None:
    """The kept embedding places them as the verb does."""
    kept = tmp_path / "pca.safetensors"
    done = pydgd("embed", results / "normals.dgd", "-o", tmp_path / "old.csv", "--save", kept)
    assert (done.code, done.out) == (0, "")
    again = ["--fitted", kept]
    assert pydgd("embed", results / "normal.h5ad", "-o", tmp_path / "new.csv", *again).code == 0
    old, new = (pd.read_csv(tmp_path / f"{name}.csv", index_col="sample") for name in ("old", "new"))
    model = DGD.load(results / "normals.dgd")
    embedding = tl.fit_embedding(model)
    np.testing.assert_allclose(old[["C1", "C2"]], embedding.coordinates, atol=1e-12)
    assert old["label"].tolist() == model.labels.tolist()
    assert new.shape[0] == 4
    assert {"C1", "C2", "kind", "dgd_component"} <= set(new.columns)


@pytest.mark.parametrize(
    ("method", "options"),
    [("tsne", ["--option", "perplexity=3"]), ("mds", []), ("kpca", ["--option", "kernel=cosine"])],
)
def test_several_files_are_embedded_together(
    results: Path, pydgd, tmp_path: Path, method: str, options: list[str]
) -> None:
    """With the file that each sample is from."""
    out = tmp_path / "both.parquet"
    files = [results / "normals.dgd", results / "normal.h5ad"]
    assert pydgd("embed", *files, "-o", out, "--method", method, *options).code == 0
    table = pd.read_parquet(out)
    assert table["source"].value_counts()["normal.h5ad"] == 4
    assert np.isfinite(table[["C1", "C2"]]).all(axis=None)


def test_columns_of_any_table(pydgd, tmp_path: Path) -> None:
    """By names or pattern, with stand-ins, names of samples as they are."""
    data = pd.DataFrame(
        {"name": [f"0{i}" for i in range(6)], "a": range(6), "b": [1, 5, 2, 7, 1, 3], "c": "x"}
    )
    data.loc[2, "a"] = np.nan
    data.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    out = tmp_path / "o.csv"
    for columns in ("a,b", "^[ab]$"):
        options = ["--columns", columns, "--fill-nan", "2", "--n-components", "1", "--prefix", "P"]
        assert pydgd("embed", tmp_path / "t.tsv", "-o", out, *options).code == 0
        table = pd.read_csv(out, dtype={"sample": str})
        assert table.columns.tolist() == ["sample", "P1", "c"]
        assert table["sample"].tolist() == data["name"].tolist()
    assert pydgd("embed", tmp_path / "t.tsv", "-o", out, *options, "--no-keep").code == 0
    assert pd.read_csv(out).columns.tolist() == ["sample", "P1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "lda"], "choose one of pca"),
        (["--option", "perplexity"], "write NAME=VALUE"),
        (["--option", "perplexity=3"], "pca has no option 'perplexity'"),
        (["--method", "tsne", "--save", "FOLDER/t.safetensors"], "cannot be kept"),
        (["--fitted", "FOLDER/none.safetensors"], "does not exist"),
        (["--fitted", "RESULTS/normals.dgd"], "not an embedding"),
        (["--columns", "^q"], "no column like"),
        (["--n-components", "0"], "--n-components is 0"),
        (["--save", "FOLDER/x.pkl"], "cannot tell the format"),
        (["RESULTS/normals.dgd"], "is in two of the files"),
        (["RESULTS/none.csv"], "no such file"),
    ],
)
def test_what_cannot_be_done_is_bad_input(
    results: Path, pydgd, tmp_path: Path, options: list[str], words: str
) -> None:
    """Exit 2 and one message."""
    places = [word.replace("FOLDER", str(tmp_path)).replace("RESULTS", str(results)) for word in options]
    done = pydgd("embed", results / "normals.dgd", *places, "-o", tmp_path / "o.csv")
    assert (done.code, words in done.err) == (2, True), done.err
    assert list(tmp_path.iterdir()) == []
