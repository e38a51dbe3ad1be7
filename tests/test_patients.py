# SPDX-License-Identifier: BSD-3-Clause
"""Patients out of a model: their changes are where the truth says, and nothing else changed."""

from dataclasses import replace

import numpy as np
import pytest

from pydgd import DGD
from pydgd.data import as_counts, simulate_cohort
from pydgd.errors import ConfigError
from pydgd.patients import draw_patients


@pytest.fixture(scope="module")
def model() -> DGD:
    normals = simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=1000, seed=0).normals
    return DGD.fit(normals, latent_dim=4, epochs=5, seed=0)


@pytest.fixture(scope="module")
def drawn(model):
    return draw_patients(model, n_changed=6, n_unchanged=3, changed_share=0.1, seed=4)


def test_they_are_counts_of_the_models_genes(model, drawn) -> None:
    patients, _ = drawn
    assert patients.shape == (9, len(model.genes))
    assert as_counts(patients).n_obs == 9
    assert patients.obs["kind"].value_counts().to_dict() == {"changed": 6, "unchanged": 3}
    assert patients.obs["tissue"].value_counts().to_dict() == dict.fromkeys(model.labels.unique(), 3)


def test_same_seed_same_patients(model, drawn) -> None:
    again, truth = draw_patients(model, n_changed=6, n_unchanged=3, changed_share=0.1, seed=4)
    np.testing.assert_array_equal(again.X, drawn[0].X)
    assert truth.equals(drawn[1])
    other, _ = draw_patients(model, n_changed=6, n_unchanged=3, changed_share=0.1, seed=5)
    assert (other.X != drawn[0].X).any()


def test_changes_are_of_their_size_and_nothing_else_changes(drawn) -> None:
    """Within five standard errors, over all planted genes and over all others."""
    patients, truth = drawn
    assert set(truth["sample"]) == set(patients.obs_names[patients.obs["kind"] == "changed"])
    assert truth["log2_fold_change"].abs().between(1, 3).all()
    assert abs((truth["log2_fold_change"] > 0).mean() - 0.5) < 0.05
    planted = np.zeros(patients.shape)
    rows, columns = (
        patients.obs_names.get_indexer(truth["sample"]),
        patients.var_names.get_indexer(truth["gene"]),
    )
    planted[rows, columns] = truth["log2_fold_change"]
    mu = patients.layers["expected"] * np.exp2(planted)
    sd = np.sqrt(mu + mu**2 * patients.var["dispersion"].to_numpy())
    z = (patients.X - mu) / sd
    for part in (planted > 0, planted < 0, planted == 0):
        assert abs(z[part].mean()) < 5 / np.sqrt(part.sum())
    assert (patients.layers["expected"][planted != 0] >= 20).all()


def test_models_that_cannot_be_drawn_from_are_refused(model) -> None:
    unlabelled = DGD(replace(model.record, labels=None))
    with pytest.raises(ConfigError, match="no labels"):
        draw_patients(unlabelled)
    normals = simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=100, seed=0).normals
    poisson = DGD.fit(normals, latent_dim=2, epochs=2, output_module="poisson")
    with pytest.raises(ConfigError, match="nb_feature_dispersion only"):
        draw_patients(poisson)
