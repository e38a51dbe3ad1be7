# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd cohort`."""

from pathlib import Path

import anndata
import pandas as pd
import pytest

from pydgd import tl


def test_tables_are_those_of_the_verbs(results: Path, pydgd, tmp_path: Path) -> None:
    """Groups from an h5ad, every view."""
    names = ("out", "consensus", "summary", "samples", "genes", "matrix")
    paths = {name: tmp_path / f"{name}.csv" for name in names}
    views = [word for name in names[1:] for word in (f"--{name}", paths[name])]
    options = ["--padj", "0.3", "--min-share", "0.4", "--min-samples", "1", "--top", "7"]
    groups = ["--groups", results / "cases.h5ad", "--group-column", "kind"]
    done = pydgd("cohort", results / "de.parquet", "-o", paths["out"], *views, *options, *groups)
    assert (done.code, done.out) == (0, "")
    table = pd.read_parquet(results / "de.parquet")
    kinds = anndata.read_h5ad(results / "cases.h5ad").obs["kind"]
    found = {name: pd.read_csv(path) for name, path in paths.items()}
    expected = tl.recurrence(table, groups=kinds, padj=0.3)
    pd.testing.assert_frame_equal(found["out"], expected, check_dtype=False)
    assert found["consensus"]["share"].min() >= 0.4
    assert found["summary"]["group"].tolist() == ["changed", "unchanged"]
    assert (
        found["samples"]["n_called"].sum()
        == found["genes"]["n_called"].sum()
        == found["out"]["n_called"].sum()
    )
    assert found["matrix"].shape == (4, 8)


def test_groups_from_a_table(results: Path, pydgd, tmp_path: Path) -> None:
    """The second column, unless said otherwise; names that look like numbers are names."""
    table = pd.read_parquet(results / "de.parquet")
    table["sample"] = table["sample"].cat.rename_categories([f"00{i}" for i in range(4)])
    table.to_csv(tmp_path / "de.csv", index=False)
    (tmp_path / "groups.tsv").write_text("name\tsex\tstage\n000\tf\tI\n001\tm\tI\n003\tf\tII\n")
    for column, groups in ((None, ["f", "m"]), ("stage", ["I", "II"])):
        chosen = ["--groups", tmp_path / "groups.tsv"] + (["--group-column", column] if column else [])
        assert pydgd("cohort", tmp_path / "de.csv", "-o", tmp_path / "out.tsv", *chosen).code == 0
        assert sorted(pd.read_csv(tmp_path / "out.tsv", sep="\t")["group"].unique()) == groups


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--padj", "0"], "padj is 0"),
        (["--log2fc", "-1"], "log2fc is -1"),
        (["--consensus", "FOLDER/c.csv", "--min-share", "2"], "--min-share is 2"),
        (["--matrix", "FOLDER/m.csv", "--top", "0"], "top is 0"),
        (["--groups", "RESULTS/normals.h5ad", "--group-column", "tissue"], "none of the 4 samples"),
        (["--groups", "RESULTS/none.csv"], "no such file"),
    ],
)
def test_bad_options_are_bad_input(
    results: Path, pydgd, tmp_path: Path, options: list[str], words: str
) -> None:
    """Exit 2, one message, no table."""
    places = [word.replace("FOLDER", str(tmp_path)).replace("RESULTS", str(results)) for word in options]
    done = pydgd("cohort", results / "de.csv", "-o", tmp_path / "t.csv", *places)
    assert (done.code, words in done.err) == (2, True), done.err
    assert list(tmp_path.iterdir()) == []
