# SPDX-License-Identifier: BSD-3-Clause
"""Sums over genes: equal to the element-wise log-masses, however they are computed."""

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from pydgd.core.distributions import (
    log_factorial,
    nb_constants,
    nb_log_mass,
    nb_nll,
    poisson_log_mass,
    poisson_nll,
)

N, G = 7, 40

SHAPES_OF_R = [(1, G), (N, G)]


def draw(seed: int, dtype: torch.dtype = torch.float32, r_shape=(1, G)) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, means and log r as an expression matrix has them: means from 0.01 to 1e5, some counts 0."""
    generator = torch.Generator().manual_seed(seed)
    mu = torch.exp(torch.randn(N, G, generator=generator) * 2.5 + 3).to(dtype)
    log_r = (torch.randn(r_shape, generator=generator) * 2 + 1).to(dtype)
    counts = torch.poisson(mu * torch.exp(0.5 * torch.randn(N, G, generator=generator)), generator=generator)
    return counts, mu, log_r


def extremes(dtype: torch.dtype, log_rs: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """One gene per row: all combinations of extreme counts, means and r."""
    k = torch.tensor([0.0, 1.0, 12.0, 1e4, 1e8], dtype=dtype)
    m = torch.tensor([1e-8, 0.4, 11.0, 1.01e4, 1e8], dtype=dtype)
    grids = torch.meshgrid(k, m, torch.tensor(log_rs, dtype=dtype), indexing="ij")
    return tuple(grid.reshape(-1, 1) for grid in grids)


def elementwise(counts: Tensor, mu: Tensor, log_r: Tensor, mask: Tensor | None = None) -> Tensor:
    """The same sum from `nb_log_mass` in float64, which is exact to 1e-12."""
    each = -nb_log_mass(counts, mu.double(), log_r.double())
    return (each if mask is None else each[:, mask]).sum(-1)


def gradients(nll: Tensor, *inputs: Tensor, weights: Tensor | None = None) -> tuple[Tensor, ...]:
    return torch.autograd.grad((nll if weights is None else nll * weights).sum(), inputs, retain_graph=True)


def assert_close(got: Tensor, expected: Tensor, single: bool) -> None:
    """Within the error of the dtype that the means have."""
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if single else {"rtol": 1e-11, "atol": 1e-11}
    assert torch.allclose(got.double(), expected.double(), **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("r_shape", SHAPES_OF_R)
@pytest.mark.parametrize("masked", [False, True])
def test_nb_nll_is_the_sum_of_log_masses(dtype: torch.dtype, r_shape, masked: bool) -> None:
    """Value and both gradients, with r per gene or per element, with and without a mask."""
    counts, mu, log_r = (tensor.requires_grad_(i > 0) for i, tensor in enumerate(draw(0, dtype, r_shape)))
    mask = torch.arange(G) % 3 > 0 if masked else None
    nll = nb_nll(counts, mu, log_r, mask=mask)
    expected = elementwise(counts, mu, log_r, mask)
    assert nll.shape == (N,)
    assert nll.dtype == torch.float64
    single = dtype == torch.float32
    assert_close(nll, expected, single)
    for got, truth in zip(gradients(nll, mu, log_r), gradients(expected, mu, log_r), strict=True):
        assert_close(got, truth, single)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_poisson_nll_is_the_sum_of_log_masses(dtype: torch.dtype) -> None:
    """Value and gradient, with and without a mask."""
    counts, mu, _ = draw(0, dtype)
    mu.requires_grad_()
    for mask in (torch.ones(G, dtype=torch.bool), torch.arange(G) % 3 > 0):
        nll = poisson_nll(counts, mu, mask=mask)
        expected = -poisson_log_mass(counts, mu.double())[:, mask].sum(-1)
        assert_close(nll, expected, dtype == torch.float32)
        assert_close(*gradients(nll, mu), *gradients(expected, mu), dtype == torch.float32)


@pytest.mark.parametrize("log_rs", [[-69.0, -7.0, 0.0, 8.0, 20.0], [-200.0, 3.0, 21.0, 35.0, 69.0, 300.0]])
@pytest.mark.parametrize("frozen", [False, True])
def test_float32_holds_its_figures_at_the_extremes(log_rs: list[float], frozen: bool) -> None:
    """2e-4 nats or 2e-6 of the value, gradients 1e-5, for k to 1e8, m 1e-8 to 1e8 and any r."""
    k, m, log_r = extremes(torch.float32, log_rs)
    m.requires_grad_()
    log_r.requires_grad_(not frozen)
    nll = nb_nll(k, m, log_r, constants=nb_constants(k, log_r) if frozen else None)
    truth = elementwise(k, m, log_r)
    assert ((nll - truth).abs() / (truth.abs() / 100).clamp(min=1.0)).max() < 2e-4
    inputs = (m,) if frozen else (m, log_r)
    for parameter, got, expected in zip(
        inputs, gradients(nll, *inputs), gradients(truth, *inputs), strict=True
    ):
        scale = 1 / m.detach() if parameter is m else 1.0
        assert ((got - expected).abs() / expected.abs().clamp(min=scale)).max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("r_shape", SHAPES_OF_R)
@pytest.mark.parametrize("masked", [False, True])
def test_constants_give_the_same_nll(dtype: torch.dtype, r_shape, masked: bool) -> None:
    """With frozen dispersion and its constants, value and gradient in mu are the same."""
    counts, mu, log_r = draw(1, dtype, r_shape)
    mu.requires_grad_()
    mask = torch.arange(G) % 3 > 0 if masked else None
    frozen = nb_nll(counts, mu, log_r, mask=mask, constants=nb_constants(counts, log_r, mask=mask))
    expected = elementwise(counts, mu, log_r, mask)
    assert_close(frozen, expected, dtype == torch.float32)
    assert_close(*gradients(frozen, mu), *gradients(expected, mu), dtype == torch.float32)


@pytest.mark.parametrize("masked", [False, True])
def test_plain_constants_are_the_first_column(masked: bool) -> None:
    """To the bit; kernels that take the other one refuse them."""
    counts, mu, log_r = draw(1)
    mask = torch.arange(G) % 3 > 0 if masked else None
    plain = nb_constants(counts, log_r, mask=mask, plain_only=True)
    assert torch.equal(plain[:, 0], nb_constants(counts, log_r, mask=mask)[:, 0])
    for other in ({"mu": mu.double()}, {"mu": mu.float(), "compiled": True}):
        with pytest.raises(ValueError, match="make them without plain_only"):
            nb_nll(counts, log_r=log_r, mask=mask, constants=plain, **other)


def test_constants_and_a_trained_dispersion_exclude_each_other() -> None:
    """The error names both ways out."""
    counts, mu, log_r = draw(0)
    constants = nb_constants(counts, log_r)
    with pytest.raises(ValueError, match=r"requires_grad=True.*[Dd]etach"):
        nb_nll(counts, mu, log_r.requires_grad_(), constants=constants)
    with torch.no_grad():
        assert torch.isfinite(nb_nll(counts, mu, log_r, constants=constants)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("block", [1, 100, 10**7])
def test_blocks_do_not_change_the_result(dtype: torch.dtype, block: int) -> None:
    """One row at a time, a few, and all at once agree with the default."""
    counts, mu, log_r = draw(2, dtype)
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    constants = nb_constants(counts, log_r.detach())
    for make in (
        lambda **options: nb_nll(counts, mu, log_r, **options),
        lambda **options: nb_nll(counts, mu, log_r.detach(), constants=constants, **options),
        lambda **options: poisson_nll(counts, mu, **options),
    ):
        nll, default = make(block=block), make()
        assert torch.allclose(nll, default, rtol=1e-13)
        assert torch.equal(*(torch.autograd.grad(v.sum(), mu)[0] for v in (nll, default)))
    slopes = [
        torch.autograd.grad(nb_nll(counts, mu, log_r, **o).sum(), log_r)[0] for o in ({}, {"block": block})
    ]
    assert torch.allclose(*slopes, rtol=1e-5)


@pytest.mark.parametrize("r_shape", SHAPES_OF_R)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_may_weigh_differently(r_shape, dtype: torch.dtype) -> None:
    """Gradients follow the weights of the rows, whether these are equal or not."""
    counts, mu, log_r = draw(3, dtype, r_shape)
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    nll, expected = nb_nll(counts, mu, log_r), elementwise(counts, mu, log_r)
    for weights in (torch.full((N,), 0.25), torch.linspace(0.0, 2.0, N)):
        pairs = zip(
            gradients(nll, mu, log_r, weights=weights),
            gradients(expected, mu, log_r, weights=weights),
            strict=True,
        )
        for got, truth in pairs:
            assert_close(got, truth, dtype == torch.float32)


def test_frozen_float64_does_not_cancel() -> None:
    """1e-12, also for a hundred million reads, where ln k! alone is 2e9 nats."""
    k, m, log_r = extremes(torch.float64, [math.log(r) for r in (1e-30, 1e-3, 2.0, 1e4, 1e8, 1e12, 1e30)])
    more = torch.tensor([[99_990_000.0], [1e8], [12_346.0]], dtype=torch.float64)
    k = torch.cat([k, more])
    m = torch.cat([m, torch.tensor([[1e8], [1.0003e8], [12_345.6]], dtype=torch.float64)])
    log_r = torch.cat([log_r, torch.tensor([[18.0], [40.0], [3.0]], dtype=torch.float64)])
    m.requires_grad_()
    nll = nb_nll(k, m, log_r, constants=nb_constants(k, log_r))
    (gradient,) = torch.autograd.grad(nll.sum(), m)
    columns = (
        k[:, 0].tolist(),
        m[:, 0].tolist(),
        log_r[:, 0].tolist(),
        nll.tolist(),
        gradient[:, 0].tolist(),
    )
    with mpmath.workdps(80):
        for x, mean, log, value, slope in zip(*columns, strict=True):
            x, mean, r = mpmath.mpf(x), mpmath.mpf(mean), mpmath.exp(mpmath.mpf(log))
            shape = mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
            exact = -shape - r * mpmath.log(r / (r + mean)) - x * mpmath.log(mean / (r + mean))
            assert abs(value - exact) <= 1e-12 * max(1, abs(exact))
            score = r * (mean - x) / (r + mean)
            assert abs(slope * mean - score) <= 1e-12 * max(1, abs(score))


def test_large_integers_are_not_rounded() -> None:
    """Integer counts that float32 does not hold keep value and gradient, with float32 means."""
    counts, mu = torch.tensor([[16_777_217], [99_999_999]]), torch.tensor([[16_777_216.0], [1e8]])
    log_r = torch.tensor([[30.0]])
    forms = {
        "nb": nb_nll,
        "frozen": lambda k, m, log_r: nb_nll(k, m, log_r, constants=nb_constants(k, log_r)),
        "poisson": lambda k, m, _: poisson_nll(k, m),
    }
    for form, nll in forms.items():
        single, double = mu.clone().requires_grad_(), mu.double().requires_grad_()
        values = nll(counts, single, log_r), nll(counts, double, log_r.double())
        assert torch.allclose(*values, rtol=0, atol=2e-5), form
        slopes = (gradients(v, m)[0].double() * mu for v, m in zip(values, (single, double), strict=True))
        assert torch.allclose(*slopes, rtol=1e-5), form


def test_inputs_are_left_alone() -> None:
    """Neither counts nor means nor log r change, also where the counts are already of the working dtype."""
    for dtype in (torch.float32, torch.float64):
        counts, mu, log_r = draw(5, dtype)
        counts = counts.to(dtype)
        before = [tensor.clone() for tensor in (counts, mu, log_r)]
        nb_nll(counts, mu.requires_grad_(), log_r.requires_grad_()).sum().backward()
        nb_nll(counts, mu, log_r.detach(), constants=nb_constants(counts, log_r)).sum().backward()
        poisson_nll(counts, mu).sum().backward()
        assert all(torch.equal(a, b.detach()) for a, b in zip(before, (counts, mu, log_r), strict=True))


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("masked", [False, True])
def test_log_factorials_may_be_given(each: bool, masked: bool) -> None:
    """Given per element or as sums over the measured genes, they change 1e-5 nats and the time."""
    counts, mu, log_r = draw(6)
    mask = torch.arange(G) % 2 > 0 if masked else torch.ones(G, dtype=torch.bool)
    given = log_factorial(counts)
    given = given if each else given[:, mask].sum(-1)
    options = {"mask": mask, "log_factorial": given}
    assert torch.allclose(
        nb_nll(counts, mu, log_r, **options), nb_nll(counts, mu, log_r, mask=mask), atol=1e-5
    )
    assert torch.allclose(poisson_nll(counts, mu, **options), poisson_nll(counts, mu, mask=mask), atol=1e-5)


def test_unmeasured_genes_may_hold_anything() -> None:
    """NaN counts, zero means and infinite log r behind the mask reach neither value nor gradient."""
    counts, mu, log_r = draw(7)
    mask = torch.ones(G, dtype=torch.bool)
    mask[[0, 5]] = False
    clean = nb_nll(counts[:, mask], mu[:, mask], log_r[:, mask])
    counts[:, 0], mu[:, 5], log_r[:, 0] = math.nan, 0.0, math.inf
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    nll = nb_nll(counts, mu, log_r, mask=mask)
    assert torch.allclose(nll, clean, rtol=1e-14)
    grad_mu, grad_r = gradients(nll, mu, log_r)
    assert (grad_mu[:, ~mask] == 0).all()
    assert (grad_r[:, ~mask] == 0).all()
    assert grad_mu.isfinite().all()
    assert grad_r.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_means_follow_the_rule_of_the_log_mass(dtype: torch.dtype) -> None:
    """Where mu is 0 or tiny, sums have value and gradients of the element-wise rule, in every form."""
    counts, mu, log_r = draw(8, dtype)
    mu[0, :3], mu[1, 4], mu[2, 5], mu[3] = 0.0, 1e-25, 1e-30, 0.0
    counts[0, 0], counts[0, 1] = 0.0, 5.0
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    fixed = log_r.detach()
    forms = [nb_nll(counts, mu, log_r), nb_nll(counts, mu, fixed, constants=nb_constants(counts, fixed))]
    truth = elementwise(counts, mu, log_r)
    for nll in forms:
        assert torch.allclose(nll, truth, rtol=1e-6)
        assert torch.allclose(*(gradients(v, mu)[0] for v in (nll, truth)), rtol=1e-5, atol=1e-5)
    assert torch.allclose(*(gradients(v, log_r)[0] for v in (forms[0], truth)), rtol=1e-5, atol=1e-5)
    poisson, truth = poisson_nll(counts, mu), -poisson_log_mass(counts, mu.double()).sum(-1)
    assert torch.allclose(poisson, truth, rtol=1e-6)
    assert torch.allclose(*(gradients(v, mu)[0] for v in (poisson, truth)), rtol=1e-5)


def test_nll_passes_gradcheck() -> None:
    """Autograd's numerical differences agree, for the trained and the frozen form."""
    counts, mu, log_r = (tensor[:3, :4] for tensor in draw(9, torch.float64))
    mu, log_r = mu.clone().requires_grad_(), log_r.clone().requires_grad_()
    constants = nb_constants(counts, log_r.detach())
    assert torch.autograd.gradcheck(lambda a, b: nb_nll(counts, a, b), (mu, log_r))
    assert torch.autograd.gradcheck(
        lambda a: nb_nll(counts, a, log_r.detach(), constants=constants), (mu,), atol=1e-4
    )
    assert torch.autograd.gradcheck(lambda a: poisson_nll(counts, a), (mu,))


