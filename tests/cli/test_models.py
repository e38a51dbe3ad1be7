# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd models`, and names in place of MODEL in every command that takes one."""

import json
from pathlib import Path

import anndata
import pandas as pd
import pytest

from pydgd import DGD
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.patients import draw_patients

NAME = "normal-tissues"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDGD_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients drawn from the model that comes along."""
    path = tmp_path_factory.mktemp("patients") / "patients.h5ad"
    write_h5ad(draw_patients(DGD.load(NAME), n_changed=1, n_unchanged=1)[0], path)
    return path


@pytest.mark.parametrize("arguments", [["models"], ["models", "list"]])
def test_models_are_listed(pydgd, arguments) -> None:
    done = pydgd(*arguments)
    assert done.code == 0, done.err
    head, row = done.out.splitlines()[:2]
    assert head.split() == ["name", "genes", "samples", "tissues", "size", "sha256", "where"]
    assert row.split()[:4] == [NAME, "18,627", "557", "15"]
    assert "with PyDGD" in row


def test_models_are_listed_for_programs(pydgd) -> None:
    (found,) = json.loads(pydgd("models", "list", "--json").out)
    model = DGD.load(NAME)
    assert found["name"] == NAME
    assert found["sha256"] == model.provenance["sha256"]
    assert (found["genes"], found["samples"], found["tissues"]) == (18_627, 557, 15)
    assert Path(found["file"]).stat().st_size == found["bytes"]


def test_a_damaged_model_in_the_cache_is_told_and_the_others_are_listed(pydgd, tmp_path) -> None:
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "models" / "broken.dgd").write_text("nothing")
    done = pydgd("models")
    assert done.code == 0
    assert NAME in done.out
    assert "broken" not in done.out
    assert "broken.dgd is not a PyDGD model or is damaged" in done.err


def test_fetched_models_go_by_their_name(pydgd, cohort, tmp_path) -> None:
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "models" / "mine.dgd").write_bytes((cohort / "normals.dgd").read_bytes())
    names = [found["name"] for found in json.loads(pydgd("models", "list", "--json").out)]
    assert sorted(names) == ["mine", NAME]
    assert pydgd("de", "mine", cohort / "cases.h5ad", "-o", "de.csv").code == 0


def test_an_unknown_name_is_one_error(pydgd, cohort) -> None:
    done = pydgd("de", "normal-tisues", cohort / "cases.h5ad", "-o", "de.csv")
    assert (done.code, done.out) == (2, "")
    assert "did you mean normal-tissues?" in done.err
    assert "Traceback" not in done.err
    assert not Path("de.csv").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["closest-normal", NAME, "PATIENTS", "-o", "out.h5ad"],
        ["de", NAME, "PATIENTS", "-o", "out.parquet"],
        ["report", NAME, "PATIENTS", "-o", "out.html"],
        ["calibrate", NAME, "PATIENTS", "-o", "out.csv"],
        ["embed", NAME, "-o", "out.csv"],
        ["preprocess", "PATIENTS", "--model", NAME, "-o", "out.h5ad"],
        ["plot", "latent-map", NAME, "-o", "out.png"],
        ["convert", NAME, "-o", "out"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_takes_the_name(pydgd, patients, arguments) -> None:
    done = pydgd(*[patients if word == "PATIENTS" else word for word in arguments], "--threads", "1")
    if arguments[0] == "convert":
        # It is found; that bulkdgd has no such scaling is its own matter.
        assert "scaling" in done.err
        assert "YAML" not in done.err
        return
    assert done.code == 0, done.err
    assert Path(arguments[-1]).stat().st_size > 1_000


def test_de_of_a_patient_finds_planted_genes(pydgd, patients) -> None:
    assert pydgd("closest-normal", NAME, patients, "-o", "normal.h5ad").code == 0
    assert "dgd_mean" in anndata.read_h5ad("normal.h5ad").layers
    assert pydgd("de", NAME, patients, "--normal", "normal.h5ad", "-o", "de.parquet").code == 0
    table = pd.read_parquet("de.parquet")
    assert (table.loc[table["padj"] < 0.05, "sample"].astype(str).value_counts() > 20).to_dict() == {
        "P1": True
    }


def test_info_tells_the_file(pydgd) -> None:
    done = pydgd("info", NAME)
    assert done.code == 0
    assert "557 trained on" in done.out
    assert json.loads(pydgd("info", NAME, "--json").out)["n_genes"] == 18_627


def test_demo_with_the_model_writes_what_it_says(pydgd, tmp_path) -> None:
    """No training: patients out of the model, their calls against the truth, and the next step."""
    done = pydgd("demo", "--model", NAME, "-o", "demo", "--quiet")
    assert done.code == 0, done.err
    assert "false discovery proportion" in done.out
    assert f"pydgd de {NAME} COUNTS -o de.csv" in done.out
    written = sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert written == ["cases.h5ad", "de.csv", "latent_map.png", "truth.csv", "volcano.png"]
    assert all(f"demo/{name}" in done.out for name in written)
    recall, wrong = (float(done.out.split(name)[1].split("%")[0]) for name in ("recall", "proportion"))
    assert recall > 40
    assert wrong <= 7.5
