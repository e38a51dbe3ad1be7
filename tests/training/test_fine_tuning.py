# SPDX-License-Identifier: BSD-3-Clause
"""A model learns a new tissue and keeps the old ones."""

import numpy as np
import pytest
from anndata import concat

from pydgd import DGD
from pydgd.data import align_to_genes, simulate_cohort
from pydgd.errors import ConfigError, GeneMismatchError, NamesError, TrainingError
from pydgd.training.unseen import unseen_nll

FIT = {"latent_dim": 6, "epochs": 20}


@pytest.fixture(scope="module")
def tissues():
    """Training and test samples of two old tissues and a new one: old, new, old test, new test."""
    normals = simulate_cohort(n_tissues=3, n_per_tissue=50, n_genes=300, seed=0).normals
    new = (normals.obs["tissue"] == normals.obs["tissue"].iloc[-1]).to_numpy()
    test = np.arange(normals.n_obs) % 5 == 0
    return [normals[rows].copy() for rows in (~new & ~test, new & ~test, ~new & test, new & test)]


@pytest.fixture(scope="module")
def model(tissues):
    return DGD.fit(tissues[0], **FIT)


@pytest.fixture(scope="module")
def learnt(model, tissues):
    return model.fine_tune(tissues[1], validation=0.2)


def nll(model: DGD, adata) -> float:
    return float(unseen_nll(model.record.model, align_to_genes(adata, model.genes).counts).mean())


def test_the_new_is_learnt_and_the_old_is_not_forgotten(model, learnt, tissues) -> None:
    """Unseen genes in test samples: old tissues lose nothing, new ones are as if always known."""
    old, new = tissues[2:]
    every = DGD.fit(concat(tissues[:2]), **FIT)
    assert nll(learnt, old) < nll(model, old) + 0.01
    assert nll(learnt, new) < nll(model, new) - 0.3
    assert nll(learnt, new) < nll(every, new) + 0.05


def test_without_a_replay_the_old_is_forgotten(model, tissues) -> None:
    """Two old samples are none to speak of: what the replay prevents, also at a pace that forgets."""
    fast = {"epochs": 60, "learning_rate": 0.03}
    naive = model.fine_tune(tissues[1], replay=tissues[0][:2].copy(), **fast)
    assert nll(naive, tissues[2]) > nll(model.fine_tune(tissues[1], **fast), tissues[2]) + 0.1


def test_old_samples_at_hand_are_replayed_themselves(model, tissues) -> None:
    """Nothing is lost either, and everything is calibrated on old and new samples together."""
    learnt = model.fine_tune(tissues[1], replay=tissues[0])
    assert nll(learnt, tissues[2]) < nll(model, tissues[2]) + 0.01
    assert nll(learnt, tissues[3]) < nll(model, tissues[3]) - 0.3
    record, both = learnt.record, concat(tissues[:2])
    assert set(record.sample_names) < set(both.obs_names)
    assert learnt.provenance["n_training_samples"] + learnt.provenance["n_held_out_samples"] == both.n_obs
    assert record.reference.n_samples == learnt.provenance["n_held_out_samples"]
    assert (record.calibration.log_r != model.record.calibration.log_r).any()


def test_the_model_is_larger_and_knows_all_samples(model, learnt, tissues) -> None:
    """One dimension per 6 new training samples, one component per 20; the old samples first, with labels."""
    n_new = learnt.provenance["n_training_samples"] - len(model.record.sample_names)
    decoder, prior = learnt.record.model.decoder, learnt.record.model.prior
    assert decoder.latent_dim == prior.latent_dim == 6 + n_new // 6
    assert prior.n_components == model.record.model.prior.n_components + n_new // 20
    assert learnt.record.sample_names[:-n_new] == model.record.sample_names
    assert learnt.labels[-n_new:].unique().tolist() == [tissues[1].obs["tissue"].iloc[0]]
    assert learnt.representations.shape == (len(learnt.record.sample_names), decoder.latent_dim)
    assert learnt.provenance["options"]["latent_dim"] == decoder.latent_dim
    assert learnt.provenance["fine_tuned"] == [
        {"n_samples": n_new, "from_sha256": model.record.content_hash, "replay": False}
    ]