@pytest.mark.parametrize("shape", [(1, G), (N, 1), (1, 1), (0, G), (N, 0)])
def test_small_shapes_work(shape: tuple[int, int]) -> None:
    """One sample, one gene, none."""
    counts, mu, log_r = (tensor[: shape[0], : shape[1]] for tensor in draw(10))
    log_r = draw(10)[2][:, : shape[1]]
    mu = mu.clone().requires_grad_()
    log_r = log_r.clone().requires_grad_()
    nll = nb_nll(counts, mu, log_r)
    nll.sum().backward()
    assert torch.allclose(nll, elementwise(counts, mu, log_r), rtol=1e-6)
    assert mu.grad.shape == shape
    assert poisson_nll(counts, mu).shape == (shape[0],)


def test_nothing_measured_costs_nothing() -> None:
    """With no gene measured, the sum is 0."""
    counts, mu, log_r = draw(11)
    mask = torch.zeros(G, dtype=torch.bool)
    assert (nb_nll(counts, mu, log_r, mask=mask) == 0).all()
    assert (poisson_nll(counts, mu, mask=mask) == 0).all()


@pytest.mark.parametrize("counts_dtype", [torch.uint8, torch.int32, torch.int64, torch.float64])
def test_counts_of_any_dtype_give_the_same(counts_dtype: torch.dtype) -> None:
    """Integer counts are accepted as they are."""
    counts, mu, log_r = draw(12)
    counts = counts.clamp(max=200.0)
    constants = nb_constants(counts, log_r)
    other = counts.to(counts_dtype)
    assert torch.equal(nb_nll(other, mu, log_r), nb_nll(counts, mu, log_r))
    assert torch.equal(
        nb_nll(other, mu, log_r, constants=constants), nb_nll(counts, mu, log_r, constants=constants)
    )
    assert torch.equal(poisson_nll(other, mu), poisson_nll(counts, mu))


