# SPDX-License-Identifier: BSD-3-Clause
"""The three commands of the main job, and `info` and `simulate`."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from pydgd import DGD, differential_expression, read_counts

from .conftest import SMALL

WITHOUT_TERMINAL = "import sys; from pydgd.cli import main; sys.exit(main())"


def run_apart(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TERMINAL, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_three_commands_do_the_main_job(cohort, tmp_path) -> None:
    """Train, find, test: each says on stderr what it wrote, stdout stays empty, the results fit together."""
    steps = (
        [
            "train",
            cohort / "normals.h5ad",
            "--where",
            "tissue=liver,kidney",
            "--seed",
            "1",
            "-o",
            "m.dgd",
            *SMALL,
        ],
        ["closest-normal", "m.dgd", cohort / "cases.h5ad", "-o", "normal.h5ad"],
        ["de", "m.dgd", cohort / "cases.h5ad", "-o", "de.parquet"],
    )
    for step in steps:
        done = run_apart(*step, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert f"wrote {step[step.index('-o') + 1]} (" in done.stderr
    normal, table = anndata.read_h5ad(tmp_path / "normal.h5ad"), pd.read_parquet(tmp_path / "de.parquet")
    cases = anndata.read_h5ad(cohort / "cases.h5ad")
    assert normal.obs_names.equals(cases.obs_names)
    assert normal.var_names.equals(cases.var_names)
    assert normal.obsm["X_dgd"].shape == (4, 4)
    one = table[table["sample"] == cases.obs_names[1]].set_index("gene")
    expected = normal[cases.obs_names[1], one.index].layers["dgd_mean"][0]
    np.testing.assert_allclose(one["baseMean"], expected, rtol=1e-6)
    np.testing.assert_array_equal(one["observed"], cases[cases.obs_names[1], one.index].X[0])


def test_train_is_the_api_with_the_same_options(pydgd, cohort, tmp_path) -> None:
    """The command adds nothing to `DGD.fit`: same counts, options and seed give the same model."""
    options = ["--seed", 7, "--hidden-layers", "6,8", "--activations", "relu", "--components", 2]
    done = pydgd("train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL, *options)
    assert done.code == 0, done.err
    expected = DGD.fit(
        read_counts(cohort / "normals.h5ad"),
        latent_dim=4, epochs=5, seed=7, n_units_hidden_layers=(6, 8), activations="relu", n_components=2,
    )  # fmt: skip
    trained = DGD.load(tmp_path / "m.dgd")
    pd.testing.assert_frame_equal(trained.representations, expected.representations)
    assert trained.provenance["options"] == expected.provenance["options"]


def test_train_reports_losses_and_the_model(pydgd, cohort, tmp_path) -> None:
    """Without a terminal, progress is plain lines with losses and time left; the end says what is kept."""
    done = pydgd("train", cohort / "normals.h5ad", "-o", tmp_path / "m.dgd", *SMALL)
    assert "read 40 samples x 150 genes from" in done.err
    assert "training: 1 of 5 epochs, train " in done.err
    assert " left\n" in done.err
    assert "training: 5 of 5 epochs, train " in done.err
    assert ", held-out " in done.err
    assert "trained on 34 samples (6 held out) and 148 genes" in done.err
    assert done.out == ""


def test_quiet_says_nothing(pydgd, cohort, tmp_path) -> None:
    """With --quiet neither stdout nor stderr has a word."""
    done = pydgd("de", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / "de.csv", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_verbose_says_how_counts_were_read(pydgd, cohort, tmp_path) -> None:
    """With --verbose the choice of orientation and its reason are said."""
    done = pydgd("de", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / "de.csv", "-v")
    assert "read as samples x genes, because" in done.err


@pytest.mark.parametrize("name", ["de.csv", "de.tsv", "de.csv.gz", "a.csv.tsv.gz", "de.parquet"])
def test_the_ending_decides_the_format_of_the_table(pydgd, cohort, tmp_path, name) -> None:
    """Each format holds the table of the API, every digit of it."""
    assert pydgd("de", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / name).code == 0
    query = read_counts(cohort / "cases.h5ad")
    expected = differential_expression(query, DGD.load(cohort / "normals.dgd").closest_normal(query))
    if name.endswith(".parquet"):
        found = pd.read_parquet(tmp_path / name)
    else:
        found = pd.read_csv(
            tmp_path / name, sep="\t" if ".tsv" in name else ",", float_precision="round_trip"
        )
    text = ["sample", "gene", "untested_reason"]
    pd.testing.assert_frame_equal(
        found.astype(dict.fromkeys(text, object)), expected.astype(dict.fromkeys(text, object)),
        check_dtype=False, rtol=0, atol=0,
    )  # fmt: skip


def test_gzipped_tables_are_the_same_bytes_each_time(pydgd, cohort, tmp_path) -> None:
    """Neither the time nor a temporary name gets into the file."""
    for name in ("a.csv.gz", "b.csv.gz"):
        pydgd("de", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(b'"sample","gene"')


def test_de_passes_rule_adjustment_and_cutoff_on(pydgd, cohort, tmp_path) -> None:
    """--rule, --adjust and --padj-below are the API's."""
    options = ["--rule", "up", "--adjust", "by", "--padj-below", "0.5"]
    done = pydgd("de", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / "de.parquet", *options)
    assert done.code == 0, done.err
    query = read_counts(cohort / "cases.h5ad")
    normal = DGD.load(cohort / "normals.dgd").closest_normal(query)
    expected = differential_expression(query, normal, rule="up", adjust="by", padj_below=0.5)
    found = pd.read_parquet(tmp_path / "de.parquet")
    assert len(found) == len(expected) < 600
    np.testing.assert_array_equal(found["padj"], expected["padj"])


