# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd saliency`."""

from pathlib import Path

import anndata
import pandas as pd
import pytest

from pydgd import DGD, tl


def test_of_genes_over_training_samples(results: Path, pydgd, tmp_path: Path) -> None:
    """And over the samples of a result."""
    model = DGD.load(results / "normals.dgd")
    for source in ([], [results / "normal.h5ad"]):
        done = pydgd("saliency", results / "normals.dgd", *source, "-o", tmp_path / "s.csv", "--signed")
        assert (done.code, done.out) == (0, "")
        adata = anndata.read_h5ad(source[0]) if source else None
        expected = tl.gene_sensitivity(model, adata, signed=True)
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "s.csv"), expected, rtol=1e-9)


def test_of_representations_and_of_sets(results: Path, pydgd, tmp_path: Path) -> None:
    """The genes that decided where a sample is."""
    model, out = DGD.load(results / "normals.dgd"), tmp_path / "s.parquet"
    command = ["saliency", results / "normals.dgd", results / "normal.h5ad", "-o", out]
    assert pydgd(*command, "--of", "representations", "--top", "4").code == 0
    table = pd.read_parquet(out)
    assert len(table) == 16
    assert {"sample", "gene", "shift", "z1"} <= set(table.columns)
    (tmp_path / "mine.txt").write_text("\n".join(model.genes[:9]))
    assert pydgd(*command, "--of", "representations", "--sets", tmp_path / "mine.txt").code == 0
    assert pd.read_parquet(out)["gene_set"].tolist() == ["mine"] * 4
    assert pydgd("saliency", *command[1:], "--sets", tmp_path / "mine.txt").code == 0
    assert pd.read_parquet(out)["n_genes"].tolist() == [9]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--of", "both"], "choose one of genes"),
        (["--of", "representations"], "reads of training samples are not kept"),
        (["--scale", "sqrt"], "scale is 'sqrt'"),
        (["RESULTS/cases.h5ad"], "X_dgd"),
        (["RESULTS/cases.h5ad", "--of", "representations"], "X_dgd"),
        (["--sets", "RESULTS/none.gmt"], "none.gmt"),
    ],
)
def test_what_cannot_be_done_is_bad_input(
    results: Path, pydgd, tmp_path: Path, options: list[str], words: str
) -> None:
    """Exit 2, one message, no file."""
    places = [word.replace("RESULTS", str(results)) for word in options]
    done = pydgd("saliency", results / "normals.dgd", *places, "-o", tmp_path / "s.csv")
    assert (done.code, words in done.err) == (2, True), done.err
    assert list(tmp_path.iterdir()) == []
