# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd mixture`."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from pydgd import DGD, tl


def test_tables_of_training_samples(results: Path, pydgd, tmp_path: Path) -> None:
    """Those that the verbs return, names in the first column."""
    paths = {name: tmp_path / f"{name}.csv" for name in ("out", "densities", "typical", "labels")}
    done = pydgd(
        "mixture", results / "normals.dgd", "-o", paths["out"], "--densities", paths["densities"],
        "--typical", paths["typical"], "--labels", paths["labels"], "--n-typical", "2",
        "--groups", results / "normals.h5ad", "--group-column", "tissue",
    )  # fmt: skip
    assert (done.code, done.out) == (0, "")
    model = DGD.load(results / "normals.dgd")
    tissue = anndata.read_h5ad(results / "normals.h5ad").obs["tissue"]
    found = pd.read_csv(paths["out"], index_col="sample")
    np.testing.assert_allclose(found, tl.responsibilities(model), atol=1e-12)
    assert pd.read_csv(paths["densities"], index_col="sample").index.tolist() == found.index.tolist()
    assert pd.read_csv(paths["typical"])["rank"].max() == 2
    expected = tl.component_labels(model, labels=tissue)
    pd.testing.assert_frame_equal(pd.read_csv(paths["labels"]), expected, check_dtype=False)


def test_positions_come_from_an_h5ad_or_a_table(results: Path, pydgd, tmp_path: Path) -> None:
    """With the same answer."""
    adata = anndata.read_h5ad(results / "normal.h5ad")
    z = pd.DataFrame(adata.obsm["X_dgd"], index=adata.obs_names).add_prefix("z")
    z.set_axis([f"z{i + 1}" for i in range(z.shape[1])], axis=1).rename_axis("sample").to_csv(
        tmp_path / "z.csv"
    )
    tables = []
    for source in (results / "normal.h5ad", tmp_path / "z.csv"):
        done = pydgd("mixture", results / "normals.dgd", source, "-o", tmp_path / "out.parquet")
        assert done.code == 0
        tables.append(pd.read_parquet(tmp_path / "out.parquet"))
    pd.testing.assert_frame_equal(*tables)


def test_synthetic_samples_are_counts(results: Path, pydgd, tmp_path: Path) -> None:
    """Seeded; `closest-normal` takes them."""
    options = ["--n-synthetic", "3", "--reads", "1e5", "--seed", "7"]
    drawn = []
    for name in ("a.h5ad", "b.h5ad"):
        assert pydgd("mixture", results / "normals.dgd", "--synthetic", tmp_path / name, *options).code == 0
        drawn.append(anndata.read_h5ad(tmp_path / name))
    np.testing.assert_array_equal(drawn[0].X, drawn[1].X)
    assert drawn[0].obs_names.tolist() == ["synthetic_1", "synthetic_2", "synthetic_3"]
    found = tmp_path / "n.h5ad"
    assert pydgd("closest-normal", results / "normals.dgd", tmp_path / "a.h5ad", "-o", found).code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "nothing to write"),
        (["-o", "FOLDER/x.xlsx"], "cannot tell the format"),
        (["--typical", "FOLDER/t.csv", "--n-typical", "0"], "n is 0"),
        (["--synthetic", "FOLDER/s.h5ad", "--n-synthetic", "0"], "n is 0"),
        (["--labels", "FOLDER/l.csv", "--groups", "RESULTS/normals.h5ad"], "--group-column"),
        (
            ["--labels", "FOLDER/l.csv", "--groups", "RESULTS/normals.h5ad", "--group-column", "x"],
            "no column 'x'",
        ),
        (["RESULTS/cases.h5ad", "-o", "FOLDER/r.csv"], "X_dgd"),
        (["RESULTS/de.csv", "-o", "FOLDER/r.csv"], "stands there twice"),
    ],
)
def test_what_cannot_be_done_is_bad_input(
    results: Path, pydgd, tmp_path: Path, options: list[str], words: str
) -> None:
    """Exit 2, one message, no file."""
    places = [word.replace("FOLDER", str(tmp_path)).replace("RESULTS", str(results)) for word in options]
    done = pydgd("mixture", results / "normals.dgd", *places)
    assert (done.code, words in done.err) == (2, True), done.err
    assert list(tmp_path.iterdir()) == []
