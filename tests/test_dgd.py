# SPDX-License-Identifier: BSD-3-Clause
"""`DGD` as its user meets it: names at every edge, the same model whatever the order, clear errors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy import sparse

import pydgd
from pydgd import DGD
from pydgd.config import TrainingConfig
from pydgd.data import Simulation, simulate_cohort
from pydgd.errors import (
    ConfigError,
    CountsError,
    ModelFileError,
    NamesError,
    TrainingError,
)

OPTIONS = {"latent_dim": 4, "epochs": 4, "n_components": 2}


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    """60 healthy samples of 3 tissues, 6 cases, 200 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=200, n_changed=3, n_unchanged=3, seed=0)


@pytest.fixture(scope="module")
def model(cohort: Simulation) -> DGD:
    """A small model."""
    return DGD.fit(cohort.normals, **OPTIONS)


def frame(adata: AnnData) -> pd.DataFrame:
    """Counts as a table."""
    return pd.DataFrame(np.asarray(adata.X), index=adata.obs_names, columns=adata.var_names)


def bits(model: DGD) -> list[bytes]:
    """Everything that training made, in the model's order."""
    tensors = [*model.record.model.state_dict().values(), model.record.representations]
    return [tensor.numpy().tobytes() for tensor in tensors]


def assert_same_model(one: DGD, other: DGD) -> None:
    """To the bit, names included."""
    assert one.genes == other.genes
    assert one.record.sample_names == other.record.sample_names
    assert one.record.labels == other.record.labels
    assert bits(one) == bits(other)


def test_public_example(cohort: Simulation, tmp_path: Path, monkeypatch) -> None:
    """The lines of the documentation, as they stand there."""
    monkeypatch.chdir(tmp_path)
    cohort.normals.write_h5ad("normals.h5ad")
    frame(cohort.cases).to_csv("tumour.csv")

    adata = pydgd.read_counts("normals.h5ad")
    model = pydgd.DGD.fit(adata, seed=0, **OPTIONS)
    model.save("normals.dgd")
    model = pydgd.DGD.load("normals.dgd")
    query = pydgd.read_counts("tumour.csv")
    normal = model.closest_normal(query)
    table = pydgd.differential_expression(query, normal)

    assert table["sample"].unique().tolist() == cohort.cases.obs_names.tolist()
    assert {"baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj"} <= set(table.columns)
    assert normal.to_anndata(query).obsm["X_dgd"].shape == (6, 4)


def shuffled(adata: AnnData) -> AnnData:
    """The same samples and genes in another order."""
    rng = np.random.default_rng(3)
    return adata[rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)].copy()


FORMS: dict[str, Callable[[AnnData], object]] = {
    "shuffled": shuffled,
    "CSR": lambda adata: AnnData(sparse.csr_matrix(adata.X), obs=adata.obs, var=adata.var),
    "CSC": lambda adata: AnnData(sparse.csc_matrix(adata.X), obs=adata.obs, var=adata.var),
    "float64": lambda adata: AnnData(np.asarray(adata.X, dtype=np.float64), obs=adata.obs, var=adata.var),
    "layer": lambda adata: AnnData(
        np.log1p(adata.X), obs=adata.obs, var=adata.var, layers={"counts": np.asarray(adata.X)}
    ),
    "view": lambda adata: shuffled(adata)[:, :],
    "read-only": lambda adata: _read_only(adata),
}


def _read_only(adata: AnnData) -> AnnData:
    made = adata.copy()
    made.X.setflags(write=False)
    return made


@pytest.mark.parametrize("form", FORMS)
def test_same_counts_in_any_form_give_the_same_model(cohort: Simulation, model: DGD, form: str) -> None:
    """Order of samples and genes, sparse or dense, precision: bit for bit by name."""
    assert_same_model(DGD.fit(FORMS[form](cohort.normals), **OPTIONS), model)


def test_data_frame_gives_the_same_model(cohort: Simulation) -> None:
    """A table has no donors and tissues unless its columns of text are those."""
    table = frame(cohort.normals)
    bare = cohort.normals.copy()
    bare.obs = bare.obs[[]]
    assert_same_model(DGD.fit(table, **OPTIONS), DGD.fit(bare, **OPTIONS))
    labelled = pd.concat([cohort.normals.obs.astype(str), table], axis=1)
    assert_same_model(DGD.fit(labelled, **OPTIONS), DGD.fit(cohort.normals, **OPTIONS))


@pytest.mark.parametrize(
    "options", [{"batch_size": 20}, {"n_units_hidden_layers": (8,), "dropout": 0.3}], ids=str
)
def test_seed_decides(cohort: Simulation, options: dict) -> None:
    """Same seed, same bits; another seed, another model; the global state of torch and NumPy is untouched."""
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = DGD.fit(cohort.normals, **OPTIONS, **options)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert_same_model(DGD.fit(cohort.normals, **OPTIONS, **options), first)
    assert bits(DGD.fit(cohort.normals, seed=1, **OPTIONS, **options)) != bits(first)


