# SPDX-License-Identifier: BSD-3-Clause
"""The contract of every latent prior, run on each covariance type of each of them."""

import json

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from pydgd.core.latent import (
    COVARIANCE_TYPES,
    GRADIENT_COVARIANCE_TYPES,
    PRIORS,
    GaussianMixture,
    GradientMixture,
    LatentPrior,
)


def em(name: str) -> LatentPrior:
    z = torch.randn(200, 2, generator=torch.Generator().manual_seed(4))
    z[:80] += 3
    return GaussianMixture(3, 2, covariance_type=name, tol=1e-3).fit(z)


def gradient(name: str) -> LatentPrior:
    prior = GradientMixture(3, 2, covariance_type=name, softball_radius=2.0, component_sd=0.7)
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=noise)
    return prior


MADE = [(em, name) for name in COVARIANCE_TYPES] + [(gradient, name) for name in GRADIENT_COVARIANCE_TYPES]


@pytest.fixture(params=MADE, ids=lambda made: f"{made[0].__name__}-{made[1]}")
def prior(request: pytest.FixtureRequest) -> LatentPrior:
    """A prior whose parameters are all different."""
    make, name = request.param
    return make(name)


@pytest.fixture
def z(generator: torch.Generator) -> Tensor:
    """Ten rows in two dimensions, float64."""
    return 2 * torch.randn(10, 2, generator=generator, dtype=torch.float64)


def scipy_joint(prior: LatentPrior, z: Tensor) -> np.ndarray:
    parts = zip(prior.weights.tolist(), prior.means.tolist(), prior.covariances().tolist(), strict=True)
    return np.stack([np.log(w) + multivariate_normal(m, c).logpdf(z.numpy()) for w, m, c in parts], axis=1)


def test_densities_agree_with_scipy(prior: LatentPrior, z: Tensor) -> None:
    """Joint and mixture densities are those of weights, means and covariances as the prior shows them."""
    expected = scipy_joint(prior, z)
    with torch.no_grad():
        np.testing.assert_allclose(prior.component_log_prob(z), expected, rtol=1e-5)
        np.testing.assert_allclose(prior.log_prob(z), logsumexp(expected, axis=1), rtol=1e-5)


def test_integer_positions_are_not_truncated(prior: LatentPrior) -> None:
    """Densities and responsibilities of whole numbers are those of the same floats."""
    whole = torch.tensor([[1, 0], [-2, 3]])
    for method in (prior.log_prob, prior.component_log_prob, prior.responsibilities, prior.precisions):
        assert torch.equal(method(whole), method(whole.float()))