def test_the_new_tissue_gets_components_of_its_own(learnt, tissues) -> None:
    """No old training sample is in the component of a new one, seen or not."""
    prior = learnt.record.model.prior
    found = learnt.closest_normal(tissues[3], point="map")
    labels = learnt.labels.to_numpy()
    components = prior.responsibilities(learnt.record.representations).argmax(dim=1).numpy()
    own = set(components[labels == tissues[1].obs["tissue"].iloc[0]])
    assert own.isdisjoint(components[labels != tissues[1].obs["tissue"].iloc[0]])
    assert set(found.fit["dgd_component"]) <= own


def test_neither_the_model_nor_the_order_of_samples_matters(model, tissues) -> None:
    """The old model is as it was, and shuffled new samples give the same model to the bit."""
    before = DGD(model.record).record.content_hash
    first = model.fine_tune(tissues[1], epochs=2)
    second = model.fine_tune(tissues[1][::-1, ::-1].copy(), epochs=2)
    assert first.record.content_hash == second.record.content_hash
    assert model.record.content_hash == before
    assert model.record.model.decoder.latent_dim == 6


def test_it_is_saved_and_learns_again(learnt, tissues, tmp_path) -> None:
    """A model of three lots, with two notes."""
    learnt.save(tmp_path / "m.dgd")
    loaded = DGD.load(tmp_path / "m.dgd")
    more = tissues[3].copy()
    again = loaded.fine_tune(more, epochs=2, more_dimensions=1, more_components=1)
    assert again.record.model.decoder.latent_dim == learnt.record.model.decoder.latent_dim + 1
    assert [note["n_samples"] for note in again.provenance["fine_tuned"]][1] == more.n_obs - 1
    assert again.provenance["fine_tuned"][1]["from_sha256"] == learnt.record.content_hash


@pytest.mark.parametrize(
    "options",
    [
        {"n_units_hidden_layers": (8,)},
        {"prior": "gradient"},
        {"output_module": "nb_full_dispersion"},
        {"output_module": "poisson"},
        {"scaling": "mean"},
        {"covariance_type": "full"},
    ],
    ids=str,
)
def test_every_kind_of_model_learns(tissues, options) -> None:
    """Finite, saved as any other, and better on the new tissue."""
    model = DGD.fit(tissues[0], latent_dim=3, epochs=5, **options)
    learnt = model.fine_tune(tissues[1], epochs=5)
    assert all(tensor.isfinite().all() for tensor in learnt.record.model.state_dict().values())
    assert nll(learnt, tissues[3]) < nll(model, tissues[3])


def test_dispersions_are_kept_where_there_is_no_noise_to_learn_them_from(model, learnt) -> None:
    """Expected reads would make every gene a Poisson one."""
    old, new = (one.record.model.decoder.output_module.log_r for one in (model, learnt))
    assert (old == new).all()
    assert (learnt.record.calibration.log_r == model.record.calibration.log_r).all()


def test_without_old_samples_the_more_cautious_calibration_is_taken(model, learnt) -> None:
    """The flags' reference is that of all samples held out, then and now."""
    n_new = learnt.provenance["n_held_out_samples"] - model.provenance["n_held_out_samples"]
    assert n_new >= 5
    assert learnt.record.reference.n_samples == model.record.reference.n_samples + n_new
    assert learnt.record.calibration.misfit_limit >= model.record.calibration.misfit_limit


def test_few_new_samples_leave_the_calibration_as_it_was(model, tissues, caplog) -> None:
    """With a warning; the reference of the flags too."""
    learnt = model.fine_tune(tissues[1][:12].copy(), epochs=2)
    assert learnt.record.reference is model.record.reference
    assert learnt.record.calibration is model.record.calibration
    assert "5 are needed to calibrate on them" in caplog.text


def test_what_cannot_be_learnt_is_refused(model, tissues) -> None:
    """Known samples, other genes, options of the model, one sample."""
    new = tissues[1]
    with pytest.raises(NamesError, match="among those that the model knows"):
        model.fine_tune(concat([new, tissues[0][:1]]))
    with pytest.raises(GeneMismatchError):
        model.fine_tune(new[:, 5:].copy())
    with pytest.raises(ConfigError, match="unknown option 'latent_dim' of a fine-tuning"):
        model.fine_tune(new, latent_dim=3)
    with pytest.raises(ConfigError, match="epochs"):
        model.fine_tune(new, epochs=0)
    with pytest.raises(ConfigError, match="more_dimensions must be at least 1, got 0"):
        model.fine_tune(new, more_dimensions=0)
    with pytest.raises(TrainingError, match="at least 2 new samples"):
        model.fine_tune(new[:1].copy())
