# SPDX-License-Identifier: BSD-3-Clause
"""Covariance types against SciPy densities and plain weighted sums."""

import re

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import Tensor

from pydgd.core.latent import COVARIANCE_TYPES, covariances
from pydgd.core.latent.covariances import cholesky, covariance_type_named

SKLEARN_NAMES = {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}
TYPES = list(COVARIANCE_TYPES)


def random_covariance(name: str, k: int, d: int, generator: torch.Generator, scale: float = 1.0) -> Tensor:
    """Positive definite covariances in the shape of the type."""
    unit = COVARIANCE_TYPES[name].identity(k, d)
    if name in {"full", "tied"}:
        root = torch.randn(unit.shape, generator=generator, dtype=torch.float64)
        return scale * (root @ root.mT + unit)
    return scale * (0.2 + torch.rand(unit.shape, generator=generator, dtype=torch.float64))


def scipy_density(z: Tensor, means: Tensor, matrices: Tensor) -> np.ndarray:
    columns = [multivariate_normal(m, c).logpdf(z.numpy()) for m, c in zip(means, matrices, strict=True)]
    return np.stack([np.atleast_1d(column) for column in columns], axis=1)


@pytest.mark.parametrize("d", [1, 5])
@pytest.mark.parametrize("name", TYPES)
def test_log_density_agrees_with_scipy(name: str, d: int, generator: torch.Generator) -> None:
    """Every type is the multivariate normal of its expanded covariance, to 1e-10 nats."""
    kind = COVARIANCE_TYPES[name]
    means, z = (torch.randn(n, d, generator=generator, dtype=torch.float64) for n in (3, 20))
    covariance = random_covariance(name, 3, d, generator)
    expected = scipy_density(z, means, kind.expand(covariance, 3, d))
    np.testing.assert_allclose(kind.log_density(z, means, covariance), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", TYPES)
def test_log_density_survives_tiny_variances_far_from_the_origin(
    name: str, generator: torch.Generator
) -> None:
    """Variance 1e-6 around means that are 1000 from zero and 1 apart: within 1e-6 nats of SciPy."""
    kind = COVARIANCE_TYPES[name]
    means = 1000 + torch.rand(3, 4, generator=generator, dtype=torch.float64)
    z = means + 1e-3 * torch.randn(3, 4, generator=generator, dtype=torch.float64)
    covariance = random_covariance(name, 3, 4, generator, scale=1e-6)
    expected = np.diag(scipy_density(z, means, kind.expand(covariance, 3, 4)))
    np.testing.assert_allclose(kind.log_density(z, means, covariance).diagonal(), expected, atol=1e-6)


@pytest.mark.parametrize("name", TYPES)
def test_first_and_second_derivatives_agree_with_finite_differences(
    name: str, generator: torch.Generator
) -> None:
    """The density can be differentiated twice in z, also exactly at a mean."""
    kind = COVARIANCE_TYPES[name]
    means = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    covariance = random_covariance(name, 2, 3, generator)
    z = torch.cat([means[:1], torch.randn(2, 3, generator=generator, dtype=torch.float64)]).requires_grad_()

    def density(rows: Tensor) -> Tensor:
        return kind.log_density(rows, means, covariance)

    assert torch.autograd.gradcheck(density, z)
    assert torch.autograd.gradgradcheck(density, z)


@pytest.mark.parametrize("name", TYPES)
def test_estimate_is_the_weighted_scatter(name: str, generator: torch.Generator) -> None:
    """The M step equals the sums written out in numpy, averaged as each type asks."""
    kind = COVARIANCE_TYPES[name]
    z = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    r = torch.rand(30, 3, generator=generator, dtype=torch.float64)
    r = r / r.sum(1, keepdim=True)
    n = r.sum(0)
    means = r.T @ z / n[:, None]
    apart = z.numpy()[:, None] - means.numpy()
    full = np.einsum("nk,nkd,nke->kde", r, apart, apart) / n.numpy()[:, None, None]
    pooled = np.tensordot(n, full, axes=1) / 30
    expected = {
        "full": full,
        "tied": pooled,
        "diagonal": np.einsum("kdd->kd", full),
        "spherical": np.einsum("kdd->k", full) / 4,
        "tied_diagonal": np.diag(pooled),
        "tied_spherical": np.trace(pooled) / 4,
    }[name]
    np.testing.assert_allclose(kind.estimate(z, r, means), expected, rtol=1e-11, atol=1e-12)


def test_tied_estimate_is_positive_semidefinite_for_tight_clusters_far_apart() -> None:
    """Clusters 1e6 apart and 1e-6 wide: "total less between" would be off by 1e-4, this by nothing."""
    offsets = torch.tensor([-1e-6, 1e-6], dtype=torch.float64)
    z = torch.cat([offsets, 1e6 + offsets])[:, None].repeat(1, 2)
    members = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=torch.float64)
    means = torch.tensor([[0.0, 0.0], [1e6, 1e6]], dtype=torch.float64)
    estimate = COVARIANCE_TYPES["tied"].estimate(z, members, means)
    np.testing.assert_allclose(estimate, np.full((2, 2), 1e-12), rtol=1e-3)