def test_density_integrates_to_one(prior: LatentPrior) -> None:
    """A fine grid over the plane sums to one within 1e-3."""
    axis = torch.arange(-12, 12, 0.05, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        assert prior.log_prob(grid).exp().sum().item() * 0.05**2 == pytest.approx(1, abs=1e-3)


def test_responsibilities_are_normalised_joint_densities(prior: LatentPrior, z: Tensor) -> None:
    """Rows sum to one, follow Bayes' rule, and `predict` takes the largest."""
    with torch.no_grad():
        responsibilities = prior.responsibilities(z)
        bayes = prior.component_log_prob(z).exp() / prior.log_prob(z).exp()[:, None]
    torch.testing.assert_close(responsibilities, bayes)
    torch.testing.assert_close(responsibilities.sum(1), torch.ones(10, dtype=torch.float64))
    assert torch.equal(prior.predict(z), responsibilities.argmax(1))


def test_precisions_are_the_weighted_inverses(prior: LatentPrior, z: Tensor) -> None:
    """Equal to numpy's inverses mixed by responsibility, hence positive definite."""
    with torch.no_grad():
        inverses = np.linalg.inv(prior.covariances().double().numpy())
        expected = np.einsum("nk,kde->nde", prior.responsibilities(z), inverses)
        precisions = prior.precisions(z)
    np.testing.assert_allclose(precisions, expected, rtol=1e-9, atol=1e-9)
    assert np.linalg.eigvalsh(precisions.numpy()).min() > 0


def test_precision_is_the_curvature_where_one_component_rules() -> None:
    """With one component it is exactly the negative Hessian of the log density."""
    prior = GaussianMixture(1, 3, covariance_type="full").fit(
        torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    )
    at = torch.ones(1, 3, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda rows: prior.log_prob(rows).sum(), at)
    torch.testing.assert_close(prior.precisions(at)[0], -hessian[0, :, 0])


def test_samples_have_the_moments_of_the_mixture(prior: LatentPrior, generator: torch.Generator) -> None:
    """20,000 draws: mean within 5 standard errors, covariance within 5 %."""
    draws = prior.sample(20_000, generator=generator).double()
    with torch.no_grad():
        w, m, c = prior.weights.double(), prior.means.double(), prior.covariances().double()
    mean = w @ m
    covariance = torch.einsum("k,kde->de", w, c + (m - mean)[:, :, None] * (m - mean)[:, None])
    assert ((draws.mean(0) - mean).abs() < 5 * (covariance.diagonal() / 20_000).sqrt()).all()
    assert (draws.T.cov() - covariance).abs().max() < 0.05 * covariance.diagonal().max()


def test_samples_depend_on_the_generator_alone(prior: LatentPrior) -> None:
    """Same seed, same draws; torch's own generator does not move; no gradient; any number of draws."""
    before = torch.get_rng_state()
    one, two = (prior.sample(7, generator=torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(one, two)
    assert not one.requires_grad
    assert torch.equal(torch.get_rng_state(), before)
    assert prior.sample(0, generator=torch.Generator()).shape == (0, 2)


def test_gradients_in_z_agree_with_finite_differences(prior: LatentPrior, z: Tensor) -> None:
    """The log density can be climbed."""
    assert torch.autograd.gradcheck(prior.log_prob, z.requires_grad_())


def test_dtype_of_z_is_kept_and_no_rows_are_fine(prior: LatentPrior, z: Tensor) -> None:
    """float32 in, float32 out; nothing in, nothing out."""
    for method in (prior.log_prob, prior.responsibilities, prior.precisions, prior.component_log_prob):
        assert method(z.float()).dtype == torch.float32
        assert len(method(z[:0])) == 0


def test_a_row_does_not_depend_on_its_batch(prior: LatentPrior, z: Tensor) -> None:
    """Ten rows at once give what each row gives alone, to 1e-12."""
    with torch.no_grad():
        alone = torch.cat([prior.log_prob(row[None]) for row in z])
        torch.testing.assert_close(prior.log_prob(z), alone, rtol=1e-12, atol=1e-12)


def test_config_and_state_rebuild_the_prior_exactly(prior: LatentPrior, z: Tensor) -> None:
    """Through JSON and a state dict: same densities, hyperprior and configuration, bit for bit."""
    config = json.loads(json.dumps(prior.config()))
    rebuilt = PRIORS[prior.name](**config)
    rebuilt.load_state_dict(prior.state_dict())
    assert rebuilt.config() == prior.config()
    assert torch.equal(rebuilt.log_prob(z), prior.log_prob(z))
    assert torch.equal(rebuilt.log_hyperprior(), prior.log_hyperprior())


def test_sizes_and_shapes(prior: LatentPrior) -> None:
    """Weights sum to one; means and covariances have the shapes of the contract."""
    assert (prior.n_components, prior.latent_dim) == (3, 2)
    assert prior.means.shape == (3, 2)
    assert prior.covariances().shape == (3, 2, 2)
    assert prior.weights.sum().item() == pytest.approx(1)
    assert prior.log_hyperprior().shape == ()


def test_another_number_of_dimensions_is_refused(prior: LatentPrior) -> None:
    """The message has both shapes."""
    with pytest.raises(ValueError, match=r"\(n_samples, 2\), got \(4, 3\)"):
        prior.log_prob(torch.zeros(4, 3))


@pytest.mark.parametrize("make", PRIORS.values())
@pytest.mark.parametrize("sizes", [(0, 2), (2, 0)])
def test_sizes_below_one_are_refused(make: type[LatentPrior], sizes: tuple[int, int]) -> None:
    """A mixture of nothing, or in no dimension, is refused by name."""
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        make(*sizes)
