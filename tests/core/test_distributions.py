# SPDX-License-Identifier: BSD-3-Clause
"""The distributions: torch's interface, moments, and draws that fit their mass."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from pydgd.core.distributions import NegativeBinomial, Poisson, nb_log_mass, poisson_log_mass

DRAWS = 20_000


def distribution(mu: float, r: float, dtype: torch.dtype = torch.float64) -> NegativeBinomial | Poisson:
    """The negative binomial, or for infinite r the Poisson."""
    mean = torch.tensor(mu, dtype=dtype)
    return Poisson(mean) if math.isinf(r) else NegativeBinomial(mean, torch.tensor(r, dtype=dtype))


def draws(mu: float, r: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return distribution(mu, r, dtype).sample((DRAWS,), generator=torch.Generator().manual_seed(0))


def chi_square_p(counts: np.ndarray, oracle: stats.rv_discrete, bins: int = 25) -> float:
    """P-value of draws in bins that the oracle's own quantiles make about equally likely."""
    edges = np.unique(oracle.ppf(np.arange(1, bins) / bins))
    probabilities = np.diff(oracle.cdf(edges), prepend=0.0, append=1.0)
    kept = probabilities > 5 / len(counts)
    observed = np.bincount(np.searchsorted(edges, counts), minlength=len(probabilities))
    if kept.sum() < 2:
        return 1.0
    assert observed[~kept].sum() < 25
    expected = probabilities[kept] / probabilities[kept].sum() * observed[kept].sum()
    return float(stats.chisquare(observed[kept], expected).pvalue)


@pytest.mark.parametrize("mu", [0.05, 3.0, 40.0, 1e5])
@pytest.mark.parametrize("r", [0.05, 0.7, 5.0, 1e4, math.inf])
def test_draws_fit_their_mass(mu: float, r: float) -> None:
    """Chi-square against SciPy's quantiles, at a level that one of ten thousand good samplers fails."""
    oracle = stats.poisson(mu) if math.isinf(r) else stats.nbinom(r, r / (r + mu))
    assert chi_square_p(draws(mu, r).numpy(), oracle) > 1e-4


@pytest.mark.parametrize(("mu", "r"), [(20.0, 5.0), (1e8, 10.0), (1e8, 1e30), (1e8, math.inf), (5.0, 1e30)])
def test_draws_have_the_moments(mu: float, r: float) -> None:
    """Mean and variance are those announced, within five standard errors, to a mean of 1e8 and r of 1e30."""
    shape = distribution(mu, r)
    counts = draws(mu, r)
    assert (counts == counts.round()).all()
    assert counts.mean().item() == pytest.approx(mu, abs=5 * math.sqrt(shape.variance.item() / DRAWS))
    kurtosis = 3 + (0 if math.isinf(r) else 6 / r) + 1 / shape.variance.item()
    error = shape.variance.item() * math.sqrt((kurtosis - 1) / DRAWS)
    assert counts.var().item() == pytest.approx(shape.variance.item(), abs=5 * error)


@pytest.mark.parametrize("r", [1e-30, 1e-300])
def test_tiny_r_draws_nothing_but_zeros(r: float) -> None:
    """Below r = 1e-20 a draw above 0 has a probability below 1e-17."""
    assert (draws(1e8, r) == 0).all()


def test_float32_draws_are_whole_numbers_in_float32() -> None:
    """Inside, rates are float64: a float32 r of 1e-30 must not give reads where there are none."""
    counts = draws(1e8, 1e-30, torch.float32)
    assert counts.dtype == torch.float32
    assert (counts == 0).all()
    assert draws(3e4, 2.0, torch.float32).dtype == torch.float32


def test_draws_do_not_overflow() -> None:
    """A rate beyond int64 is drawn as 1e18."""
    drawn = Poisson(torch.tensor([1e30])).sample(generator=torch.Generator().manual_seed(0))
    assert drawn.item() == pytest.approx(1e18, rel=1e-6)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
