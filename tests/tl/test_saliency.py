# SPDX-License-Identifier: BSD-3-Clause
"""Derivatives of means in representations, and of representations in reads."""

import numpy as np
import pandas as pd
import pytest
import torch

from pydgd import DGD, tl
from pydgd.errors import ConfigError, GeneMismatchError
from pydgd.inference.decoding import decode

Z = ["z1", "z2", "z3", "z4"]


@pytest.fixture(scope="module")
def deep(study) -> DGD:
    """A model with a hidden layer and its own r per sample."""
    return DGD.fit(
        study.simulation.normals,
        latent_dim=4,
        n_components=2,
        n_units_hidden_layers=[16],
        output_module="nb_full_dispersion",
        epochs=3,
    )


@pytest.mark.parametrize("scale", ["log", "mean"])
@pytest.mark.parametrize("which", ["study", "deep"])
def test_derivatives_of_means_are_those_of_autograd(study, deep, scale: str, which: str) -> None:
    """Average size, average, and spread, by torch's own Jacobian in float64."""
    model = deep if which == "deep" else study.model
    z = model.representations.iloc[:3]
    decoder = model.record.model.decoder

    def means(row: torch.Tensor) -> torch.Tensor:
        found = decoder.output_module.means_of(decoder(row.unsqueeze(0)))[0]
        return found.log() if scale == "log" else found

    rows = torch.as_tensor(z.to_numpy(), dtype=torch.float32)
    jacobians = np.stack([torch.autograd.functional.jacobian(means, row).numpy() for row in rows])
    found = tl.gene_sensitivity(model, z, scale=scale)
    signed = tl.gene_sensitivity(model, z, scale=scale, signed=True)
    assert found["gene"].tolist() == list(model.genes)
    tolerance = {"rtol": 1e-3, "atol": 1e-5 * np.abs(jacobians).max()}
    np.testing.assert_allclose(found[Z], np.abs(jacobians).mean(axis=0), **tolerance)
    np.testing.assert_allclose(signed[Z], jacobians.mean(axis=0), **tolerance)
    prior = model.record.model.prior
    pooled = np.einsum("k,kij->ij", prior.weights.double(), prior.covariances().double())
    spread = np.sqrt(np.einsum("ngi,ij,ngj->ng", jacobians, pooled, jacobians).clip(0))
    np.testing.assert_allclose(found["spread"], np.sqrt((spread**2).mean(axis=0)), **tolerance)


def test_a_set_moves_as_its_genes_do_on_average(study) -> None:
    """Genes that the model lacks do not count."""
    genes = list(study.model.genes)
    single = tl.gene_sensitivity(study.model, signed=True).set_index("gene")
    sets = tl.gene_sensitivity(
        study.model, signed=True, gene_sets={"S": [*genes[3:6], "X"], "none": ["X"], "one": genes[:1]}
    ).set_index("gene_set")
    assert sets["n_genes"].to_dict() == {"S": 3, "one": 1}
    np.testing.assert_allclose(sets.loc["S", Z], single.loc[genes[3:6], Z].mean(), rtol=1e-9)
    np.testing.assert_allclose(sets.loc["one", [*Z, "spread"]], single.loc[genes[0], [*Z, "spread"]])
    with pytest.raises(GeneMismatchError, match=r"'X'.*names of the same kind"):
        tl.gene_sensitivity(study.model, gene_sets={"S": ["X"]})


