# SPDX-License-Identifier: BSD-3-Clause
"""Element-wise log-masses against 80-digit arithmetic, SciPy, the page's rules and the peer's values."""

import json
import math
import random
from functools import cache
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from torch import Tensor

from pydgd.core.distributions import log_factorial, nb_log_mass, nb_log_r_curvature, poisson_log_mass

Point = tuple[float, float, float]  # k, m, log r

EPSILON = 1e-10


def corners() -> list[Point]:
    """Every combination of small, middling and extreme counts, means and inverse dispersions."""
    counts = [0, 1, 7, 100, 12_345, 10**8]
    means = [1e-8, 0.3, 5.0, 1e4, 1e8]
    dispersions = [1e-30, 1e-3, 0.7, 8.0, 1e5, 1e10, 1e30]
    return [(float(k), m, math.log(r)) for k in counts for m in means for r in dispersions]


def scattered(n: int) -> list[Point]:
    """Counts near and far from their mean, where terms cancel."""
    rng = random.Random(1)
    points = []
    for _ in range(n):
        m = 10 ** rng.uniform(-8, 8)
        k = min(1e8, round(m * 10 ** rng.gauss(0, rng.choice([1e-3, 1e-2, 0.1, 0.5, 2]))))
        exponent = rng.uniform(-30, 30) if rng.random() < 0.4 else rng.uniform(-3, 9)
        points.append((float(k), m, exponent * math.log(10)))
    return points


def exact(k: float, m: float, log_r: float) -> tuple[mpmath.mpf, ...]:
    """ln f, d/dm, d/d log r and d2/d(log r)2 with 80 digits; at r = 1e30 the terms are 1e32."""
    with mpmath.workdps(80):
        k, m, r = mpmath.mpf(k), mpmath.mpf(m), mpmath.exp(mpmath.mpf(log_r))
        log, psi = mpmath.log, mpmath.psi
        value = mpmath.loggamma(k + r) - mpmath.loggamma(r) - mpmath.loggamma(k + 1) + r * log(r / (r + m))
        value += k * log(m / (r + m))
        slope = r * (psi(0, k + r) - psi(0, r) + log(r / (r + m)) + (m - k) / (r + m))
        curvature = (
            slope + r**2 * (psi(1, k + r) - psi(1, r)) + r * m / (r + m) - r**2 * (m - k) / (r + m) ** 2
        )
        return value, r * (k - m) / (m * (r + m)), slope, curvature


@cache
def grid(dtype: torch.dtype, *, large: bool) -> tuple[Tensor, Tensor, Tensor, list[tuple[mpmath.mpf, ...]]]:
    """Points as tensors, and the truth at the numbers these tensors hold."""
    points = corners() + scattered(2000 if large else 150)
    k, m, log_r = (torch.tensor(column, dtype=dtype) for column in zip(*points, strict=True))
    triples = zip(k.tolist(), m.tolist(), log_r.tolist(), strict=True)
    return k, m, log_r, [exact(*triple) for triple in triples]


def largest_error(got: Tensor, truth: list[mpmath.mpf], scale: list[float]) -> float:
    """Largest distance in units of `scale`; infinite where `got` is not finite."""
    if not got.isfinite().all():
        return math.inf
    return max(float(abs(g - t)) / s for g, t, s in zip(got.tolist(), truth, scale, strict=True))


