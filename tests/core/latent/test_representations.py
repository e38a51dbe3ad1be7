# SPDX-License-Identifier: BSD-3-Clause
"""The representation layer: its starts against SciPy, its rows, its errors."""

import pytest
import torch
from scipy.stats import cauchy, kstest, laplace, norm, t, uniform

from pydgd.core.latent import REPRESENTATION_STARTS, RepresentationLayer

DISTRIBUTIONS = {
    ("normal", (("mean", 1.0), ("sd", 2.0))): norm(1, 2),
    ("uniform", (("low", -3.0), ("high", 1.0))): uniform(-3, 4),
    ("laplace", (("mean", 0.5), ("scale", 2.0))): laplace(0.5, 2),
    ("student_t", (("df", 3.0),)): t(3),
    ("student_t", (("df", 0.7), ("mean", 1.0), ("scale", 2.0))): t(0.7, 1, 2),
    ("student_t", (("df", 50.0),)): t(50),
    ("cauchy", (("median", -1.0), ("scale", 0.5))): cauchy(-1, 0.5),
    ("normal", ()): norm(0, 1),
    ("uniform", ()): uniform(-1, 2),
    ("cauchy", ()): cauchy(0, 1),
}


@pytest.mark.parametrize("case", DISTRIBUTIONS, ids=str)
def test_draws_follow_the_named_distribution(case: tuple, generator: torch.Generator) -> None:
    """20,000 draws pass a Kolmogorov-Smirnov test against SciPy."""
    name, options = case
    layer = RepresentationLayer(4000, 5, init=name, generator=generator, dtype=torch.float64, **dict(options))
    assert kstest(layer.z.detach().flatten().numpy(), DISTRIBUTIONS[case].cdf).pvalue > 1e-3


@pytest.mark.parametrize("d", [1, 3, 20])
def test_uniform_ball_fills_the_ball(d: int, generator: torch.Generator) -> None:
    """(|z| / R)^D is uniform and the centre is the origin."""
    z = RepresentationLayer(5000, d, init="uniform_ball", radius=0.5, generator=generator).z.detach()
    assert kstest((z.norm(dim=1) / 0.5).pow(d).numpy(), "uniform").pvalue > 1e-3
    assert z.mean(0).abs().max() < 5 * 0.5 / 5000**0.5


def test_zeros_are_the_default() -> None:
    """Nothing said, nothing drawn."""
    assert torch.equal(RepresentationLayer(3, 2).z, torch.zeros(3, 2))


@pytest.mark.parametrize("init", REPRESENTATION_STARTS)
def test_draws_depend_on_the_generator_alone(init: str) -> None:
    """Same seed, same start; torch's own generator does not move; always finite and trainable."""
    before = torch.get_rng_state()
    one, two = (
        RepresentationLayer(6, 2, init=init, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(one.z, two.z)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.z.isfinite().all()
    assert one.z.requires_grad


def test_rows_come_in_the_order_asked_and_gradients_return() -> None:
    """An index picks rows, repeats included; only they get a gradient."""
    layer = RepresentationLayer.from_values(torch.arange(6.0).reshape(3, 2))
    rows = layer(torch.tensor([2, 0, 2]))
    assert torch.equal(rows, torch.tensor([[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]))
    rows.sum().backward()
    assert torch.equal(layer.z.grad, torch.tensor([[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]))
    assert layer() is layer.z


def test_from_values_copies() -> None:
    """The caller's tensor stays his; dtype is kept; a graph is cut."""
    values = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    layer = RepresentationLayer.from_values(2 * values)
    with torch.no_grad():
        layer.z.zero_()
    assert torch.equal(values, torch.ones(2, 3, dtype=torch.float64))
    assert layer.z.is_leaf
    assert layer.z.dtype == torch.float64


def test_rescale_gives_mean_zero_and_spread_one(generator: torch.Generator) -> None:
    """One mean and one standard deviation for all values; the parameter stays the same object."""
    layer = RepresentationLayer(50, 3, init="normal", mean=5.0, sd=0.1, generator=generator)
    parameter, before = layer.z, layer.z.detach().clone()
    layer.rescale()
    assert layer.z is parameter
    torch.testing.assert_close(layer.z.detach(), (before - before.mean()) / before.std())


@pytest.mark.parametrize("shape", [(3, 2), (1, 1)])
def test_rescale_refuses_equal_values(shape: tuple[int, int]) -> None:
    """All zeros, or one value, have no spread to divide by."""
    with pytest.raises(ValueError, match="all equal"):
        RepresentationLayer(*shape).rescale()


def test_state_round_trip() -> None:
    """One tensor, named z."""
    layer = RepresentationLayer(3, 2, init="normal")
    other = RepresentationLayer(3, 2)
    other.load_state_dict(layer.state_dict())
    assert list(layer.state_dict()) == ["z"]
    assert torch.equal(other.z, layer.z)


@pytest.mark.parametrize(
    ("init", "options", "message"),
    [
        ("gaussian", {}, "init must be one of zeros, normal"),
        ("zeros", {"sd": 1.0}, "'zeros' has no option sd; it takes none"),
        ("normal", {"scale": 1.0}, "'normal' has no option scale; it takes mean, sd"),
        ("normal", {"sd": -1.0}, "sd must be > 0"),
        ("uniform", {"low": 1.0}, "low must be below high"),
        ("uniform_ball", {"radius": 0.0}, "radius must be > 0"),
        ("student_t", {"df": float("nan")}, "df must be > 0"),
    ],
)
def test_bad_starts_are_refused(init: str, options: dict[str, float], message: str) -> None:
    """Each message names what came and what is allowed."""
    with pytest.raises(ValueError, match=message):
        RepresentationLayer(3, 2, init=init, **options)


def test_sizes_below_one_are_refused() -> None:
    """No samples, or no dimensions, are refused."""
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 2"):
        RepresentationLayer(0, 2)


def test_from_values_refuses_what_is_not_finite() -> None:
    """NaN would spread through training."""
    with pytest.raises(ValueError, match="must be finite"):
        RepresentationLayer.from_values(torch.tensor([[torch.nan]]))