@pytest.mark.parametrize("name", TYPES)
def test_estimate_does_not_depend_on_the_origin(name: str, generator: torch.Generator) -> None:
    """Rows and means moved by 1e6 have the same covariance to 1e-8, overlapping components included."""
    z = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    r = torch.softmax(torch.randn(30, 3, generator=generator, dtype=torch.float64), 1)
    kind, means = COVARIANCE_TYPES[name], r.T @ z / r.sum(0)[:, None]
    moved = kind.estimate(z + 1e6, r, means + 1e6)
    torch.testing.assert_close(moved, kind.estimate(z, r, means), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", TYPES)
def test_a_component_without_rows_has_a_finite_estimate(name: str) -> None:
    """No row belongs to the second component: nothing is divided by zero."""
    z = torch.tensor([[0.0, 1.0], [2.0, 3.0]], dtype=torch.float64)
    members = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    means = torch.tensor([[1.0, 2.0], [50.0, 50.0]], dtype=torch.float64)
    assert COVARIANCE_TYPES[name].estimate(z, members, means).isfinite().all()


@pytest.mark.parametrize("name", TYPES)
def test_expanded_identity_is_the_identity(name: str) -> None:
    """`identity` has the type's shape, and as matrices is I for every component."""
    kind = COVARIANCE_TYPES[name]
    expanded = kind.expand(kind.identity(2, 3), 2, 3)
    assert torch.equal(expanded, torch.eye(3, dtype=torch.float64).repeat(2, 1, 1))


@pytest.mark.parametrize("name", SKLEARN_NAMES)
def test_number_of_parameters_agrees_with_scikit_learn(name: str) -> None:
    """Covariance parameters are those scikit-learn counts, less means and weights."""
    z = np.random.default_rng(0).normal(size=(20, 3))
    theirs = SklearnMixture(2, covariance_type=SKLEARN_NAMES[name], random_state=0).fit(z)._n_parameters()
    assert COVARIANCE_TYPES[name].n_parameters(2, 3) == theirs - 2 * 3 - 1


def test_number_of_parameters_of_the_types_scikit_learn_lacks() -> None:
    """A shared diagonal has D, a shared variance has one."""
    assert COVARIANCE_TYPES["tied_diagonal"].n_parameters(7, 3) == 3
    assert COVARIANCE_TYPES["tied_spherical"].n_parameters(7, 3) == 1


def test_full_density_does_not_depend_on_the_block_size(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    """Rows in blocks of one give what all rows at once give."""
    kind = COVARIANCE_TYPES["full"]
    means, z = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (3, 11))
    covariance = random_covariance("full", 3, 4, generator)
    at_once = kind.log_density(z, means, covariance)
    monkeypatch.setattr(covariances, "BLOCK_NUMBERS", 1)
    torch.testing.assert_close(kind.log_density(z, means, covariance), at_once, rtol=1e-12, atol=1e-12)


def test_singular_covariance_error_names_the_repair() -> None:
    """A singular matrix is refused with the option that cures it."""
    with pytest.raises(ValueError, match=r"not positive definite.*reg_covar"):
        cholesky(torch.ones(2, 2, dtype=torch.float64))


def test_unknown_name_lists_those_allowed() -> None:
    """A misspelt type is answered with the list."""
    with pytest.raises(ValueError, match=r"full, tied, .*got 'diag'"):
        covariance_type_named("diag", COVARIANCE_TYPES)


def test_the_repair_that_is_named_fits_the_spread() -> None:
    """A millionth of the largest variance, but at least 1e-6."""
    for scale, named in ((1.0, "1e-06"), (1e-9, "1e-06"), (3e4, "0.03")):
        singular = torch.tensor([[[scale, 0.0], [0.0, -scale]]], dtype=torch.float64)
        with pytest.raises(ValueError, match=re.escape(f"for example to {named}, or")):
            cholesky(singular)


@pytest.mark.parametrize("name", COVARIANCE_TYPES)
def test_tied_types_are_those_named_so(name: str) -> None:
    """All their components share one covariance."""
    assert COVARIANCE_TYPES[name].tied is name.startswith("tied")
    assert (COVARIANCE_TYPES[name].identity(2, 3).shape[:1] == (2,)) is not name.startswith("tied")