def test_an_existing_result_is_replaced_and_said_so(pydgd, cohort, tmp_path) -> None:
    """Like PyDESeq2 and scanpy, a command writes over the result of an earlier run."""
    arguments = ["closest-normal", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", tmp_path / "n.h5ad"]
    (tmp_path / "n.h5ad").write_text("old")
    assert "replaced" in pydgd(*arguments).err
    assert anndata.read_h5ad(tmp_path / "n.h5ad").n_obs == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.h5ad"]


def test_a_single_sample_is_a_valid_query(pydgd, cohort, tmp_path) -> None:
    """One sample from a CSV file of genes x samples goes through both commands."""
    table = read_counts(cohort / "cases.h5ad").to_df().iloc[:1].T
    table.to_csv(tmp_path / "one.csv")
    for command, name in (("closest-normal", "n.h5ad"), ("de", "de.tsv")):
        done = pydgd(command, cohort / "normals.dgd", tmp_path / "one.csv", "-o", tmp_path / name)
        assert done.code == 0, done.err
    assert len(pd.read_csv(tmp_path / "de.tsv", sep="\t")) == 148


def test_round_accepts_fractional_counts(pydgd, cohort, tmp_path) -> None:
    """What is refused without --round is read with it."""
    table = read_counts(cohort / "cases.h5ad").to_df() + 0.25
    table.to_csv(tmp_path / "rsem.csv")
    arguments = ["de", cohort / "normals.dgd", tmp_path / "rsem.csv", "-o", tmp_path / "de.csv"]
    assert "--round" in pydgd(*arguments).err
    assert pydgd(*arguments, "--round").code == 0


def test_a_warning_is_given_once(pydgd, cohort, tmp_path) -> None:
    """Both steps of `de` notice that genes are missing; the user reads it once."""
    cases = read_counts(cohort / "cases.h5ad")
    cases[:, :100].copy().to_df().to_csv(tmp_path / "few.csv")
    done = pydgd("de", cohort / "normals.dgd", tmp_path / "few.csv", "-o", tmp_path / "de.csv")
    assert done.code == 0, done.err
    assert done.err.count("of the model's 148 genes") == 1


def test_info_shows_what_a_model_is(pydgd, cohort) -> None:
    """Samples, labels, genes, fit and hash go to stdout."""
    done = pydgd("info", cohort / "normals.dgd")
    assert (done.code, done.err) == (0, "")
    for part in (
        "34 trained on, 6 held out",
        "liver",
        "148: ENSG",
        "4 latent dimensions",
        "nats per count",
        "sha256",
    ):
        assert part in done.out


def test_info_as_json_holds_everything(pydgd, cohort) -> None:
    """--json is for programs: options, versions, genes."""
    facts = json.loads(pydgd("info", cohort / "normals.dgd", "--json").out)
    assert facts["options"]["latent_dim"] == 4
    assert len(facts["genes"]) == facts["n_genes"] == 148


def test_simulate_writes_cohort_and_truth(pydgd, tmp_path) -> None:
    """The files are those of `simulate_cohort` and fit together."""
    options = [
        "--tissues",
        2,
        "--per-tissue",
        5,
        "--genes",
        80,
        "--changed",
        1,
        "--unchanged",
        1,
        "--seed",
        4,
    ]
    assert pydgd("simulate", "-o", tmp_path / "deep" / "sim", *options).code == 0
    folder = tmp_path / "deep" / "sim"
    truth = pd.read_csv(folder / "truth.csv")
    assert read_counts(folder / "normals.h5ad").shape == (10, 80)
    assert set(truth["sample"]) <= set(read_counts(folder / "cases.h5ad").obs_names)
