# SPDX-License-Identifier: BSD-3-Clause
"""Another form, order, company or number of threads: the same answers, within stated bounds."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import pydgd
from pydgd.data import Simulation, simulate_cohort

OPTIONS = {"latent_dim": 4, "epochs": 8, "n_components": 3, "seed": 0}
NUMBERS = ("observed", "baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj")


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    """75 healthy samples, 4 cases with changes, 2 without."""
    return simulate_cohort(n_tissues=3, n_per_tissue=25, n_genes=240, n_changed=4, n_unchanged=2, seed=5)


@pytest.fixture(scope="module")
def model(cohort: Simulation) -> pydgd.DGD:
    return pydgd.DGD.fit(cohort.normals, **OPTIONS)


def answers(model: pydgd.DGD, counts: AnnData | pd.DataFrame) -> pd.DataFrame:
    """Every test, by name."""
    table = pydgd.differential_expression(counts, model.closest_normal(counts))
    table = table.astype({"sample": str, "gene": str}).set_index(["sample", "gene"]).sort_index()
    return table[list(NUMBERS)].astype(float)


@pytest.fixture(scope="module")
def expected(model: pydgd.DGD, cohort: Simulation) -> pd.DataFrame:
    return answers(model, cohort.cases)


def with_matrix(adata: AnnData, matrix: object) -> AnnData:
    return AnnData(matrix, obs=adata.obs, var=adata.var)


FORMS: dict[str, Callable[[AnnData], AnnData | pd.DataFrame]] = {
    "samples and genes in another order": lambda x: x[
        ::-1, np.random.default_rng(1).permutation(x.n_vars)
    ].copy(),
    "float32": lambda x: with_matrix(x, np.asarray(x.X, dtype=np.float32)),
    "float64": lambda x: with_matrix(x, np.asarray(x.X, dtype=np.float64)),
    "int64": lambda x: with_matrix(x, np.asarray(x.X, dtype=np.int64)),
    "uint32": lambda x: with_matrix(x, np.asarray(x.X, dtype=np.uint32)),
    "Fortran order": lambda x: with_matrix(x, np.asfortranarray(x.X)),
    "CSR": lambda x: with_matrix(x, sparse.csr_matrix(x.X)),
    "CSC": lambda x: with_matrix(x, sparse.csc_matrix(x.X)),
    "data frame": lambda x: x.to_df(),
    "genes the model does not know": lambda x: AnnData(
        np.hstack([np.asarray(x.X), np.full((x.n_obs, 3), 7)]),
        obs=x.obs,
        var=pd.DataFrame(index=[*x.var_names, "ENSG99999999991", "ENSG99999999992", "ENSG99999999993"]),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_form_and_order_change_nothing(model, cohort, expected, form: str) -> None:
    """To the bit, by name."""
    pd.testing.assert_frame_equal(answers(model, FORMS[form](cohort.cases)), expected, check_exact=True)


@pytest.mark.parametrize("rows", [[0], [3], [5, 0, 2]], ids=str)
def test_company_changes_nothing(model, cohort, expected, rows: list[int]) -> None:
    """To the bit: a sample's answer is its own."""
    some = cohort.cases[rows].copy()
    own = expected[expected.index.get_level_values("sample").isin(some.obs_names)]
    pd.testing.assert_frame_equal(answers(model, some), own, check_exact=True)


@pytest.mark.parametrize("size", [1, 4, 64])
def test_chunk_size_changes_nothing(model, cohort, expected, size: int) -> None:
    """To the bit."""
    parts = []
    for normal in model.closest_normal_chunks(cohort.cases, chunk_size=size):
        own = cohort.cases[list(normal.sample_names)].copy()
        parts.append(pydgd.differential_expression(own, normal))
    table = pd.concat(parts).astype({"sample": str, "gene": str}).set_index(["sample", "gene"]).sort_index()
    pd.testing.assert_frame_equal(table[list(NUMBERS)].astype(float), expected, check_exact=True)


def test_order_of_training_samples_and_genes_changes_nothing(model, cohort, expected) -> None:
    """Trained again from a shuffled cohort: to the bit."""
    rng = np.random.default_rng(2)
    normals = cohort.normals[
        rng.permutation(cohort.normals.n_obs), rng.permutation(cohort.normals.n_vars)
    ].copy()
    again = pydgd.DGD.fit(normals, **OPTIONS)
    assert again.record.content_hash == model.record.content_hash
    pd.testing.assert_frame_equal(answers(again, cohort.cases), expected, check_exact=True)


def test_ten_times_the_depth_moves_no_fold_change(model, cohort) -> None:
    """Counts of samples without changes times 10: the expected reads follow within 2 % in the median, and of
    genes with 100 reads 99 in 100 fold changes move by less than a quarter of a doubling. P-values do: ten
    times the reads are more certain."""
    plain = cohort.cases[cohort.cases.obs["kind"] == "unchanged"].copy()
    deep = with_matrix(plain, np.asarray(plain.X) * 10)
    before, after = answers(model, plain), answers(model, deep)
    loud = before["observed"] >= 100
    ratio = after.loc[loud, "baseMean"] / before.loc[loud, "baseMean"] / 10
    assert abs(ratio.median() - 1) < 0.02
    moved = (after["log2FoldChange"] - before["log2FoldChange"])[loud].abs()
    assert moved.quantile(0.99) < 0.25


SCRIPT = """
import sys
import torch, pydgd
torch.set_num_threads(int(sys.argv[4]))
model, counts = pydgd.DGD.load(sys.argv[1]), pydgd.read_counts(sys.argv[2])
table = pydgd.differential_expression(counts, model.closest_normal(counts))
table.to_parquet(sys.argv[3])
"""


@pytest.mark.slow
def test_threads_change_nothing_that_is_seen(model, cohort, expected, tmp_path: Path) -> None:
    """One and two threads: sums in another order may differ in their last bits, by 1e-6 at most."""
    model.save(tmp_path / "model.dgd")
    cohort.cases.write_h5ad(tmp_path / "cases.h5ad")
    for threads in ("1", "2"):
        out = tmp_path / f"{threads}.parquet"
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT,
             tmp_path / "model.dgd", tmp_path / "cases.h5ad", out, threads],
            check=True, env={**os.environ, "OMP_NUM_THREADS": threads},
        )  # fmt: skip
        table = (
            pd.read_parquet(out)
            .astype({"sample": str, "gene": str})
            .set_index(["sample", "gene"])
            .sort_index()
        )
        pd.testing.assert_frame_equal(table[list(NUMBERS)].astype(float), expected, rtol=1e-6, atol=1e-9)