@pytest.mark.parametrize("batch", [(), (4,), (1, 4)])
def test_draws_have_torch_shapes(shape, batch) -> None:
    """Sample shape first, then the distribution's own, as everywhere in torch."""
    mu = torch.full(batch, 2.0)
    for drawn in (NegativeBinomial(mu, torch.tensor(3.0)).sample(shape), Poisson(mu).sample(shape)):
        assert drawn.shape == shape + batch


def test_the_generator_decides_the_draws() -> None:
    """The same seed gives the same draws, and torch's global state is left alone."""
    shape = NegativeBinomial(torch.full((50,), 20.0), torch.tensor(2.0))
    before = torch.get_rng_state()
    first, second = (shape.sample(generator=torch.Generator().manual_seed(3)) for _ in range(2))
    poisson = Poisson(shape.mu).sample(generator=torch.Generator().manual_seed(3))
    assert torch.equal(first, second)
    assert not torch.equal(first, poisson)
    assert torch.equal(before, torch.get_rng_state())


def test_draws_carry_no_gradient() -> None:
    """Counts are constants."""
    mu = torch.tensor([3.0], requires_grad=True)
    assert not NegativeBinomial(mu, torch.tensor(2.0)).sample().requires_grad
    assert not Poisson(mu).sample().requires_grad


def test_mean_and_variance() -> None:
    """Mean mu; variance mu + mu^2 / r, or mu for the Poisson."""
    shape = NegativeBinomial(torch.tensor([0.0, 20.0]), torch.tensor(5.0))
    assert shape.mean.tolist() == [0.0, 20.0]
    assert shape.variance.tolist() == [0.0, 100.0]
    assert shape.stddev[1].item() == 10.0
    assert Poisson(torch.tensor(4.0)).mean == Poisson(torch.tensor(4.0)).variance == 4.0


def test_log_prob_is_the_log_mass() -> None:
    """In the dtype of mu, differentiable in mu and r, whatever the dtype of r."""
    k, mu = torch.tensor([0.0, 4.0, 30.0]), torch.tensor([1.0, 2.0, 35.0], requires_grad=True)
    for dtype in (torch.float32, torch.float64):
        r = torch.tensor([0.5, 2.0, 1e6], dtype=dtype, requires_grad=True)
        value = NegativeBinomial(mu, r).log_prob(k)
        assert value.dtype == torch.float32
        assert torch.equal(value, nb_log_mass(k, mu, r.log().float()))
        grad_mu, grad_r = torch.autograd.grad(value.sum(), (mu, r))
        assert torch.allclose(grad_mu, (r * (k - mu) / (mu * (r + mu))).float())
        assert grad_r.isfinite().all()
    assert torch.equal(Poisson(mu).log_prob(k), poisson_log_mass(k, mu))


@pytest.mark.parametrize("value", [-1.0, 0.5, math.nan])
def test_what_is_no_count_is_refused(value: float) -> None:
    """Negative, fractional and missing values raise, unless checking is off."""
    mu, k = torch.tensor([2.0]), torch.tensor([value])
    for shape in (NegativeBinomial(mu, torch.tensor(3.0)), Poisson(mu)):
        with pytest.raises(ValueError, match="support"):
            shape.log_prob(k)
    Poisson(mu, validate_args=False).log_prob(k)
    NegativeBinomial(mu, torch.tensor(3.0), validate_args=False).log_prob(k)


@pytest.mark.parametrize(("mu", "r"), [(-1.0, 2.0), (1.0, 0.0), (1.0, -2.0), (math.nan, 1.0)])
def test_bad_parameters_are_refused(mu: float, r: float) -> None:
    """Negative means and r that are not positive raise a ValueError."""
    with pytest.raises(ValueError, match="constraint"):
        NegativeBinomial(torch.tensor(mu), torch.tensor(r))
    if not mu >= 0:
        with pytest.raises(ValueError, match="constraint"):
            Poisson(torch.tensor(mu))
