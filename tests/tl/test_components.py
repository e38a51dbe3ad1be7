# SPDX-License-Identifier: BSD-3-Clause
"""The mixture behind a model."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal

from pydgd import tl
from pydgd.errors import ConfigError, NamesError


def test_densities_are_those_of_scipy(study) -> None:
    """Weight times normal density; responsibilities are their shares."""
    prior = study.model.record.model.prior
    z = study.model.representations
    table = tl.component_densities(study.model)
    n_components = prior.n_components
    joint = np.column_stack(
        [
            np.log(prior.weights[k].item())
            + multivariate_normal(prior.means[k].numpy(), prior.covariances()[k].numpy()).logpdf(z)
            for k in range(n_components)
        ]
    )
    names = [f"component_{k}" for k in range(n_components)]
    np.testing.assert_allclose(table[names], joint, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(table["density"], np.log(np.exp(joint).sum(axis=1)), rtol=1e-9, atol=1e-9)
    assert table["component"].tolist() == joint.argmax(axis=1).tolist()
    plain = tl.component_densities(study.model, log=False)
    np.testing.assert_allclose(plain[names], np.exp(joint), rtol=1e-9)
    shares = tl.responsibilities(study.model)
    np.testing.assert_allclose(shares, np.exp(joint) / np.exp(joint).sum(axis=1, keepdims=True), atol=1e-12)
    assert shares.index.tolist() == z.index.tolist()


def test_every_kind_of_source_gives_the_same(study) -> None:
    """Closest normals, annotated data, a table with or without more columns."""
    expected = tl.responsibilities(study.model, study.normal)
    assert expected.index.tolist() == list(study.normal.sample_names)
    annotated = study.normal.to_anndata(study.simulation.cases)
    plain = pd.DataFrame(annotated.obsm["X_dgd"], index=annotated.obs_names)
    named = plain.set_axis([f"z{i + 1}" for i in plain], axis=1).assign(tissue="x", depth=3.0)
    for source in (annotated, plain, named):
        pd.testing.assert_frame_equal(tl.responsibilities(study.model, source), expected)
    components = tl.component_densities(study.model, study.normal)["component"].to_numpy()
    np.testing.assert_array_equal(components, study.normal.component)


def test_a_sample_does_not_depend_on_its_company(study) -> None:
    """To the last bit."""
    z = study.model.representations
    every = tl.component_densities(study.model, z)
    pd.testing.assert_frame_equal(
        tl.component_densities(study.model, z.iloc[[7, 2]]), every.iloc[[7, 2]], check_exact=True
    )


def test_typical_samples_are_the_densest_of_their_component(study) -> None:
    """Only samples that belong to it, the densest first, with their labels."""
    table = tl.typical_samples(study.model, n=3)
    densities = tl.component_densities(study.model)
    for component, rows in table.groupby("component"):
        inside = densities[densities["component"] == component][f"component_{component}"]
        assert rows["sample"].tolist() == inside.sort_values(ascending=False).index[:3].tolist()
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    assert table["label"].tolist() == study.model.labels[table["sample"]].tolist()
    assert "label" not in tl.typical_samples(study.model, study.normal)
    with pytest.raises(ConfigError, match="n is 0"):
        tl.typical_samples(study.model, n=0)


def test_composition_counts_every_sample_once(study) -> None:
    """By most probable component and by responsibility."""
    table = tl.component_labels(study.model)
    n = len(study.model.representations)
    assert table["n_samples"].sum() == n
    assert table["n_expected"].sum() == pytest.approx(n, abs=0.05)
    assert table.groupby("component")["share"].sum().max() <= 1 + 1e-9
    weights = table.drop_duplicates("component").set_index("component")["weight"]
    prior = study.model.record.model.prior
    assert weights.to_dict() == {k: prior.weights[k].item() for k in weights.index}


def test_labels_of_queries_go_by_name(study) -> None:
    """Samples without one are unlabelled."""
    first = study.normal.sample_names[0]
    table = tl.component_labels(study.model, study.normal, labels={first: "tumour", "other": "x"})
    assert table.groupby("label")["n_samples"].sum().to_dict() == {"tumour": 1, "unlabelled": 7}
    with pytest.raises(ConfigError, match="there are no labels"):
        tl.component_labels(study.model, study.normal)
    with pytest.raises(NamesError, match="none of the samples"):
        tl.component_labels(study.model, study.normal, labels={"other": "x"})
    twice = pd.Series(["x", "y"], index=[study.normal.sample_names[0]] * 2)
    with pytest.raises(NamesError, match="has more than one label"):
        tl.component_labels(study.model, study.normal, labels=twice)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (pd.DataFrame(np.zeros((2, 3))), "3 dimensions, the model has 4"),
        (pd.DataFrame(np.zeros((0, 4))), "there is no sample"),
        (pd.DataFrame([[0.0, 1.0, np.nan, 0.0]], index=["S1"]), "'S1' has a value that is not finite"),
    ],
)
def test_positions_of_another_space_are_refused(study, source: pd.DataFrame, words: str) -> None:
    """With both numbers."""
    with pytest.raises(ConfigError, match=words):
        tl.responsibilities(study.model, source)


def test_a_table_of_positions_goes_by_the_names_of_its_columns(study) -> None:
    """Not by their order; one that lacks a dimension is refused."""
    z = study.model.representations
    shuffled = z[["z3", "z1", "z4", "z2"]].assign(age=40.0)
    pd.testing.assert_frame_equal(
        tl.responsibilities(study.model, shuffled), tl.responsibilities(study.model)
    )
    with pytest.raises(ConfigError, match="lacks z2 of the model's 4 dimensions"):
        tl.responsibilities(study.model, z.rename(columns={"z2": "z5"}))
    with pytest.raises(ConfigError, match="have 5 dimensions, the model has 4"):
        tl.responsibilities(study.model, z.assign(z5=0.0))


def test_closest_normals_of_another_model_are_refused(study, other_model) -> None:
    """As many dimensions do not make it the same space."""
    for normal in (study.normal, study.normal.to_anndata(study.simulation.cases)):
        for analysis in (tl.responsibilities, tl.component_densities, tl.typical_samples):
            with pytest.raises(ConfigError, match="are of another model: SHA-256"):
                analysis(other_model, normal)


def test_counts_without_positions_are_refused(study) -> None:
    """With where positions come from."""
    with pytest.raises(ConfigError, match="X_dgd"):
        tl.responsibilities(study.model, study.simulation.cases)


def test_nothing_leaves_a_gradient(study) -> None:
    """The model stays frozen."""
    tl.responsibilities(study.model)
    assert not any(p.requires_grad for p in study.model.record.model.parameters())
    assert torch.is_grad_enabled()
