# SPDX-License-Identifier: BSD-3-Clause
"""Components that explain nothing are moved where that helps, and only there."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from pydgd.core.latent import COVARIANCE_TYPES
from pydgd.core.latent.em import MixtureParameters, run_em
from pydgd.core.latent.rescue import reseed, run_em_with_rescue

TYPES = list(COVARIANCE_TYPES)


def parameters(name: str, means: Tensor) -> MixtureParameters:
    weights = torch.full((len(means),), 1 / len(means), dtype=torch.float64)
    return MixtureParameters(weights, means, COVARIANCE_TYPES[name].identity(*means.shape))


@pytest.mark.parametrize("name", TYPES)
def test_dead_component_is_revived_where_it_helps(name: str, generator: torch.Generator) -> None:
    """Two far clusters, one mean between them and one nowhere: each cluster ends with its own mean."""
    noise = 0.1 * torch.randn(60, 2, generator=generator, dtype=torch.float64)
    noise[30:, 0] += 5
    means = torch.tensor([[2.5, 0.0], [-1e4, 0.0]], dtype=torch.float64)
    at = parameters(name, means)
    options = {"reg_covar": 1e-6, "tol": 1e-4, "max_iter": 100}
    without = run_em(noise, at, COVARIANCE_TYPES[name], **options)
    fit = run_em_with_rescue(noise, at, COVARIANCE_TYPES[name], **options)
    assert fit.lower_bound > without.lower_bound + 0.5
    np.testing.assert_allclose(sorted(fit.parameters.means[:, 0].tolist()), [0, 5], atol=0.1)
    np.testing.assert_allclose(fit.counts, [30, 30], atol=1e-6)


def test_useless_revival_is_undone() -> None:
    """Equal rows need one component; the other stays dead and the fit ends."""
    z = torch.zeros(10, 2, dtype=torch.float64)
    means = torch.tensor([[0.0, 0.0], [9.0, 9.0]], dtype=torch.float64)
    at = parameters("full", means)
    options = {"reg_covar": 1e-6, "tol": 1e-4, "max_iter": 20}
    fit = run_em_with_rescue(z, at, COVARIANCE_TYPES["full"], **options)
    assert fit.lower_bound == pytest.approx(run_em(z, at, COVARIANCE_TYPES["full"], **options).lower_bound)


def test_reseeding_goes_to_the_rows_explained_worst(overlapping: Tensor) -> None:
    """A dead component moves to the row with the lowest density, with one row's weight."""
    means = torch.cat([overlapping[:2], torch.full((1, 3), 1e4, dtype=torch.float64)])
    at = parameters("full", means)
    fit = run_em(overlapping, at, COVARIANCE_TYPES["full"], reg_covar=1e-6, tol=1e-4, max_iter=10)
    revived = reseed(overlapping, fit, COVARIANCE_TYPES["full"], 1e-6)
    assert torch.equal(revived.means[2], overlapping[fit.log_prob.argmin()])
    assert revived.weights.sum().item() == pytest.approx(1)
    assert revived.weights[2].item() == pytest.approx(1 / 201, rel=1e-3)


@pytest.mark.parametrize(("count", "moves"), [(0.0, True), (0.99, True), (1.0, False), (1.5, False)])
def test_a_component_is_dead_below_one_row(count: float, moves: bool, overlapping: Tensor) -> None:
    """With one row's worth or more it stays where it is."""
    at = parameters("full", overlapping[[3, 50]] + 0.25)
    fit = run_em(overlapping, at, COVARIANCE_TYPES["full"], reg_covar=1e-6, tol=1e-4, max_iter=1)
    counts = torch.tensor([200 - count, count], dtype=torch.float64)
    revived = reseed(overlapping, dataclasses.replace(fit, counts=counts), COVARIANCE_TYPES["full"], 1e-6)
    assert torch.equal(revived.means[0], fit.parameters.means[0])
    assert torch.equal(revived.means[1], fit.parameters.means[1]) is not moves
