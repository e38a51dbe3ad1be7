# SPDX-License-Identifier: BSD-3-Clause
"""The gradient-trained mixture beyond the shared contract."""

import math

import pytest
import torch
from scipy.stats import dirichlet, norm
from torch import Tensor

from pydgd.core.latent import GRADIENT_COVARIANCE_TYPES, GradientMixture
from pydgd.core.latent.hyperpriors import Softball


@pytest.mark.parametrize(("name", "columns"), [("fixed", 1), ("isotropic", 1), ("diagonal", 4)])
def test_it_starts_as_bulkdgd_does(name: str, columns: int) -> None:
    """Means inside the ball, even weights, log variance 2 ln(sd) in the right number of columns."""
    mixture = GradientMixture(5, 4, covariance_type=name, component_sd=0.1)
    assert (mixture.means.norm(dim=1) <= 7).all()
    assert torch.equal(mixture.weight_logits, torch.ones(5))
    torch.testing.assert_close(mixture.log_var.detach(), torch.full((5, columns), 2 * math.log(0.1)))


def test_generator_decides_the_means() -> None:
    """Same seed, same means; another seed, others; torch's own generator does not move."""
    before = torch.get_rng_state()
    one, same, other = (
        GradientMixture(3, 2, generator=torch.Generator().manual_seed(seed)).means for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", GRADIENT_COVARIANCE_TYPES)
def test_gradients_reach_what_is_trained(name: str) -> None:
    """The loss moves means, weights and variances, except variances that are fixed."""
    mixture = GradientMixture(3, 2, covariance_type=name)
    (-mixture.log_prob(torch.ones(4, 2)).sum() - mixture.log_hyperprior()).backward()
    trained = {key for key, value in mixture.named_parameters() if value.grad is not None}
    assert trained == {"means", "weight_logits"} | (set() if name == "fixed" else {"log_var"})
    assert all(bool(p.grad.isfinite().all()) for p in mixture.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", GRADIENT_COVARIANCE_TYPES)
def test_parameter_gradients_agree_with_finite_differences(name: str) -> None:
    """Densities and hyperprior differentiate correctly in every parameter, in float64."""
    mixture = GradientMixture(2, 3, covariance_type=name, softball_radius=1.0, component_sd=0.8).double()
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    names = [key for key, value in mixture.named_parameters() if value.requires_grad]

    def objective(*values: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(names, values, strict=True))
        log_prob = torch.func.functional_call(
            _Both(mixture), {f"mixture.{k}": v for k, v in given.items()}, z
        )
        return log_prob[0], log_prob[1]

    assert torch.autograd.gradcheck(objective, [mixture.get_parameter(key) for key in names])


class _Both(torch.nn.Module):
    def __init__(self, mixture: GradientMixture) -> None:
        super().__init__()
        self.mixture = mixture

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.mixture.log_prob(z), self.mixture.log_hyperprior()


@pytest.mark.parametrize("name", GRADIENT_COVARIANCE_TYPES)
def test_hyperprior_is_the_sum_of_its_parts(name: str) -> None:
    """Softball on means, Dirichlet on weights, normal on log variances, each once."""
    mixture = GradientMixture(
        3, 2, covariance_type=name, softball_radius=2.0, softball_sharpness=4.0, dirichlet_alpha=3.0,
        component_sd=0.5, log_var_spread=0.7,
    )  # fmt: skip
    with torch.no_grad():
        mixture.weight_logits.copy_(torch.tensor([0.5, 1.0, -1.0]))
        mixture.log_var += 0.3
        softball = Softball(2, radius=2.0, sharpness=4.0).log_prob(mixture.means).sum().item()
        weights, log_var = mixture.weights.double().numpy(), mixture.log_var.numpy()
        expected = (
            softball
            + dirichlet.logpdf(weights / weights.sum(), [3.0] * 3)
            + norm.logpdf(log_var, 2 * math.log(0.5), 0.7).sum()
        )
        assert mixture.log_hyperprior().item() == pytest.approx(expected, rel=1e-6)


def test_update_changes_nothing() -> None:
    """Its optimiser is elsewhere."""
    mixture = GradientMixture(3, 2)
    before = {key: value.clone() for key, value in mixture.state_dict().items()}
    mixture.update(torch.randn(20, 2, generator=torch.Generator()), max_iter=10)
    assert all(torch.equal(before[key], value) for key, value in mixture.state_dict().items())


def test_an_optimiser_finds_the_clusters(generator: torch.Generator) -> None:
    """200 Adam steps from rows of each of two clusters bring means and spread to the truth."""
    z = 0.3 * torch.randn(200, 2, generator=generator)
    z[100:] += 4
    mixture = GradientMixture(2, 2, component_sd=0.3, softball_radius=10.0)
    with torch.no_grad():
        mixture.means.copy_(z[[0, 199]])
    optimiser = torch.optim.Adam(mixture.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        (-mixture.log_prob(z).sum() - mixture.log_hyperprior()).backward()
        optimiser.step()
    expected = torch.tensor([[0.0, 0.0], [4.0, 4.0]])
    torch.testing.assert_close(mixture.means.detach(), expected, rtol=0, atol=0.1)
    torch.testing.assert_close(
        mixture.log_var.exp().sqrt().detach(), torch.full((2, 2), 0.3), rtol=0.15, atol=0
    )


def test_weights_cannot_be_set() -> None:
    """They are a softmax; set `weight_logits`."""
    with pytest.raises(AttributeError):
        GradientMixture(2, 2).weights = torch.ones(2)


@pytest.mark.parametrize(
    "option",
    ["softball_radius", "softball_sharpness", "dirichlet_alpha", "component_sd", "log_var_spread"],
)
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_options_that_are_not_positive_are_refused(option: str, value: float) -> None:
    """Each message names the option."""
    with pytest.raises(ValueError, match=f"{option} must be > 0 and finite"):
        GradientMixture(2, 2, **{option: value})


def test_unknown_covariance_type_lists_those_allowed() -> None:
    """A type of the EM mixture is not one of this."""
    with pytest.raises(ValueError, match="fixed, isotropic, diagonal; got 'full'"):
        GradientMixture(2, 2, covariance_type="full")


def test_usual_hyperpriors_are_those_of_the_source() -> None:
    """A ball of radius 7 with a sharp edge, weights held even, narrow components."""
    config = GradientMixture(2, 3).config()
    assert {name: config[name] for name in config if name not in ("n_components", "latent_dim")} == {
        "covariance_type": "diagonal",
        "softball_radius": 7.0,
        "softball_sharpness": 10.0,
        "dirichlet_alpha": 5.0,
        "component_sd": 0.1,
        "log_var_spread": 1.0,
    }