def test_sums_agree_with_scipy() -> None:
    """A sample's Poisson and negative binomial sums are SciPy's to 1e-9 in float64."""
    counts, mu, log_r = draw(13, torch.float64)
    r = log_r.exp()
    expected = -stats.nbinom.logpmf(counts, r, r / (r + mu)).sum(-1)
    assert nb_nll(counts, mu, log_r).tolist() == pytest.approx(expected, rel=1e-9)
    expected = -stats.poisson.logpmf(counts, mu).sum(-1)
    assert poisson_nll(counts, mu).tolist() == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(G)))
def test_the_order_of_genes_does_not_matter(seed: int, order: list[int]) -> None:
    """Permuted genes give the same sum and permuted gradients."""
    counts, mu, log_r = draw(seed)
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    nll, permuted = nb_nll(counts, mu, log_r), nb_nll(counts[:, order], mu[:, order], log_r[:, order])
    assert torch.allclose(nll, permuted, rtol=1e-12)
    for a, b in zip(gradients(nll, mu, log_r), gradients(permuted, mu, log_r), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, G - 1))
def test_sums_over_genes_add_up(seed: int, cut: int) -> None:
    """Two parts of the genes add up to the whole, and to the two halves of a mask."""
    counts, mu, log_r = draw(seed)
    whole = nb_nll(counts, mu, log_r)
    parts = nb_nll(counts[:, :cut], mu[:, :cut], log_r[:, :cut]) + nb_nll(
        counts[:, cut:], mu[:, cut:], log_r[:, cut:]
    )
    mask = torch.arange(G) < cut
    masked = nb_nll(counts, mu, log_r, mask=mask) + nb_nll(counts, mu, log_r, mask=~mask)
    assert torch.allclose(whole, parts, rtol=1e-12)
    assert torch.allclose(whole, masked, rtol=1e-12)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    """A row alone has the value and, bit for bit, the gradient that it has among others."""
    counts, mu, log_r = draw(14)
    mu.requires_grad_()
    constants = nb_constants(counts, log_r)
    together = nb_nll(counts, mu, log_r, constants=constants)
    alone = torch.cat(
        [nb_nll(counts[[i]], mu[[i]], log_r, constants=constants[[i]]) for i in range(N)],
    )
    assert torch.allclose(together, alone, rtol=1e-14)
    assert torch.equal(*(gradients(v, mu)[0] for v in (together, alone)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gpu_and_cpu_agree(dtype: torch.dtype) -> None:
    """Values and gradients are the same on both devices, in every eager form."""
    counts, mu, log_r = draw(16, dtype)
    mu[0, 0] = 0.0
    mu, log_r = mu.requires_grad_(), log_r.requires_grad_()
    fixed = log_r.detach()
    constants = nb_constants(counts, fixed)
    there = counts.cuda(), mu.cuda()
    pairs = (
        (nb_nll(*there, log_r.cuda()), nb_nll(counts, mu, log_r)),
        (
            nb_nll(*there, fixed.cuda(), constants=constants.cuda()),
            nb_nll(counts, mu, fixed, constants=constants),
        ),
        (poisson_nll(*there), poisson_nll(counts, mu)),
    )
    for nll, expected in pairs:
        assert_close(nll.cpu(), expected, single=dtype == torch.float32)
        inputs = (mu, log_r) if nll is pairs[0][0] else (mu,)
        for a, b in zip(gradients(nll, *inputs), gradients(expected, *inputs), strict=True):
            assert_close(a, b, single=dtype == torch.float32)
