# SPDX-License-Identifier: BSD-3-Clause
"""The likelihood of genes that a representation did not see."""

import numpy as np
import pytest
import torch

from pydgd.core.outputmodules import OutputModuleNBFeatureDispersion
from pydgd.data import scaling_factors
from pydgd.inference import find_representations
from pydgd.training.unseen import half_of_genes, unseen_nll


def test_a_half_is_a_half_and_the_seed_decides_which() -> None:
    """Of an odd number the smaller half is seen."""
    assert half_of_genes(101, seed=0).sum() == 50
    np.testing.assert_array_equal(half_of_genes(50, seed=3), half_of_genes(50, seed=3))
    assert (half_of_genes(50, seed=3) != half_of_genes(50, seed=4)).any()


def test_it_is_the_likelihood_of_the_other_half(counts, fitted) -> None:
    """Gene by gene, by the public parts: scaling factors and search see one half, the mass is the other's."""
    model = fitted(counts[:50]).model.eval()
    rest, seen = counts[50:], half_of_genes(200, seed=1)
    s = scaling_factors(rest, rule=model.scaling, profile=model.profile.double().numpy(), measured=seen)
    x = torch.as_tensor(rest * seen)
    z = find_representations(model, x, torch.as_tensor(s).float(), measured=torch.as_tensor(seen)).z.float()
    mu = model.decoder(z).detach() * torch.as_tensor(s).float()[:, None]
    r = model.decoder.output_module.log_r.detach().exp().expand_as(mu)
    mass = OutputModuleNBFeatureDispersion.log_prob_mass(torch.as_tensor(rest), mu, r).double().numpy()
    np.testing.assert_allclose(unseen_nll(model, rest), -mass[:, ~seen].mean(axis=1), rtol=1e-5)


def test_unseen_genes_do_not_reach_the_representation(counts, fitted) -> None:
    """With other reads in them the likelihood changes, and is that of the same means."""
    model = fitted(counts[:50]).model.eval()
    changed = counts[50:].copy()
    changed[:, ~half_of_genes(200, seed=1)] += 1
    assert (unseen_nll(model, changed) != unseen_nll(model, counts[50:])).all()
    # Back at a model that knows half of the genes only, nothing of the other half is left to differ.
    changed[:, ~half_of_genes(200, seed=1)] -= 1
    np.testing.assert_array_equal(unseen_nll(model, changed), unseen_nll(model, counts[50:]))


def test_a_sample_s_figure_does_not_depend_on_its_company(counts, fitted) -> None:
    """To rounding."""
    model = fitted(counts[:50]).model.eval()
    alone = np.concatenate([unseen_nll(model, counts[[row]]) for row in range(50, 60)])
    assert alone == pytest.approx(unseen_nll(model, counts[50:]), rel=1e-5)
