# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd gene-sets`."""

from pathlib import Path

import pandas as pd
import pytest

from pydgd import tl


@pytest.fixture
def sets(results: Path, tmp_path: Path) -> Path:
    """Ten genes each, of those of the table."""
    genes = pd.read_parquet(results / "de.parquet")["gene"].astype(str).unique()
    path = tmp_path / "sets.gmt"
    path.write_text("".join(f"set {i}\tnone\t" + "\t".join(genes[10 * i :][:10]) + "\n" for i in range(5)))
    return path


def test_the_command_writes_what_the_verb_returns(results: Path, pydgd, sets: Path, tmp_path: Path) -> None:
    """One table of all samples, and one per sample."""
    out, folder = tmp_path / "ora.csv", tmp_path / "by_sample"
    done = pydgd("gene-sets", results / "de.csv", sets, "-o", out, "--padj", "0.5", "--per-sample", folder)
    assert (done.code, done.out) == (0, "")
    assert "wrote 4 tables into" in done.err
    expected = tl.over_representation(
        pd.read_parquet(results / "de.parquet"), tl.read_gene_sets(sets), padj=0.5
    )
    found = pd.read_csv(out, keep_default_na=False, na_values={"e_score": [""]})
    pd.testing.assert_frame_equal(found, expected.astype({"sample": str}), rtol=1e-9)
    parts = [pd.read_csv(folder / f"{name}.csv") for name in expected["sample"].unique()]
    assert sum(map(len, parts)) == len(expected)


def test_lists_are_sets_of_their_files_names(results: Path, pydgd, tmp_path: Path) -> None:
    """Several files, and TSV out."""
    genes = pd.read_parquet(results / "de.parquet")["gene"].astype(str).unique()
    lists = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path, names in zip(lists, (genes[:20], genes[20:40]), strict=True):
        path.write_text("\n".join(names))
    done = pydgd("gene-sets", results / "de.csv", *lists, "-o", tmp_path / "t.tsv")
    assert done.code == 0
    assert set(pd.read_csv(tmp_path / "t.tsv", sep="\t")["gene_set"]) == {"one", "two"}


def test_gsea_ranks_genes(results: Path, pydgd, sets: Path, tmp_path: Path) -> None:
    """Through the extra."""
    pytest.importorskip("gseapy")
    out = tmp_path / "gsea.parquet"
    options = ["--method", "gsea", "--permutations", "20"]
    done = pydgd("gene-sets", results / "de.parquet", sets, "-o", out, *options)
    assert (done.code, done.out) == (0, "")
    table = pd.read_parquet(out)
    assert set(table["sample"]) == set(pd.read_parquet(results / "de.parquet")["sample"])
    assert {"es", "nes", "pvalue", "padj"} <= set(table.columns)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "magic"], "choose one of over-representation, gsea"),
        (["--direction", "both"], "choose one of any, up, down"),
        (["--min-genes", "0"], "--min-genes is 0"),
        (["--padj", "2"], "padj is 2"),
        (["--adjust", "holm"], "holm"),
        (["--method", "gsea", "--permutations", "2"], "permutations is 2"),
    ],
)
def test_bad_options_are_bad_input(
    results: Path, pydgd, sets: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    """Exit 2, one message, no table."""
    done = pydgd("gene-sets", results / "de.csv", sets, "-o", tmp_path / "t.csv", *options)
    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "t.csv").exists()


def test_bad_files_are_bad_input(results: Path, pydgd, sets: Path, tmp_path: Path) -> None:
    """A table of something else, a table that is not there, sets that are not there."""
    odd = tmp_path / "odd.csv"
    odd.write_text("a,b\n1,2\n")
    for table, given, words in (
        (odd, sets, "lacks the columns sample, gene"),
        (tmp_path / "none.csv", sets, "no such file"),
        (results / "de.csv", tmp_path / "none.gmt", "none.gmt"),
        (results / "normal.h5ad", sets, "expected a table"),
    ):
        done = pydgd("gene-sets", table, given, "-o", tmp_path / "t.csv")
        assert (done.code, words in done.err) == (2, True), done.err