def test_representations_follow_a_changed_gene_to_first_order(study) -> None:
    """Counts are the expected ones; one gene's grow a little; the optimum is found again."""
    model = DGD.fit(study.simulation.normals, latent_dim=4, n_components=1, epochs=10)
    core = model.record.model
    centre = core.prior.means.float()
    mu, r = decode(core, centre, np.array([1000.0]))
    genes = [int(i) for i in np.argsort(-mu[0])[[0, 5, 40]]]
    z0 = centre[0].double()
    decoder, dispersion = core.decoder.double(), torch.as_tensor(r)
    try:
        counts = 1000.0 * decoder.output_module.means_of(decoder(z0.unsqueeze(0)))[0].detach()

        def objective(z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            means = decoder.output_module.means_of(decoder(z.unsqueeze(0)))[0] * 1000.0
            # The log-mass of a negative binomial as far as it depends on the means; x need not be whole.
            fit = x * means.log() - (x + dispersion) * (means + dispersion).log()
            return -fit.sum() - core.prior.log_prob(z.unsqueeze(0))[0]

        found = {}
        for gene in genes:
            ends = []
            for change in (-1e-3, 1e-3):
                x, z = counts.clone(), z0.clone()
                x[gene] *= np.exp(change)
                for _ in range(4):
                    gradient = torch.autograd.functional.jacobian(lambda z, x=x: objective(z, x), z)
                    hessian = torch.autograd.functional.hessian(lambda z, x=x: objective(z, x), z)
                    z = z - torch.linalg.solve(hessian, gradient)
                ends.append(z)
            found[gene] = ((ends[1] - ends[0]) / 2e-3).numpy()
    finally:
        core.decoder.float()
    normal = study.normal
    state = normal.to_anndata(study.simulation.cases)[:1].copy()
    del state.uns["dgd"]  # which names the study's model
    state.obsm["X_dgd_map"], state.obs["dgd_scaling_factor"] = centre.numpy(), 1000.0
    table = tl.representation_sensitivity(model, state).set_index("gene")
    for gene in genes:
        ours = table.loc[model.genes[gene], Z].to_numpy(dtype=float) / np.log(2)
        np.testing.assert_allclose(ours, found[gene], rtol=2e-3, atol=1e-5)


def test_a_set_moves_a_sample_by_the_sum_of_its_genes(study) -> None:
    """And closest normals say the same as the annotated data."""
    genes = list(study.model.genes)
    single = tl.representation_sensitivity(study.model, study.normal).set_index(["sample", "gene"])
    sets = tl.representation_sensitivity(study.model, study.normal, gene_sets={"S": genes[:5]})
    name = study.normal.sample_names[2]
    mine = sets[sets["sample"] == name][Z].to_numpy()[0]
    np.testing.assert_allclose(mine, single.loc[name].loc[genes[:5], Z].sum(), rtol=1e-9)
    annotated = tl.representation_sensitivity(
        study.model, study.normal.to_anndata(study.simulation.cases), gene_sets={"S": genes[:5]}
    )
    pd.testing.assert_frame_equal(annotated, sets, rtol=1e-6)


def test_genes_that_were_not_measured_do_not_move_anything(study, deep) -> None:
    """They have no row; the top ones are the first."""
    cases = study.simulation.cases[:, 5:].copy()
    normal = deep.closest_normal(cases)
    every = tl.representation_sensitivity(deep, normal)
    assert set(every["gene"]) == set(cases.var_names) & set(deep.genes)
    assert not every.groupby("sample")["shift"].apply(lambda s: s.is_monotonic_increasing).any()
    top = tl.representation_sensitivity(deep, normal, top=3)
    pd.testing.assert_frame_equal(top, every.groupby("sample", sort=False).head(3).reset_index(drop=True))
    one = [normal.sample_names[1]]
    alone = tl.representation_sensitivity(deep, normal.to_anndata(cases)[one].copy(), top=3)
    numbers = top[top["sample"] == one[0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, numbers, check_exact=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: tl.gene_sensitivity(s.model, scale="sqrt"), "scale is 'sqrt'"),
        (lambda s: tl.representation_sensitivity(s.model, s.normal, top=0), "top is 0"),
        (lambda s: tl.representation_sensitivity(s.model, s.simulation.cases), "dgd_scaling_factor"),
    ],
)
def test_what_makes_no_sense_is_refused(study, call, words: str) -> None:
    """With what was given."""
    with pytest.raises(ConfigError, match=words):
        call(study)


def test_closest_normals_of_another_model_are_refused(study, other_model: DGD) -> None:
    """In both forms and both directions: as many dimensions do not make it the same space."""
    for normal in (study.normal, study.normal.to_anndata(study.simulation.cases)):
        for analysis in (tl.gene_sensitivity, tl.representation_sensitivity):
            with pytest.raises(ConfigError, match="are of another model: SHA-256"):
                analysis(other_model, normal)
