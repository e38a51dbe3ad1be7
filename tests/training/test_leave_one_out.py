# SPDX-License-Identifier: BSD-3-Clause
"""Means that did not see their sample: against leaving it out for real."""

import numpy as np
import pytest
import torch

from pydgd.core.decoder import Decoder
from pydgd.training.leave_one_out import leave_one_out_means, leverages


def test_leverages_are_those_of_the_hat_matrix():
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(40, 3, generator=generator), torch.rand(40, 5, generator=generator) + 0.1
    design = np.c_[x.numpy(), np.ones(40)].astype(np.float64)
    for gene in range(5):
        weighted = design * np.sqrt(w[:, gene].double().numpy())[:, None]
        hat = weighted @ np.linalg.solve(weighted.T @ weighted, weighted.T)
        np.testing.assert_allclose(leverages(x, w)[:, gene], np.diag(hat), atol=2e-4)


@pytest.mark.parametrize("hidden", [[], [3]])
def test_means_are_near_those_of_a_fit_without_the_sample(hidden):
    rng = np.random.default_rng(1)
    z = torch.as_tensor(rng.standard_normal((60, 3)), dtype=torch.float32)
    options = {"output_dim": 4, "activation": "softplus"}
    decoder = Decoder(3, hidden, ["tanh"] * len(hidden), "poisson", options).requires_grad_(
        requires_grad=False
    )
    features = decoder.trunk(z)
    truth = torch.as_tensor(rng.normal(0, 0.3, (4, 3)), dtype=torch.float32)
    # Means of 1e-8 and a scaling factor of 2e9: softplus is the exponential there.
    scale = torch.full((60,), 2e9)
    counts = torch.as_tensor(rng.poisson(np.exp((features @ truth.T).numpy() + 3.0)), dtype=torch.float32)
    _fit(decoder, features, counts / scale[0], torch.ones(60, dtype=torch.bool))
    found = leave_one_out_means(decoder, z, counts, scale)
    for left_out in (0, 7, 31):
        keep = torch.arange(60) != left_out
        _fit(decoder, features, counts / scale[0], keep)
        np.testing.assert_allclose(found[left_out], decoder(z)[left_out] * scale[0], rtol=0.02)


def _fit(decoder: Decoder, features: torch.Tensor, counts: torch.Tensor, keep: torch.Tensor) -> None:
    """Poisson regression of each gene by Newton's method."""
    design = torch.cat([features, torch.ones(len(features), 1)], 1)[keep].double()
    x = counts[keep].double()
    beta = torch.zeros(design.shape[1], 4, dtype=torch.float64)
    beta[-1] = x.mean(0).log()
    for _ in range(30):
        mu = (design @ beta).exp()
        for gene in range(4):
            hessian = (design * mu[:, gene, None]).T @ design
            beta[:, gene] += torch.linalg.solve(hessian, design.T @ (x[:, gene] - mu[:, gene]))
    layer = decoder.output_module.layer_means
    layer.weight.copy_(beta[:-1].T.float())
    layer.bias.copy_(beta[-1].float())


def test_hostile_counts_give_finite_means():
    decoder = Decoder(
        2, [], [], "nb_feature_dispersion", {"output_dim": 3, "r_init": 2.0, "activation": "softplus"}
    )
    counts = torch.zeros(20, 3)
    counts[0] = torch.tensor([1e8, 1.0, 0.0])
    found = leave_one_out_means(decoder, torch.zeros(20, 2), counts, torch.full((20,), 1e6))
    assert torch.isfinite(found).all()
    assert (found > 0).all()
