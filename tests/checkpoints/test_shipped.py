# SPDX-License-Identifier: BSD-3-Clause
"""The model that comes with PyDGD is whole, small, and what its card says."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import pydgd
import pydgd.config
from pydgd.checkpoints.native import FORMAT_VERSION
from pydgd.data.named import SHIPPED
from pydgd.patients import draw_patients

ROOT = Path(__file__).parents[2]
NAME = "normal-tissues"
MOST_BYTES = 12_000_000


@pytest.fixture(scope="module")
def model() -> pydgd.DGD:
    return pydgd.DGD.load(NAME)


@pytest.fixture(scope="module")
def card() -> dict:
    return json.loads((SHIPPED / f"{NAME}.json").read_text())


def test_it_is_the_model_of_its_card(model, card) -> None:
    """Hash, genes, samples and versions."""
    assert model.provenance["sha256"] == card["content_sha256"]
    assert len(model.genes) == card["genes"]
    assert model.provenance["n_training_samples"] == len(model.representations) == card["trained_on"]
    assert model.provenance["n_held_out_samples"] == card["held_out_for_calibration"]
    assert model.provenance["versions"] == card["versions"]
    assert set(model.labels) == set(card["samples"])
    assert card["trained_on"] + card["held_out_for_calibration"] == sum(
        sum(projects.values()) for projects in card["samples"].values()
    )


def test_its_page_says_what_its_card_says(card) -> None:
    """Hashes, samples of each tissue, and what was measured."""
    page = (ROOT / "docs" / "models" / f"{NAME}.md").read_text()
    cells = [cell.strip() for cell in page.replace("\n", "|").split("|")]
    for tissue, projects in card["samples"].items():
        place = cells.index(tissue)
        shown = [str(projects.get(project, "")) for project in ("GTEx", "TCGA")]
        assert cells[place + 1 : place + 3] == shown, tissue
    measured = card["never_seen"]
    said = [
        f"`{card['content_sha256']}`",
        f"`{card['counts_sha256']}`",
        f"{card['genes']:,} protein-coding",
        f"{card['trained_on']} of them",
        f"{measured['samples']} samples of other donors",
        f"| {measured['nll_per_count']:.2f} nats |",
        f"| {measured['with_close_normal']:.0%} |".replace("%", " %"),
        f"| {measured['nearest_label_is_tissue']:.0%} |".replace("%", " %"),
        f"| {measured['size over level, bright, 0.05']:.2f} | 1 |",
        f"| {measured['size over level, bright, 0.001']:.2f} | 1 |",
        f"| {measured['size over level, dim, 0.001']:.2f} | at most 1 |",
        f"| {measured['calls per sample, mean, all, 0.05']:.2f} | 0 |",
        *(one["gene"] for one in card["expected_too_high"]),
    ]
    assert [text for text in said if text not in page] == []


def test_it_was_trained_with_default_options_and_seed_0(model) -> None:
    """Those that are None by default are told by the counts; options that came later are none of its."""
    defaults = pydgd.config.TrainingConfig().model_dump(mode="json")
    used = model.provenance["options"]
    fixed = {name for name, value in defaults.items() if value is not None and name in used}
    assert {name for name in fixed if used[name] != defaults[name]} == set()
    assert used["seed"] == 0


def test_it_is_calibrated(model) -> None:
    assert model.record.calibration is not None
    assert model.record.reference is not None


def test_what_is_shipped_is_small() -> None:
    """Model and card travel with every wheel and clone."""
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= MOST_BYTES


def test_its_format_is_the_one_that_is_written_today() -> None:
    """Once a release writes another, this file must still load: then say so here."""
    with safe_open(SHIPPED / f"{NAME}.dgd", framework="pt") as file:
        assert int(file.metadata()["format_version"]) == FORMAT_VERSION == 2


def test_no_counts_are_in_it() -> None:
    """Tensors of the model and its calibration; nothing of samples × genes."""
    with safe_open(SHIPPED / f"{NAME}.dgd", framework="pt") as file:
        shapes = [tuple(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118
        n_samples = len(json.loads(file.metadata()["samples"]))
    assert [shape for shape in shapes if len(shape) > 1 and n_samples in shape and shape[-1] > 100] == []


def test_the_wheel_has_it() -> None:
    """hatchling takes what git does not ignore."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["packages"] == ["src/pydgd"]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ignored.index("!src/pydgd/models/*") > ignored.index("*.dgd")


def test_it_does_the_whole_job(model) -> None:
    """Patients drawn from it: nearly no call in the healthy, the right tissue and direction in the others."""
    patients, truth = draw_patients(model, n_changed=2, n_unchanged=2, seed=1)
    normal = model.closest_normal(patients)
    for tissue, nearest in zip(patients.obs["tissue"], normal.fit["dgd_nearest_labels"], strict=True):
        assert tissue in nearest
    table = pydgd.differential_expression(patients, normal, padj_below=0.05)
    called = table.astype({"sample": str, "gene": str}).merge(truth, on=["sample", "gene"], how="left")
    assert (called["log2_fold_change"].isna()).mean() <= 0.05
    right = called[called["log2_fold_change"].notna()]
    assert len(right) >= 0.4 * len(truth)
    assert (np.sign(right["log2FoldChange"]) == np.sign(right["log2_fold_change"])).all()


def test_counts_by_ensembl_ids_are_refused_with_the_way_to_symbols(model) -> None:
    """A table of gene names brings them there."""
    patients, _ = draw_patients(model, n_changed=1, n_unchanged=1, seed=2)
    patients.var_names = [f"ENSG{i:011d}.7" for i in range(patients.n_vars)]
    with pytest.raises(pydgd.errors.GeneMismatchError, match="--gene-table"):
        model.closest_normal(patients)


@pytest.mark.slow
def test_it_describes_healthy_samples_that_it_never_saw(model, card, shared: Path) -> None:
    """At most 5.75 nats per count, as its card has it."""
    normals = pydgd.read_counts(shared / "data" / "normals.h5ad")
    unseen = normals[normals.obs["split"] == "test_heldout"].copy()
    nll = model.closest_normal(unseen).fit["dgd_nll_per_gene"].mean()
    assert nll <= 5.75
    assert nll == pytest.approx(card["never_seen"]["nll_per_count"], abs=1e-3)