def test_one_batch_gives_the_same_model_again(cohort: Simulation) -> None:
    """With all samples in one batch too; no seed can change what it holds."""
    first = DGD.fit(cohort.normals, **OPTIONS)
    assert_same_model(DGD.fit(cohort.normals, **OPTIONS), first)


def test_fit_does_not_change_the_data(cohort: Simulation) -> None:
    """Counts, obs and var stay as they were."""
    before = cohort.normals.copy()
    DGD.fit(cohort.normals, **OPTIONS)
    assert np.array_equal(cohort.normals.X, before.X)
    pd.testing.assert_frame_equal(cohort.normals.obs, before.obs)
    assert cohort.normals.var_names.equals(before.var_names)


def test_donors_are_not_split(cohort: Simulation, model: DGD) -> None:
    """At least six samples are held out, and none of their donors is trained on."""
    donors = cohort.normals.obs["donor"].astype(str)
    trained = donors[list(model.record.sample_names)]
    held_out = donors.drop(trained.index)
    assert len(held_out) >= 6
    assert not set(trained) & set(held_out)
    assert model.provenance["n_held_out_samples"] == len(held_out)
    assert model.provenance["n_training_samples"] == len(trained)


def test_samples_of_unknown_donor_are_no_group(cohort: Simulation) -> None:
    """Missing donors do not make one large group: the share held out stays small."""
    adata = cohort.normals.copy()
    donors = adata.obs["donor"].astype(object)
    donors.iloc[10:] = np.nan
    adata.obs["donor"] = donors
    for seed in range(5):
        provenance = DGD.fit(adata, **{**OPTIONS, "epochs": 1}, seed=seed).provenance
        assert 6 <= provenance["n_held_out_samples"] <= 8


def test_labels_follow_their_samples(cohort: Simulation, model: DGD) -> None:
    """By name; missing ones are unknown; no column, no labels."""
    expected = cohort.normals.obs["tissue"].astype(str)
    assert model.labels is not None
    assert (model.labels == expected[model.labels.index]).all()
    assert model.labels.index.equals(model.representations.index)
    adata = cohort.normals.copy()
    tissues = adata.obs["tissue"].astype(object)
    tissues.iloc[0] = None
    adata.obs["tissue"] = tissues
    labels = DGD.fit(adata, **OPTIONS, validation=0).labels
    assert labels is not None
    assert labels[adata.obs_names[0]] == "unknown"
    assert (labels.drop(adata.obs_names[0]) == expected[labels.index].drop(adata.obs_names[0])).all()
    del adata.obs["tissue"]
    assert DGD.fit(adata, **OPTIONS).labels is None


def test_columns_of_obs_can_be_named(cohort: Simulation) -> None:
    """Other names than the usual ones; numbers are fine as labels."""
    adata = cohort.normals.copy()
    adata.obs["patient"] = np.arange(60) // 4
    adata.obs["grade"] = np.arange(60) % 3
    made = DGD.fit(adata, **OPTIONS, group_key="patient", label_key="grade")
    assert made.labels is not None
    assert set(made.labels) == {"0", "1", "2"}
    left_out = set(range(60)) - {adata.obs_names.get_loc(name) for name in made.record.sample_names}
    assert all(set(range(i - i % 4, i - i % 4 + 4)) <= left_out for i in left_out)


@pytest.mark.parametrize("option", ["group_key", "label_key"])
def test_unknown_column_is_named_with_those_there_are(cohort: Simulation, option: str) -> None:
    """Before any training."""
    with pytest.raises(
        ConfigError, match=rf"{option} 'nope' is not a column of obs; there are tissue, donor"
    ):
        DGD.fit(cohort.normals, **OPTIONS, **{option: "nope"})


@pytest.mark.parametrize(("min_detected", "n_genes"), [(0.0, 4), (0.2, 3), (0.5, 2)])
def test_rare_genes_are_not_modelled(cohort: Simulation, min_detected: float, n_genes: int) -> None:
    """A gene must have reads in more than the share of the samples."""
    counts = np.ones((60, 5), dtype=np.int64)
    counts[1:, 0], counts[21:, 1], counts[:, 3] = 0, 0, 0
    adata = AnnData(counts, obs=cohort.normals.obs, var=pd.DataFrame(index=list("abcde")))
    assert len(DGD.fit(adata, **OPTIONS, min_detected=min_detected).genes) == n_genes