def check_grid(dtype: torch.dtype, *, large: bool) -> None:
    """Value, gradients and curvature on a grid, within the figures of the design."""
    k, m, log_r, truth = grid(dtype, large=large)
    value, to_m, slope, curvature = zip(*truth, strict=True)
    m, log_r = m.requires_grad_(), log_r.requires_grad_()
    got = nb_log_mass(k, m, log_r)
    grad_m, grad_r = torch.autograd.grad(got.sum(), (m, log_r))
    single = dtype == torch.float32
    bound = 2e-4 if single else 1e-12
    assert largest_error(got, value, [max(1, abs(v) / (100 if single else 1)) for v in value]) < bound
    # The gradient in m is judged as change of ln f per relative change of m, as the one in log r already is.
    bound = 1e-6 if single else 1e-12
    scale = [max(1, abs(g * x)) / x for g, x in zip(to_m, m.tolist(), strict=True)]
    assert largest_error(grad_m, to_m, scale) < bound
    assert largest_error(grad_r, slope, [max(1, abs(g)) for g in slope]) < bound
    second = nb_log_r_curvature(k, m, log_r)
    assert largest_error(second, curvature, [max(1, abs(g)) for g in curvature]) < bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_gradients_and_curvature_agree_with_mpmath(dtype: torch.dtype) -> None:
    """1e-12 in float64 and the figures of float32, for k to 1e8, m 1e-8 to 1e8 and r 1e-30 to 1e30."""
    check_grid(dtype, large=False)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_figures_hold_on_thousands_of_points(dtype: torch.dtype) -> None:
    """The same as on the small grid."""
    check_grid(dtype, large=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_stays_finite_and_below_one(dtype: torch.dtype) -> None:
    """No NaN, infinity or probability above 1 for any log r, for means of 0 and for counts of a billion."""
    counts = torch.tensor([0.0, 1.0, 5.0, 1e3, 1e8, 1e9], dtype=dtype)[:, None, None]
    means = torch.tensor([0.0, 1e-38, 1e-30, 1e-8, 1.0, 1e8, 1e12], dtype=dtype)[:, None]
    logs = [-1e4, -800.0, -104.0, -88.0, -69.1, -66.0, 0.0, 20.8, 69.1, 89.0, 800.0, 1e4]
    k, m, log_r = torch.broadcast_tensors(counts, means, torch.tensor(logs, dtype=dtype))
    m, log_r = m.clone().requires_grad_(), log_r.clone().requires_grad_()
    value = nb_log_mass(k, m, log_r)
    gradients = torch.autograd.grad(value.sum(), (m, log_r))
    assert all(tensor.isfinite().all() for tensor in (value, *gradients))
    assert (value <= 0).all()


@pytest.mark.parametrize("k", [0.0, 1.0, 20.0, 1e3, 1e6])
@pytest.mark.parametrize("r", [0.1, 5.0, 1e3])
def test_log_mass_agrees_with_scipy(k: float, r: float) -> None:
    """SciPy's negative binomial is good to 1e-8 where r and k are moderate."""
    m = 1.1 * k + 1.0
    got = nb_log_mass(torch.tensor(k), torch.tensor(m, dtype=torch.float64), torch.tensor(r).double().log())
    r = float(torch.tensor(r))
    assert got.item() == pytest.approx(stats.nbinom.logpmf(k, r, r / (r + m)), rel=1e-8)


@pytest.mark.parametrize("m", [1e-8, 0.5, 30.0, 1e5, 1e8])
def test_poisson_log_mass_agrees_with_mpmath(m: float) -> None:
    """1e-12 in float64, 1e-6 of the value in float32, gradient included."""
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        k = torch.tensor([0.0, 1.0, 2.0, 30.0, 1e3, 1.02e5, 1e8], dtype=dtype)
        means = torch.full_like(k, m).requires_grad_()
        value = poisson_log_mass(k, means)
        (grad,) = torch.autograd.grad(value.sum(), means)
        with mpmath.workdps(50):
            x = mpmath.mpf(means[0].item())
            truth = [j * mpmath.log(x) - x - mpmath.loggamma(j + 1) for j in map(mpmath.mpf, k.tolist())]
        assert largest_error(value, truth, [max(1, abs(v)) for v in truth]) < bound
        assert torch.allclose(grad, k / means - 1, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("log_r", [-2.0, 0.7, 4.0])
def test_masses_sum_to_one(log_r: float) -> None:
    """Summed over all counts that matter, the mass is 1."""
    k = torch.arange(5000)
    assert nb_log_mass(
        k, torch.tensor(20.0).double(), torch.tensor(log_r).double()
    ).exp().sum() == pytest.approx(1.0, abs=1e-12)
    assert poisson_log_mass(k, torch.tensor(20.0).double()).exp().sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("log_r", [69.0, 1e3])
def test_infinite_r_is_the_poisson_limit(log_r: float) -> None:
    """From log r = 69 on, the log-mass is Poisson's."""
    k, m = torch.tensor([0, 3, 1000, 10**6]), torch.tensor([0.1, 5.0, 900.0, 1.001e6]).double()
    limit = nb_log_mass(k, m, torch.tensor(log_r).double())
    assert torch.allclose(limit, poisson_log_mass(k, m), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("log_r", [-60.0, -104.0, -1000.0])
def test_vanishing_r_leaves_the_logarithmic_distribution(log_r: float) -> None:
    """As r goes to 0, ln f goes to ln r - ln k with slope 1, also where exp(log r) is 0 in float32."""
    k = torch.tensor([1.0, 2.0, 50.0])
    log_rs = torch.full((3,), log_r, requires_grad=True)
    value = nb_log_mass(k, torch.full((3,), 10.0), log_rs)
    value.sum().backward()
    assert torch.allclose(value, log_r - k.log(), rtol=1e-6)
    assert torch.allclose(log_rs.grad, torch.ones(3))


@pytest.mark.parametrize("r", [1e-3, 2.0, 1e4, 1e30])
def test_zero_mean_follows_the_page(r: float) -> None:
    """At m = 0, ln(m c) is ln 1e-10, the value at most 0, the gradient in m the page's with both epsilons."""
    k = torch.tensor([0.0, 1.0, 5.0, 1e4], dtype=torch.float64)
    m, log_r = torch.zeros(4, dtype=torch.float64), torch.full((4,), math.log(r), dtype=torch.float64)
    m, log_r = m.requires_grad_(), log_r.requires_grad_()
    value = nb_log_mass(k, m, log_r)
    grad_m, grad_r = torch.autograd.grad(value.sum(), (m, log_r))
    with mpmath.workdps(60):
        big = mpmath.exp(mpmath.mpf(log_r[0].item()))
        raw = [
            mpmath.loggamma(j + big) - mpmath.loggamma(big) - mpmath.loggamma(j + 1)
            for j in map(mpmath.mpf, k.tolist())
        ]
        raw = [float(v + j * mpmath.log(mpmath.mpf(EPSILON))) for v, j in zip(raw, k.tolist(), strict=True)]
        slope = [
            float(big * (mpmath.psi(0, j + big) - mpmath.psi(0, big))) for j in map(mpmath.mpf, k.tolist())
        ]
    assert value.tolist() == pytest.approx([min(v, 0.0) for v in raw], rel=1e-11, abs=1e-11)
    page = torch.where(k > 0, k / (EPSILON * (r + EPSILON)) - r / (r + EPSILON), torch.tensor(-1.0).double())
    assert torch.allclose(grad_m, page, rtol=1e-9)
    assert grad_r.tolist() == pytest.approx(
        [s if v < 0 else 0.0 for s, v in zip(slope, raw, strict=True)], rel=1e-9
    )


def test_zero_mean_of_a_poisson_follows_the_page() -> None:
    """At m = 0, ln m is ln 1e-10 and the gradient k / 1e-10 - 1; no reads have log-mass 0."""
    k, m = (
        torch.tensor([0.0, 1.0, 5.0], dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64).requires_grad_(),
    )
    value = poisson_log_mass(k, m)
    (grad,) = torch.autograd.grad(value.sum(), m)
    assert torch.allclose(value, k * math.log(EPSILON) - torch.lgamma(k + 1), rtol=1e-14)
    assert value[0] == 0
    assert torch.allclose(grad, k / EPSILON - 1)


def test_gradients_pass_gradcheck() -> None:
    """Autograd's numerical differences agree, with r per gene and per element."""
    generator = torch.Generator().manual_seed(0)
    k = torch.poisson(torch.full((3, 4), 6.0), generator=generator)
    m = (torch.rand(3, 4, generator=generator, dtype=torch.float64) * 9 + 0.5).requires_grad_()
    log_r = torch.randn(3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    per_gene = log_r.detach()[:1].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: nb_log_mass(k, a, b), (m, log_r))
    assert torch.autograd.gradcheck(lambda a, b: nb_log_mass(k, a, b), (m, per_gene))
    assert torch.autograd.gradcheck(lambda a: poisson_log_mass(k, a), (m,))


def test_second_derivatives_are_refused() -> None:
    """Differentiating twice raises rather than giving half an answer."""
    m = torch.tensor([2.0], requires_grad=True)
    value = nb_log_mass(torch.tensor([1]), m, torch.zeros(1)).sum()
    with pytest.raises(NotImplementedError, match="nb_log_r_curvature"):
        torch.autograd.grad(value, m, create_graph=True)


@pytest.mark.parametrize(
    ("k_shape", "m_shape", "r_shape"),
    [
        ((), (), ()),
        ((5,), (5,), ()),
        ((3, 5), (3, 5), (1, 5)),
        ((3, 5), (3, 5), (3, 1)),
        ((2, 3, 5), (3, 5), (5,)),
        ((3, 1), (1, 5), (1, 1)),
        ((0, 5), (1, 5), (1, 5)),
    ],
)
def test_arguments_broadcast(k_shape, m_shape, r_shape) -> None:
    """Shapes broadcast as in torch, and gradients come back in the shapes of their arguments."""
    generator = torch.Generator().manual_seed(0)
    k = torch.randint(0, 9, k_shape, generator=generator)
    m = torch.rand(m_shape, generator=generator, dtype=torch.float64).requires_grad_()
    log_r = torch.randn(r_shape, generator=generator, dtype=torch.float64).requires_grad_()
    value = nb_log_mass(k, m, log_r)
    full = [tensor.detach().clone() for tensor in torch.broadcast_tensors(k, m, log_r)]
    elements = [
        nb_log_mass(*element) for element in zip(*(tensor.reshape(-1) for tensor in full), strict=True)
    ]
    assert value.shape == full[0].shape
    assert value.detach().reshape(-1).tolist() == [element.item() for element in elements]
    grad_m, grad_r = torch.autograd.grad(value.sum(), (m, log_r))
    full[1].requires_grad_()
    full[2].requires_grad_()
    whole_m, whole_r = torch.autograd.grad(nb_log_mass(*full).sum(), full[1:])
    assert torch.allclose(grad_m, whole_m.sum_to_size(m_shape))
    assert torch.allclose(grad_r, whole_r.sum_to_size(r_shape))
    assert poisson_log_mass(k, m).shape == torch.broadcast_shapes(k_shape, m_shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("counts", [torch.uint8, torch.int32, torch.int64, torch.float32, torch.float64])
def test_result_has_the_dtype_of_the_means(dtype: torch.dtype, counts: torch.dtype) -> None:
    """Counts of any dtype give the same result, in the dtype of m."""
    k, m = torch.tensor([0, 3, 200]), torch.tensor([1.0, 2.0, 190.0], dtype=dtype)
    log_r = torch.zeros(3, dtype=dtype)
    assert nb_log_mass(k.to(counts), m, log_r).dtype == dtype
    assert torch.equal(nb_log_mass(k.to(counts), m, log_r), nb_log_mass(k, m, log_r))
    assert poisson_log_mass(k.to(counts), m).dtype == dtype
    assert nb_log_r_curvature(k.to(counts), m, log_r).dtype == dtype


def test_large_matrices_are_worked_through_in_blocks() -> None:
    """A matrix of many blocks has the same values and gradients as its parts."""
    generator = torch.Generator().manual_seed(0)
    m = (torch.rand(40, 3000, generator=generator) * 50).requires_grad_()
    k, log_r = torch.poisson(m.detach(), generator=generator), torch.randn(1, 3000, generator=generator)
    value = nb_log_mass(k, m, log_r)
    parts = torch.cat([nb_log_mass(k[i : i + 1], m[i : i + 1], log_r) for i in range(40)])
    assert torch.equal(value, parts)
    whole, sum_of_parts = (torch.autograd.grad(v.sum(), m)[0] for v in (value, parts))
    assert torch.equal(whole, sum_of_parts)


def test_log_factorial_agrees_with_scipy() -> None:
    """ln k! in float64, exactly 0 for 0 and 1."""
    k = torch.tensor([[0, 1, 2, 3], [10, 1000, 10**6, 10**9]])
    assert np.allclose(log_factorial(k).numpy(), special.gammaln(k.numpy() + 1.0), rtol=1e-15)
    assert log_factorial(k)[0, :2].tolist() == [0.0, 0.0]
    assert log_factorial(k.float()).dtype == torch.float64


@settings(max_examples=60, deadline=None)
@given(
    k=st.integers(0, 10**8),
    m=st.floats(1e-8, 1e8),
    log_r=st.floats(-200.0, 200.0),
)
def test_the_mean_is_where_the_mass_peaks(k: int, m: float, log_r: float) -> None:
    """Log-masses are finite and never above 0, and their slope in m points from m to k."""
    mean = torch.tensor(m, requires_grad=True)
    value = nb_log_mass(torch.tensor(k), mean, torch.tensor(log_r))
    value.backward()
    assert math.isfinite(value.item())
    assert value <= 0
    assert mean.grad.item() * (float(torch.tensor(float(k))) - mean.item()) >= 0


def peer_values(shared: Path) -> dict[str, dict[str, list]]:
    return json.loads((shared / "peer/artifacts/reference/reference_values.json").read_text())


def test_negative_binomial_matches_the_peer(shared: Path) -> None:
    """bulkdgd's own values agree within its float32 error, but for five that its epsilon decides."""
    stored = peer_values(shared)["nb_logpmf"]
    k, m, r = (torch.tensor(stored[axis], dtype=torch.float64) for axis in "kmr")
    k, m, r = k[:, None, None], m[:, None], r
    expected = torch.tensor(stored["value"], dtype=torch.float64)
    ours = nb_log_mass(k, m, r.log())
    # k = 1, 3, 10, 250, 12345 at m = 1e-6, r = 1e4: m / (r + m) is 1e-10, which epsilon doubles, ln 2 a read.
    decided_by_epsilon = (k > 0) & (m < 1e-5) & (r == 1e4)
    excess = (expected - ours)[decided_by_epsilon] / k[1:, 0, 0]
    assert torch.allclose(excess, torch.full((5,), math.log(2), dtype=torch.float64), atol=0.002)
    error = (ours - expected).abs() / expected.abs().clamp(min=1.0)
    assert error[~decided_by_epsilon].max() < 2e-3


def test_poisson_matches_the_peer(shared: Path) -> None:
    """bulkdgd's own values agree within its float32 error."""
    stored = peer_values(shared)["poisson_logpmf"]
    k, m = (torch.tensor(stored[axis], dtype=torch.float64) for axis in "km")
    expected = torch.tensor(stored["value"], dtype=torch.float64)
    assert torch.allclose(poisson_log_mass(k[:, None], m), expected, rtol=1e-5)


def test_nan_mean_leaves_its_neighbours_alone() -> None:
    """It is NaN itself; a mean of zero beside it still follows the specification's rule."""
    k, log_r = torch.full((3,), 5.0), torch.zeros(3)
    found = nb_log_mass(k, torch.tensor([torch.nan, 0.0, 4.0]), log_r)
    assert bool(found[0].isnan())
    assert torch.equal(found[1:], nb_log_mass(k[1:], torch.tensor([0.0, 4.0]), log_r[1:]))
