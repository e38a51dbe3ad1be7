# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd calibrate`: the report of the API, printed, written and drawn, with a warning where it is bad."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pydgd import DGD, calibration_report, read_counts
from pydgd.data import simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a calibrated model m.dgd, and healthy.h5ad of eight samples of other donors."""
    folder = tmp_path_factory.mktemp("healthy")
    cohort = simulate_cohort(n_tissues=2, n_per_tissue=60, n_genes=400, n_changed=0, n_unchanged=8, seed=0)
    write_h5ad(cohort.cases, folder / "healthy.h5ad")
    DGD.fit(cohort.normals, latent_dim=4, epochs=5).save(folder / "m.dgd")
    return folder


def test_the_report_is_that_of_the_api(pydgd, healthy, tmp_path) -> None:
    """Printed on stdout, how many samples on stderr, every digit in the table, both plots in the picture."""
    done = pydgd(
        "calibrate", healthy / "m.dgd", healthy / "healthy.h5ad", "-o", tmp_path / "report.csv",
        "--plot", tmp_path / "report.png",
    )  # fmt: skip
    assert done.code == 0, done.err
    expected = calibration_report(DGD.load(healthy / "m.dgd"), read_counts(healthy / "healthy.h5ad"))
    found = pd.read_csv(tmp_path / "report.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(found, expected.table(), check_dtype=False, rtol=0, atol=0)
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0][:3] == ["8", "healthy", "samples,"]
    mean = expected.calls.groupby("p_values")["calls"].mean()
    assert ["mean", f"{mean['calibrated']:.2f}", f"{mean['negative binomial']:.2f}", "0"] in lines
    assert max(map(len, done.out.splitlines())) <= 80
    assert "calibration: 8 of 8 samples" in done.err
    assert f"wrote {tmp_path / 'report.csv'} (" in done.err
    assert f"wrote {tmp_path / 'report.png'} (" in done.err
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["report.tsv.gz", "report.parquet"])
def test_the_ending_decides_the_format_of_the_table(pydgd, healthy, tmp_path, name) -> None:
    """As in `pydgd de`; the seed is the API's."""
    arguments = ["calibrate", healthy / "m.dgd", healthy / "healthy.h5ad", "-o", tmp_path / name, "--seed", 5]
    assert pydgd(*arguments).code == 0
    found = (pd.read_parquet if name.endswith("parquet") else pd.read_table)(tmp_path / name)
    report = calibration_report(DGD.load(healthy / "m.dgd"), read_counts(healthy / "healthy.h5ad"), seed=5)
    pd.testing.assert_frame_equal(found, report.table(), check_dtype=False)


def test_samples_that_are_not_healthy_are_warned_of(pydgd, healthy, tmp_path) -> None:
    """A tenth of the genes with many reads has a hundred times as many; the command still ends well."""
    counts = read_counts(healthy / "healthy.h5ad")[:4].copy()
    changed = np.asarray(counts.X).copy()
    bright = np.argsort(-changed.mean(axis=0))[10:200:10]
    changed[:, bright] *= 100
    counts.X = changed
    write_h5ad(counts, tmp_path / "sick.h5ad")
    done = pydgd("calibrate", healthy / "m.dgd", tmp_path / "sick.h5ad")
    assert done.code == 0
    assert done.err.count("warning: p-values look too small on these samples") == 1
    assert "tests of bright genes have p <= 0.001" in done.err


def test_a_model_without_calibration_is_warned_of(pydgd, cohort) -> None:
    """It held out too few samples; the negative binomial is reported alone."""
    done = pydgd("calibrate", cohort / "normals.dgd", cohort / "cases.h5ad", "--where", "kind=unchanged")
    assert done.code == 0, done.err
    assert "warning: the model is not calibrated" in done.err
    assert "negative binomial" in done.out
    assert "calibrated" not in done.out


def test_quiet_prints_the_report_alone(pydgd, healthy) -> None:
    """It was asked for."""
    done = pydgd("calibrate", healthy / "m.dgd", healthy / "healthy.h5ad", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("8 healthy samples")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["-o", "report.xlsx"], ("cannot tell the format of", ".parquet")),
        (["--plot", "report.jpg"], ("cannot tell the format of", ".png, .pdf, .svg")),
        (["-o", "nowhere/report.csv"], ("does not exist",)),
        (["--plot", "nowhere/report.png"], ("does not exist",)),
        (["--min-shared", "2"], ("--min-shared",)),
        (["--where", "tissue=moon"], ("moon",)),
        (["--seed", "-1"], ("--seed",)),
    ],
)
def test_bad_options_are_refused_before_the_work(
    pydgd, healthy, tmp_path, monkeypatch, option, words
) -> None:
    """Exit code 2, one message, nothing written."""
    monkeypatch.chdir(tmp_path)
    done = pydgd("calibrate", healthy / "m.dgd", healthy / "healthy.h5ad", *option)
    assert (done.code, done.out) == (2, "")
    assert [word for word in words if word not in done.err] == []
    assert "calibration:" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_bad_counts_are_refused(pydgd, healthy, tmp_path) -> None:
    """The message names the file; an older report stays."""
    table = read_counts(healthy / "healthy.h5ad").to_df() + 0.5
    table.to_csv(tmp_path / "bad.csv")
    (tmp_path / "report.csv").write_text("older")
    done = pydgd("calibrate", healthy / "m.dgd", tmp_path / "bad.csv", "-o", tmp_path / "report.csv")
    assert done.code == 2
    assert "bad.csv" in done.err
    assert (tmp_path / "report.csv").read_text() == "older"


def test_the_input_is_never_overwritten(pydgd, healthy, tmp_path) -> None:
    """Not even when it is a table by its ending."""
    read_counts(healthy / "healthy.h5ad").to_df().to_csv(tmp_path / "counts.csv")
    done = pydgd("calibrate", healthy / "m.dgd", tmp_path / "counts.csv", "-o", tmp_path / "counts.csv")
    assert done.code == 2
    assert "it is the input" in done.err
