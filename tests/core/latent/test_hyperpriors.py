# SPDX-License-Identifier: BSD-3-Clause
"""Hyperpriors against SciPy, against the formula in high precision, and at their extremes."""

import mpmath
import numpy as np
import pytest
import torch
from scipy.stats import dirichlet, kstest, norm

from pydgd.core.latent.hyperpriors import Softball, dirichlet_log_prob, log_variance_log_prob


def softball_in_high_precision(x: list[float], radius: float, sharpness: float) -> float:
    d, norm_of_x = len(x), mpmath.sqrt(mpmath.fsum(mpmath.mpf(v) ** 2 for v in x))
    edge = mpmath.log(1 + mpmath.exp(sharpness * (norm_of_x / radius - 1)))
    ball = mpmath.loggamma(1 + mpmath.mpf(d) / 2) - d * (mpmath.log(radius) + mpmath.log(mpmath.pi) / 2)
    return float(ball - edge)


@pytest.mark.parametrize("distance", [0.0, 0.5, 7.0, 70.0, 1e6])
@pytest.mark.parametrize("d", [1, 3, 50])
def test_softball_agrees_with_high_precision(distance: float, d: int) -> None:
    """The formula in 50 digits, from the centre to where exp overflows float64."""
    x = [distance] + [0.0] * (d - 1)
    log_p = Softball(d, radius=7.0, sharpness=10.0).log_prob(torch.tensor(x, dtype=torch.float64))
    with mpmath.workdps(50):
        assert log_p.item() == pytest.approx(softball_in_high_precision(x, 7.0, 10.0), rel=1e-12)


@pytest.mark.parametrize("distance", [0.0, 1.0, 1e3, 1e15])
def test_softball_gradient_is_finite_everywhere(distance: float) -> None:
    """Also at the origin, where the norm has no derivative, and far out in float32."""
    x = torch.tensor([distance, 0.0], requires_grad=True)
    Softball(2, radius=1.0, sharpness=10.0).log_prob(x).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_softball_density_of_a_sharp_ball_integrates_to_one() -> None:
    """In the plane with sharpness 1000 the constant of the hard ball is right to 1e-5."""
    r = torch.arange(0, 4, 1e-4, dtype=torch.float64)[:, None] * torch.tensor([[1.0, 0.0]]).double()
    density = Softball(2, radius=2.0, sharpness=1000.0).log_prob(r).exp()
    assert (2 * torch.pi * r[:, 0] * density).sum().item() * 1e-4 == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("d", [1, 2, 10])
def test_softball_draws_fill_the_ball(d: int, generator: torch.Generator) -> None:
    """(|x| / R)^D is uniform and no direction is preferred."""
    draws = Softball(d, radius=3.0, sharpness=10.0).sample(torch.Size([4000]), generator=generator)
    assert kstest((draws.norm(dim=1) / 3).pow(d).numpy(), "uniform").pvalue > 1e-3
    assert (draws.mean(0).abs() < 5 * 3 / 4000**0.5).all()


def test_softball_draws_depend_on_the_generator_alone() -> None:
    """Same seed, same draws; the batch shape is free; torch's own generator does not move."""
    ball, before = Softball(2, radius=1.0, sharpness=10.0), torch.get_rng_state()
    one, two = (ball.sample(torch.Size([2, 3]), generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert one.shape == (2, 3, 2)
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("options", [{"radius": 0.0, "sharpness": 1.0}, {"radius": 1.0, "sharpness": -1.0}])
def test_softball_refuses_what_is_not_positive(options: dict[str, float]) -> None:
    """Radius and sharpness are positive."""
    with pytest.raises(ValueError, match="must be > 0 and finite"):
        Softball(2, **options)


def test_softball_refuses_another_number_of_dimensions() -> None:
    """Positions of a plane have no density in space."""
    with pytest.raises(ValueError, match="must have 3 dimensions"):
        Softball(3, radius=1.0, sharpness=1.0).log_prob(torch.zeros(4, 2))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 5.0])
def test_dirichlet_agrees_with_scipy(alpha: float) -> None:
    """A symmetric Dirichlet at log weights is SciPy's at weights."""
    weights = np.array([0.2, 0.5, 0.3])
    log_p = dirichlet_log_prob(torch.tensor(weights).log(), alpha=alpha)
    assert log_p.item() == pytest.approx(dirichlet.logpdf(weights, [alpha] * 3), abs=1e-12)


def test_dirichlet_is_finite_where_a_weight_underflows() -> None:
    """A logit of -1000 has weight zero in float64 and still a log weight."""
    log_weights = torch.tensor([0.0, -1000.0], dtype=torch.float64).log_softmax(0)
    log_p = dirichlet_log_prob(log_weights, alpha=5.0).item()
    assert log_p == pytest.approx(-4000 + float(mpmath.loggamma(10) - 2 * mpmath.loggamma(5)))


def test_log_variance_prior_agrees_with_scipy_in_either_sign() -> None:
    """It is SciPy's normal at the log variance, and bulkdgd's at its negative."""
    log_var = np.array([[-4.0, -5.0], [-4.6, 0.0]])
    log_p = log_variance_log_prob(torch.tensor(log_var), component_sd=0.1, spread=1.5).item()
    assert log_p == pytest.approx(norm.logpdf(log_var, 2 * np.log(0.1), 1.5).sum())
    assert log_p == pytest.approx(norm.logpdf(-log_var, -2 * np.log(0.1), 1.5).sum())
