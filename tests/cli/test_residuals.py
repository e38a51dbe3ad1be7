# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd residuals`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.mark.parametrize("source", ["normal.h5ad", "de.parquet", "de.csv"])
def test_residuals_of_every_result_agree(results: Path, pydgd, tmp_path: Path, source: str) -> None:
    """Samples in rows, genes in columns, names kept."""
    done = pydgd("residuals", results / source, "-o", tmp_path / "z.csv")
    assert (done.code, done.out) == (0, "")
    assert "wrote" in done.err
    z = pd.read_csv(tmp_path / "z.csv", index_col="sample")
    table = pd.read_parquet(results / "de.parquet")
    expected = table.pivot(index="sample", columns="gene", values="stat").loc[z.index, z.columns]
    assert z.shape == (4, table["gene"].nunique())
    # The h5ad holds expected reads in float32.
    np.testing.assert_allclose(z, expected, atol=1e-4)


def test_further_tables_count_samples(results: Path, pydgd, tmp_path: Path) -> None:
    """Per gene, and per number of samples."""
    genes, recurrence = tmp_path / "genes.tsv", tmp_path / "recurrence.parquet"
    done = pydgd(
        "residuals", results / "de.csv", "-o", tmp_path / "z.parquet", "--genes", genes, "--recurrence",
        recurrence, "--above", "2", "--below", "-2",
    )  # fmt: skip
    assert done.code == 0
    by_gene = pd.read_csv(genes, sep="\t")
    z = pd.read_parquet(tmp_path / "z.parquet").set_index("sample")
    assert by_gene.set_index("gene")["n_above"].sum() == (z >= 2).sum().sum()
    assert pd.read_parquet(recurrence).groupby("side")["n_genes"].sum().tolist() == [z.shape[1]] * 2


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("missing.csv", [], "there is no such file"),
        ("cases.h5ad", [], "dgd_mean"),
        ("de.csv", ["--kind", "pearson"], "nothing to compute pearson"),
        ("de.csv", ["--kind", "odd"], "choose one of"),
        ("normals.dgd", [], "expected"),
    ],
)
def test_what_cannot_be_done_is_bad_input(
    results: Path, pydgd, tmp_path: Path, source: str, options: list[str], words: str
) -> None:
    """Exit 2, one message, no file."""
    done = pydgd("residuals", results / source, "-o", tmp_path / "z.csv", *options)
    assert done.code == 2
    assert words in done.err
    assert list(tmp_path.iterdir()) == []
