# SPDX-License-Identifier: BSD-3-Clause
"""Expectation-maximisation against scikit-learn, an independent numpy EM, and its own laws."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import Tensor

from pydgd.core.latent import COVARIANCE_TYPES
from pydgd.core.latent.em import (
    SMALLEST_WEIGHT,
    MixtureParameters,
    e_step,
    expectation,
    joint_log_prob,
    m_step,
    run_em,
)

SKLEARN_NAMES = {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}
TYPES = list(COVARIANCE_TYPES)


def parameters(name: str, start: dict[str, Tensor]) -> MixtureParameters:
    unit = COVARIANCE_TYPES[name].identity(*start["means"].shape)
    return MixtureParameters(start["weights"], start["means"], unit)


@pytest.mark.parametrize("name", SKLEARN_NAMES)
def test_converged_fit_agrees_with_scikit_learn(
    name: str, overlapping: Tensor, start: dict[str, Tensor]
) -> None:
    """From the same start both reach the same parameters (1e-5) and bound (1e-9)."""
    kind, first = COVARIANCE_TYPES[name], parameters(name, start)
    ours = run_em(overlapping, first, kind, reg_covar=1e-6, tol=1e-14, max_iter=5000)
    theirs = SklearnMixture(
        3,
        covariance_type=SKLEARN_NAMES[name],
        weights_init=first.weights.numpy(),
        means_init=first.means.numpy(),
        precisions_init=first.covariance.numpy(),  # the identity is its own inverse
        tol=1e-13,
        max_iter=5000,
    ).fit(overlapping.numpy())
    assert ours.converged
    assert ours.lower_bound == pytest.approx(theirs.score(overlapping.numpy()), abs=1e-9)
    np.testing.assert_allclose(ours.parameters.weights, theirs.weights_, atol=1e-5)
    np.testing.assert_allclose(ours.parameters.means, theirs.means_, atol=1e-5)
    np.testing.assert_allclose(ours.parameters.covariance, theirs.covariances_, atol=1e-5)


def numpy_em(z: np.ndarray, first: MixtureParameters, *, spherical: bool, n_iter: int) -> tuple:
    """EM with one shared diagonal (or single) variance, written with SciPy densities and plain sums."""
    w, m, v = first.weights.numpy(), first.means.numpy(), np.ones(z.shape[1])
    for _ in range(n_iter):
        columns = [
            np.log(wk) + multivariate_normal(mk, np.diag(v)).logpdf(z) for wk, mk in zip(w, m, strict=True)
        ]
        joint = np.stack(columns, axis=1)
        r = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        w = r.mean(0)
        m = np.stack([np.average(z, axis=0, weights=r[:, k]) for k in range(len(w))])
        v = sum((r[:, [k]] * (z - m[k]) ** 2).sum(0) for k in range(len(w))) / len(z)
        v = np.full_like(v, v.mean()) if spherical else v
        v = v + 1e-6
    return w, m, v


@pytest.mark.parametrize("name", ["tied_diagonal", "tied_spherical"])
@pytest.mark.parametrize("n_iter", [1, 2, 25])
def test_tied_fits_agree_with_an_independent_em(
    name: str, n_iter: int, overlapping: Tensor, start: dict[str, Tensor]
) -> None:
    """The two types scikit-learn lacks, iteration by iteration against numpy, to 1e-10."""
    first, kind = parameters(name, start), COVARIANCE_TYPES[name]
    ours = run_em(overlapping, first, kind, reg_covar=1e-6, tol=1e-16, max_iter=n_iter).parameters
    w, m, v = numpy_em(overlapping.numpy(), first, spherical=name == "tied_spherical", n_iter=n_iter)
    np.testing.assert_allclose(ours.weights, w, atol=1e-10)
    np.testing.assert_allclose(ours.means, m, atol=1e-10)
    np.testing.assert_allclose(ours.covariance.expand(3), v, atol=1e-10)


@pytest.mark.parametrize("name", TYPES)
def test_bound_never_falls(name: str, overlapping: Tensor, start: dict[str, Tensor]) -> None:
    """Without regularisation each step explains the rows at least as well as the one before."""
    kind, at = COVARIANCE_TYPES[name], parameters(name, start)
    bounds = []
    for _ in range(30):
        expected = expectation(overlapping, at, kind)
        bounds.append(expected.bound)
        at = m_step(overlapping, expected, at, kind, 0.0)
    assert np.diff(bounds).min() > -1e-12


@pytest.mark.parametrize("name", TYPES)
def test_order_of_rows_does_not_matter(
    name: str, overlapping: Tensor, start: dict[str, Tensor], generator: torch.Generator
) -> None:
    """Shuffled rows give the same mixture to 1e-10."""
    order = torch.randperm(len(overlapping), generator=generator)
    one, other = (
        run_em(z, parameters(name, start), COVARIANCE_TYPES[name], reg_covar=1e-6, tol=1e-9, max_iter=200)
        for z in (overlapping, overlapping[order])
    )
    assert one.n_iter == other.n_iter
    torch.testing.assert_close(other.parameters.means, one.parameters.means, rtol=0, atol=1e-10)
    torch.testing.assert_close(other.parameters.covariance, one.parameters.covariance, rtol=0, atol=1e-10)


def test_max_iter_stops_without_convergence(overlapping: Tensor, start: dict[str, Tensor]) -> None:
    """Two iterations of a slow fit are two iterations, and said not to have converged."""
    fit = run_em(
        overlapping,
        parameters("full", start),
        COVARIANCE_TYPES["full"],
        reg_covar=1e-6,
        tol=1e-12,
        max_iter=2,
    )
    assert (fit.n_iter, fit.converged) == (2, False)


def test_reported_bound_counts_and_densities_are_those_of_the_result(
    overlapping: Tensor, start: dict[str, Tensor]
) -> None:
    """What a fit says about itself can be recomputed from its parameters."""
    kind = COVARIANCE_TYPES["full"]
    fit = run_em(overlapping, parameters("full", start), kind, reg_covar=1e-6, tol=1e-4, max_iter=9)
    responsibilities, log_prob = e_step(overlapping, fit.parameters, kind)
    torch.testing.assert_close(fit.log_prob, log_prob)
    torch.testing.assert_close(fit.counts, responsibilities.sum(0))
    assert fit.lower_bound == pytest.approx(log_prob.mean().item())


class Counted:
    """One process that counts its messages."""

    def __init__(self) -> None:
        self.n_messages = 0

    def total(self, values: Tensor) -> Tensor:
        """Nothing is added."""
        self.n_messages += 1
        return values

    def joined(self, rows: Tensor) -> Tensor:
        """Nobody asks."""
        raise NotImplementedError(rows)


def test_two_messages_for_an_iteration(overlapping: Tensor, start: dict[str, Tensor]) -> None:
    """All that an E step says goes in one, and the scatter in another: each waits for the slowest process."""
    shards, kind = Counted(), COVARIANCE_TYPES["tied"]
    fit = run_em(
        overlapping, parameters("tied", start), kind, reg_covar=1e-6, tol=1e-9, max_iter=7, shards=shards
    )
    assert shards.n_messages == 1 + 2 * fit.n_iter


@pytest.mark.parametrize("name", TYPES)
def test_component_without_rows_keeps_its_place(name: str, overlapping: Tensor) -> None:
    """Responsibilities of zero leave the mean where it was, and everything finite."""
    means = torch.cat([overlapping[:2], torch.full((1, 3), 1e4, dtype=torch.float64)])
    at = parameters(name, {"weights": torch.full((3,), 1 / 3, dtype=torch.float64), "means": means})
    expected = expectation(overlapping, at, COVARIANCE_TYPES[name])
    after = m_step(overlapping, expected, at, COVARIANCE_TYPES[name], 1e-6)
    assert torch.equal(after.means[2], means[2])
    assert after.weights[2].item() < 1e-10
    assert after.covariance.isfinite().all()


def test_a_component_without_weight_has_a_finite_density(
    overlapping: Tensor, start: dict[str, Tensor]
) -> None:
    """That of weight 1e-20, which no sum shows."""
    weights = torch.tensor([0.0, 0.4, 0.6], dtype=torch.float64)
    kind = COVARIANCE_TYPES["full"]
    joint = joint_log_prob(overlapping, parameters("full", start | {"weights": weights}), kind)
    without = joint_log_prob(
        overlapping, parameters("full", start | {"weights": torch.ones_like(weights)}), kind
    )
    expected = torch.tensor([1e-20, 0.4, 0.6], dtype=torch.float64).log()
    torch.testing.assert_close(joint - without, expected.expand_as(joint), rtol=1e-9, atol=1e-9)
    assert 1 + SMALLEST_WEIGHT == 1


def test_parameters_and_fits_do_not_change(overlapping: Tensor, start: dict[str, Tensor]) -> None:
    """A step gives new ones."""
    first = parameters("full", start)
    fit = run_em(overlapping, first, COVARIANCE_TYPES["full"], reg_covar=1e-6, tol=1e-4, max_iter=2)
    for one, name in ((first, "means"), (fit, "n_iter")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, None)
