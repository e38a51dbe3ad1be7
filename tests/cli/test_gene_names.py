"""`--gene-table` brings counts to a model's names."""

import re
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from pydgd import DGD
from pydgd.data.h5ad_writer import write_h5ad


@pytest.fixture
def renamed(cohort: Path, tmp_path: Path) -> Path:
    """The cases with Ensembl ids, their genes in another order, one gene split in two; and the table."""
    cases = anndata.read_h5ad(cohort / "cases.h5ad")
    ids = [f"ENSG{number:011d}" for number in range(cases.n_vars)]
    pd.DataFrame({"ensembl_gene_id": ids, "symbol": cases.var_names}).to_csv(
        tmp_path / "table.csv", index=False
    )
    counts = np.column_stack([cases.X, cases.X[:, 0] // 2])
    counts[:, 0] -= counts[:, -1]
    names = pd.Index([*(f"{name}.7" for name in ids), f"{ids[0]}.7_PAR_Y"])
    split = anndata.AnnData(counts, obs=cases.obs, var=pd.DataFrame(index=names))
    write_h5ad(split[:, ::-1].copy(), tmp_path / "ensembl.h5ad")
    return tmp_path


def test_other_names_give_the_same_table_to_the_bit(pydgd, cohort: Path, renamed: Path) -> None:
    model = cohort / "normals.dgd"
    expected = pydgd("de", model, cohort / "cases.h5ad", "-o", renamed / "expected.parquet")
    assert expected.code == 0, expected.err
    table = ["--gene-table", renamed / "table.csv"]
    done = pydgd("de", model, renamed / "ensembl.h5ad", "-o", renamed / "found.parquet", *table)
    assert done.code == 0, done.err
    assert re.search(r"genes matched \(1 of them from 2 genes, summed\), with 100\.0% of the reads", done.err)
    by = ["sample", "gene"]
    first, second = (pd.read_parquet(renamed / f"{name}.parquet") for name in ("expected", "found"))
    first, second = (
        part.astype({"sample": str, "gene": str}).sort_values(by, ignore_index=True)
        for part in (first, second)
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_a_report_gives_healthy_samples_the_same_names(pydgd, cohort: Path, renamed: Path) -> None:
    """The table is for both files of counts."""
    counts, page = renamed / "ensembl.h5ad", renamed / "report.html"
    table = ["--gene-table", renamed / "table.csv"]
    done = pydgd("report", cohort / "normals.dgd", counts, "--healthy", counts, *table, "-o", page)
    assert done.code == 0, done.err
    assert "further healthy samples" in page.read_text(encoding="utf-8")


def test_closest_normal_has_the_names_of_the_model(pydgd, cohort: Path, renamed: Path) -> None:
    done = pydgd(
        "closest-normal",
        cohort / "normals.dgd",
        renamed / "ensembl.h5ad",
        "-o",
        renamed / "normal.h5ad",
        "--gene-table",
        renamed / "table.csv",
    )
    assert done.code == 0, done.err
    normal = anndata.read_h5ad(renamed / "normal.h5ad")
    assert tuple(normal.var_names) == DGD.load(cohort / "normals.dgd").genes


def test_without_a_table_the_error_says_so(pydgd, cohort: Path, renamed: Path) -> None:
    done = pydgd("closest-normal", cohort / "normals.dgd", renamed / "ensembl.h5ad", "-o", renamed / "n.h5ad")
    assert done.code == 2
    assert not (renamed / "n.h5ad").exists()


def test_broken_table_is_named(pydgd, cohort: Path, renamed: Path) -> None:
    (renamed / "bad.csv").write_text("a,b\n1,2\n")
    table = ["--gene-table", renamed / "bad.csv"]
    done = pydgd("de", cohort / "normals.dgd", renamed / "ensembl.h5ad", "-o", renamed / "d.csv", *table)
    assert done.code == 2
    assert "bad.csv: a table of genes must hold two kinds of names" in done.err
