# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd preprocess`, and files of counting programs given to the commands."""

import anndata
import numpy as np
import pandas as pd
import pytest

from pydgd import DGD


@pytest.fixture
def star_folder(cohort, tmp_path):
    """The cases of the cohort as STAR would have counted them, the last without a read, 3 genes left out."""
    folder = tmp_path / "star"
    folder.mkdir()
    cases = anndata.read_h5ad(cohort / "cases.h5ad")
    lacking = DGD.load(cohort / "normals.dgd").genes[:3]
    cases = cases[:, ~cases.var_names.isin(lacking)]
    for number, name in enumerate([*cases.obs_names, "empty"]):
        row = cases.X[number] if number < cases.n_obs else np.zeros(cases.n_vars, dtype=int)
        lines = [
            "N_unmapped\t1\t1\t1",
            "N_multimapping\t1\t1\t1",
            "N_noFeature\t1\t1\t1",
            "N_ambiguous\t1\t1\t1",
        ]
        lines += [f"{gene}\t{count}\t0\t{count}" for gene, count in zip(cases.var_names, row, strict=True)]
        (folder / f"{name}.ReadsPerGene.out.tab").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("ending", [".h5ad", ".csv.gz", ".parquet"])
def test_counts_are_brought_to_a_model(pydgd, cohort, star_folder, tmp_path, ending) -> None:
    """With tables of samples and genes; what was not measured is not in the counts."""
    output = tmp_path / f"counts{ending}"
    done = pydgd(
        "preprocess", star_folder, "--model", cohort / "normals.dgd", "--strand", "reverse", "-o", output
    )
    assert done.code == 0, done.err
    model = DGD.load(cohort / "normals.dgd")
    n_genes = len(model.genes)
    assert f"kept 4 of 5 samples and {n_genes - 3} of {n_genes} wanted genes" in done.err
    assert "1 samples dropped: no reads (first: empty)" in done.err
    samples = pd.read_csv(tmp_path / "counts.samples.csv", keep_default_na=False)
    assert samples.loc[~samples["kept"], ["sample", "reason"]].to_numpy().tolist() == [["empty", "no reads"]]
    genes = pd.read_csv(tmp_path / "counts.genes.csv", index_col="gene")
    assert genes.index[~genes["measured"]].tolist() == list(model.genes[:3])
    done = pydgd("closest-normal", cohort / "normals.dgd", output, "-o", tmp_path / "a.h5ad")
    assert done.code == 0, done.err
    (star_folder / "empty.ReadsPerGene.out.tab").unlink()
    done = pydgd(
        "closest-normal",
        cohort / "normals.dgd",
        star_folder,
        "--strand",
        "reverse",
        "-o",
        tmp_path / "b.h5ad",
    )
    assert done.code == 0, done.err
    first, second = (anndata.read_h5ad(tmp_path / name).obsm["X_dgd"] for name in ("a.h5ad", "b.h5ad"))
    assert np.array_equal(first, second)


def test_a_list_of_genes_and_thresholds(pydgd, cohort, tmp_path) -> None:
    """Comments and blank lines are no genes."""
    cases = anndata.read_h5ad(cohort / "cases.h5ad")
    wanted = tmp_path / "genes.txt"
    wanted.write_text("# a panel\n\n" + "\n".join(cases.var_names[[5, 2, 9]]) + "\nABSENT\n")
    reads = cases.X.sum(axis=1)
    done = pydgd(
        "preprocess", cohort / "cases.h5ad", "--genes", wanted, "--min-reads", int(np.median(reads)),
        "-o", tmp_path / "panel.h5ad",
    )  # fmt: skip
    assert done.code == 0, done.err
    panel = anndata.read_h5ad(tmp_path / "panel.h5ad")
    assert panel.var_names.tolist() == cases.var_names[[5, 2, 9]].tolist()
    assert panel.obs_names.tolist() == cases.obs_names[reads >= int(np.median(reads))].tolist()


def test_bad_requests_are_refused(pydgd, cohort, tmp_path) -> None:
    """Before anything is written."""
    (tmp_path / "empty.txt").write_text("# nothing\n")
    for arguments, problem in (
        (["--model", "m", "--genes", "g"], "--model and --genes both say which genes"),
        (["--genes", tmp_path / "empty.txt"], "no gene in this list"),
        (["--genes", tmp_path / "none.txt"], "no list of genes can be read"),
        (["--duplicate-genes", "mean"], "give one of refuse, sum"),
        (["--gene-table", "t.csv"], "say which: --model MODEL or --genes LIST"),
    ):
        done = pydgd("preprocess", cohort / "cases.h5ad", *arguments, "-o", tmp_path / "x.h5ad")
        assert done.code == 2
        assert problem in done.err
        assert not (tmp_path / "x.h5ad").exists()


def test_coverage_is_refused_with_a_repair_that_works(pydgd, shared, tmp_path) -> None:
    """The file of the peer's tutorial."""
    path = shared / "data" / "gtex_recount3_coverage.csv"
    done = pydgd("preprocess", path, "-o", tmp_path / "x.h5ad")
    assert done.code == 2
    assert "sums of base coverage" in done.err
    assert "--coverage-to-reads LENGTH" in done.err
    done = pydgd("preprocess", path, "--coverage-to-reads", "101", "-o", tmp_path / "x.h5ad")
    assert done.code == 0, done.err
    adata = anndata.read_h5ad(tmp_path / "x.h5ad")
    expected = pd.read_csv(path, index_col=0).drop(columns="tissue")[list(adata.var_names)]
    assert np.array_equal(adata.X, np.rint(expected / 101))


def test_tables_beside_the_counts_do_not_replace_the_input(pydgd, tmp_path) -> None:
    """Its name may be one of theirs."""
    path = tmp_path / "x.samples.csv"
    path.write_text("gene,S1,S2\nTP53,3,1\nMYC,0,2\n")
    done = pydgd("preprocess", path, "-o", tmp_path / "x.h5ad")
    assert done.code != 0
    assert "it is the input" in done.err
    assert path.read_text().startswith("gene,S1")
