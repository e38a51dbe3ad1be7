"""Output activations: exact values, inverses and gradients from one end of float32 to the other."""

import mpmath
import pytest
import torch

from pydgd.core.activations import OUTPUT_ACTIVATIONS, SMALLEST_MEAN, inverse_sigmoid, inverse_softplus

ORACLES = {"softplus": lambda x: mpmath.log1p(mpmath.exp(x)), "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}
PROJECTIONS = [-32.0, -25.0, -17.0, -1.0, 0.0, 1e-8, 1.0, 15.0, 20.5, 30.0, 39.9, 40.1, 100.0]


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-7), (torch.float64, 1e-14)])
def test_values_agree_with_mpmath(name: str, dtype: torch.dtype, tolerance: float) -> None:
    """Relative error near machine precision, from means of 1e-14 to the switch of torch's softplus at 40."""
    with mpmath.workdps(50):
        expected = [float(ORACLES[name](mpmath.mpf(x))) for x in PROJECTIONS]
    means = OUTPUT_ACTIVATIONS[name].forward(torch.tensor(PROJECTIONS, dtype=dtype))
    assert means.tolist() == pytest.approx(expected, rel=tolerance, abs=0.0)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("x", [-1e30, -1e3, -104.0, -88.0, 0.0, 88.0, 1e3, 1e30])
def test_means_and_gradients_never_vanish_into_nan(name: str, x: float) -> None:
    """Means stay above zero; the gradient of ln m times 1e8 reads is finite."""
    projection = torch.tensor(x, requires_grad=True)
    mean = OUTPUT_ACTIVATIONS[name].forward(projection)
    assert mean >= torch.tensor(SMALLEST_MEAN)
    (1e8 * mean.log()).backward()
    assert torch.isfinite(mean)
    assert torch.isfinite(projection.grad)


@pytest.mark.parametrize("name", ORACLES)
def test_gradients_are_those_of_the_function(name: str) -> None:
    """Numerical differentiation in float64 agrees."""
    x = torch.tensor([-20.0, -3.0, 0.0, 2.0, 30.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(OUTPUT_ACTIVATIONS[name].forward, x)


@pytest.mark.parametrize("name", ORACLES)
def test_log_slope_is_the_derivative_of_the_log_mean(name: str) -> None:
    """Autograd through activation and logarithm gives the slope that is computed from the mean alone."""
    x = torch.tensor([-20.0, -3.0, 0.0, 2.0, 20.0], dtype=torch.float64, requires_grad=True)
    activation = OUTPUT_ACTIVATIONS[name]
    means = activation.forward(x)
    (expected,) = torch.autograd.grad(means.log().sum(), x)
    torch.testing.assert_close(activation.log_slope(means.detach()), expected, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize(
    ("name", "means"),
    [("softplus", [1e-8, 1e-4, 0.5, 1.0, 30.0, 1e3, 1e30]), ("sigmoid", [1e-6, 1e-3, 0.5, 0.9, 1 - 1e-6])],
)
def test_inverse_undoes_the_activation(name: str, means: list[float]) -> None:
    """Round trip from mean to projection and back in float64."""
    activation = OUTPUT_ACTIVATIONS[name]
    means = torch.tensor(means, dtype=torch.float64)
    torch.testing.assert_close(activation.forward(activation.inverse(means)), means, rtol=1e-12, atol=0.0)


def test_inverse_softplus_raises_tiny_means_to_its_floor() -> None:
    """A gene without reads starts at 1e-8, not at minus infinity."""
    projections = inverse_softplus(torch.tensor([0.0, 1e-30, 1e-8]))
    assert torch.equal(projections, projections[2].expand(3))
    assert inverse_softplus(torch.tensor([0.0]), floor=1e-4).item() == pytest.approx(-9.2103, abs=1e-4)


def test_inverse_sigmoid_clips_to_its_margin() -> None:
    """Means at or beyond 0 and 1 start where the gradient is alive."""
    projections = inverse_sigmoid(torch.tensor([0.0, 1.0, 50.0], dtype=torch.float64))
    assert projections.tolist() == pytest.approx([-13.8155, 13.8155, 13.8155], abs=1e-4)
