# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd report`: from files to a page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from anndata import read_h5ad

from pydgd.data.h5ad_writer import write_h5ad


def data_of(path: Path) -> dict:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))


def test_a_page_about_all_samples(pydgd, cohort, tmp_path) -> None:
    """With gene sets and the calibration on healthy samples, if they are asked for."""
    page, sets = tmp_path / "report.html", tmp_path / "sets.gmt"
    sets.write_text("ALL\tnote\t" + "\t".join(data_genes(cohort)) + "\n")
    result = pydgd(
        "report", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", page, "--gene-sets", sets,
        "--healthy", cohort / "cases.h5ad", "--title", "Four cases", "--log2fc", "0",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "wrote" in result.err
    data, text = data_of(page), page.read_text(encoding="utf-8")
    assert len(data["samples"]) == 4
    assert "<h1>Four cases</h1>" in text
    assert "further healthy samples" in text
    assert data["samples"][0]["sets"][0][0] == "ALL"


def data_genes(cohort: Path) -> list[str]:
    from pydgd import DGD

    return list(DGD.load(cohort / "normals.dgd").genes)


def test_closest_normals_of_a_file_give_the_same_page(pydgd, cohort, tmp_path) -> None:
    """To the byte, without a search."""
    model, cases = cohort / "normals.dgd", cohort / "cases.h5ad"
    assert pydgd("closest-normal", model, cases, "-o", tmp_path / "n.h5ad").code == 0
    assert pydgd("report", model, cases, "-o", tmp_path / "a.html").code == 0
    assert pydgd("report", model, cases, "-o", tmp_path / "b.html", "--normal", tmp_path / "n.h5ad").code == 0
    first, second = (data_of(tmp_path / name)["samples"] for name in ("a.html", "b.html"))
    assert first == second


def test_some_of_the_samples(pydgd, cohort, tmp_path) -> None:
    """As the other commands choose them."""
    page = tmp_path / "report.html"
    result = pydgd(
        "report", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", page, "--where", "kind=changed"
    )
    assert result.code == 0, result.err
    assert len(data_of(page)["samples"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "report.pdf"], "ends in .html, .htm"),
        (["-o", "report.html", "--padj", "2"], "padj is 2.0"),
        (["-o", "report.html", "--gene-sets", "none.gmt"], "none.gmt"),
        (["-o", "report.html", "--point", "mean"], "point must be one of"),
    ],
)
def test_bad_options_are_one_clear_message(pydgd, cohort, tmp_path, monkeypatch, arguments, words) -> None:
    """Exit code 2, and no page."""
    monkeypatch.chdir(tmp_path)
    result = pydgd("report", cohort / "normals.dgd", cohort / "cases.h5ad", *arguments)
    assert result.code == 2
    assert words in result.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["de", "report"])
@pytest.mark.parametrize(
    "option", [("--point", "posterior"), ("--likelihood", "contaminated"), ("--scaling", "fitted")]
)
def test_options_of_the_search_are_refused_beside_a_saved_one(
    pydgd, results, tmp_path, command: str, option: tuple[str, str]
) -> None:
    """They could change nothing; `pydgd de` has the same options."""
    output = tmp_path / ("de.csv" if command == "de" else "report.html")
    saved = ["--normal", results / "normal.h5ad"]
    result = pydgd(command, results / "normals.dgd", results / "cases.h5ad", "-o", output, *saved, *option)
    assert result.code == 2
    assert (
        f"error: {option[0]} is about the search, which --normal saves: leave {option[0]} out" in result.err
    )
    assert result.err.count("\n") == 1
    assert not output.exists()


def test_healthy_samples_are_read_as_the_counts_are(pydgd, cohort, tmp_path) -> None:
    """All but the choice of samples, which is about the counts' own columns."""
    for name in ("cases", "normals"):
        adata = read_h5ad(cohort / f"{name}.h5ad")
        adata.layers["raw"] = adata.X.copy()
        adata.X = np.log1p(adata.X)
        write_h5ad(adata, tmp_path / f"{name}.h5ad")
    page = tmp_path / "report.html"
    arguments = [cohort / "normals.dgd", tmp_path / "cases.h5ad", "-o", page, "--layer", "raw"]
    result = pydgd("report", *arguments, "--where", "kind=changed", "--healthy", tmp_path / "normals.h5ad")
    assert result.code == 0, result.err
    assert "on 40 further healthy samples" in page.read_text()
