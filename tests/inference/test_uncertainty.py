# SPDX-License-Identifier: BSD-3-Clause
"""Variance of ln mu: against draws from the posterior it is meant to be of; derivatives by differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pydgd.inference.uncertainty import log_mean_jacobian, log_mean_variance


@pytest.mark.parametrize("widths", [(), (6, 5)])
@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
def test_jacobian_is_that_of_differences(
    problem: Callable[..., Any], widths: tuple[int, ...], activation: str
) -> None:
    """Central differences of ln mu in float64."""
    model = problem(widths=widths, n_genes=30, activation=activation).model.double().eval()
    model.requires_grad_(requires_grad=False)
    z = torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64)
    step = 1e-5 * torch.eye(4, dtype=torch.float64)
    module = model.decoder.output_module
    ahead, behind = (module.means_of(model.decoder(z + sign * step)).log() for sign in (1, -1))
    np.testing.assert_allclose(log_mean_jacobian(model, z), ((ahead - behind) / 2e-5).T, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_variance_is_that_of_draws(problem: Callable[..., Any], share: float) -> None:
    """Draws of z from the covariance that the module names, decoded to first order."""
    model = problem(n_genes=50).model.eval().requires_grad_(requires_grad=False)
    z, information = torch.zeros(4), torch.rand(50, generator=torch.Generator().manual_seed(0)) * 20
    covariance = torch.diag(torch.tensor([0.5, 1.0, 0.1, 2.0], dtype=torch.float64))
    jacobian = log_mean_jacobian(model, z).double()
    precision = (jacobian.T * information.double()) @ jacobian + torch.linalg.inv(covariance)
    left_open = share**2 * torch.linalg.inv(precision) + (1 - share) * covariance
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(4), left_open.numpy(), 200_000)
    found = log_mean_variance(
        model, z.double(), weight=information.double(), covariance=covariance, share=share
    )
    np.testing.assert_allclose(found, (draws @ jacobian.numpy().T).var(axis=0), rtol=0.02)


def test_fewer_measured_genes_leave_more_open(problem: Callable[..., Any]) -> None:
    """A gene without counts has information 0."""
    model = problem(n_genes=50).model.eval().requires_grad_(requires_grad=False)
    all_genes, few = torch.full((50,), 10.0), torch.zeros(50)
    few[:5] = 10.0
    wide, narrow = (
        log_mean_variance(
            model,
            torch.zeros(4, dtype=torch.float64),
            weight=information.double(),
            covariance=torch.eye(4, dtype=torch.float64),
            share=1.0,
        )
        for information in (few, all_genes)
    )
    assert (wide > narrow).all()


def test_deep_counts_along_equal_directions_have_a_variance(problem: Callable[..., Any]) -> None:
    """Float32 sums would leave the curvature indefinite."""
    model = problem(n_genes=3_000).model.eval().requires_grad_(requires_grad=False)
    weight = model.decoder.output_module.layer_means.weight
    weight[:, 2:] = weight[:, :1] * (
        1 + 1e-3 * torch.rand(3_000, 2, generator=torch.Generator().manual_seed(0))
    )
    found = log_mean_variance(
        model,
        torch.zeros(4, dtype=torch.float64),
        weight=torch.full((3_000,), 1e8, dtype=torch.float64),
        covariance=torch.eye(4, dtype=torch.float64),
        share=1.0,
    )
    assert torch.isfinite(found).all()
    assert (found > 0).all()