def test_no_gene_left_is_an_error(cohort: Simulation) -> None:
    """The message says which share was asked for."""
    counts = np.eye(60, dtype=np.int64)
    adata = AnnData(counts, obs=cohort.normals.obs)
    with pytest.raises(TrainingError, match="2 genes: 0 of 60 has reads in more than 20% of the 60 samples"):
        DGD.fit(adata, **OPTIONS)


BAD: dict[str, tuple[Callable[[AnnData], object], dict, type[Exception], str]] = {
    "one sample": (lambda a: a[:1].copy(), {}, TrainingError, "at least 2 samples"),
    "fewer samples than components": (
        lambda a: a[:5].copy(),
        {"n_components": 6},
        TrainingError,
        "6 mixture components",
    ),
    "negative": (lambda a: frame(a) - 1e6, {}, CountsError, "negative"),
    "fractions": (lambda a: frame(a) + 0.5, {}, CountsError, "fractional"),
    "repeated sample": (lambda a: pd.concat([frame(a), frame(a)[:1]]), {}, NamesError, "repeated sample"),
    "repeated gene": (
        lambda a: pd.concat([frame(a), frame(a).iloc[:, :1]], axis=1),
        {},
        NamesError,
        "repeated gene",
    ),
    "sample without reads": (lambda a: frame(a) * (np.arange(60) != 3)[:, None], {}, CountsError, "no reads"),
    "unknown option": (lambda a: a, {"latentdim": 3}, ConfigError, "unknown option 'latentdim'"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused(cohort: Simulation, what: str) -> None:
    """Each by one clear error."""
    change, options, error, message = BAD[what]
    with pytest.raises(error, match=message):
        DGD.fit(change(cohort.normals), **{**OPTIONS, **options})


def test_options_in_the_record_are_those_used(cohort: Simulation) -> None:
    """Filled in where they depend on the data; they train the same model again."""
    made = DGD.fit(cohort.normals[:20].copy(), latent_dim=64, epochs=3, seed=7)
    options = made.provenance["options"]
    assert options.keys() == TrainingConfig.model_fields.keys()
    assert (options["latent_dim"], options["n_components"], options["covariance_type"]) == (19, 1, "tied")
    assert options["seed"] == 7
    assert_same_model(DGD.fit(cohort.normals[:20].copy(), **options), made)


@pytest.mark.parametrize(
    ("output_module", "scaling"),
    [("nb_feature_dispersion", "median"), ("nb_full_dispersion", "mean"), ("poisson", "total")],
)
def test_save_and_load_change_no_bit(
    cohort: Simulation, tmp_path: Path, output_module: str, scaling: str
) -> None:
    """The loaded model finds the same closest normals; its properties are the same."""
    made = DGD.fit(cohort.normals, **OPTIONS, output_module=output_module, scaling=scaling)
    unsaved = made.provenance
    made.save(tmp_path / "model.dgd")
    loaded = DGD.load(str(tmp_path / "model.dgd"))
    assert_same_model(loaded, made)
    pd.testing.assert_frame_equal(loaded.history, made.history)
    pd.testing.assert_frame_equal(loaded.representations, made.representations)
    assert loaded.provenance == made.provenance == unsaved
    one, two = made.closest_normal(cohort.cases), loaded.closest_normal(cohort.cases)
    assert one.means.tobytes() == two.means.tobytes()
    assert one.representations.tobytes() == two.representations.tobytes()
    pd.testing.assert_frame_equal(one.fit, two.fit)
    assert one.provenance == two.provenance
    assert one.provenance["model_sha256"] == made.record.content_hash != ""


def test_load_refuses_what_is_no_model(tmp_path: Path) -> None:
    """The same error as below."""
    (tmp_path / "model.dgd").write_text("no model")
    with pytest.raises(ModelFileError):
        DGD.load(tmp_path / "model.dgd")


def test_progress_is_told_every_epoch(cohort: Simulation) -> None:
    """From 1 to the number planned."""
    reports = []
    DGD.fit(cohort.normals, **OPTIONS, progress=reports.append)
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert np.isfinite(reports[-1].validation_nll)


def test_history_and_representations_are_labelled(model: DGD) -> None:
    """One row per epoch; one per training sample, dimensions z1, z2 …"""
    assert model.history["epoch"].tolist() == [1, 2, 3, 4]
    assert model.representations.columns.tolist() == ["z1", "z2", "z3", "z4"]
    assert model.representations.index.tolist() == sorted(model.representations.index)
    assert np.isfinite(model.representations).all(axis=None)


def test_repr_tells_the_size(model: DGD) -> None:
    """Without the weights."""
    n = len(model.record.sample_names)
    assert repr(model) == f"DGD(200 genes, 4 latent dimensions, 2 components, {n} training samples)".replace(
        "200", str(len(model.genes))
    )
