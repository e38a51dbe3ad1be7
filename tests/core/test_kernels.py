# SPDX-License-Identifier: BSD-3-Clause
"""Each kernel by itself against mpmath; sums of rows do not depend on the number of rows or threads."""

from collections.abc import Callable
from functools import cache

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf
from torch import Tensor

from pydgd.core import kernels
from pydgd.core.dispersion import Dispersion, Scale, dispersion_of, scale_of
from pydgd.core.kernels import EPSILON, Scratch, Terms, row_sums
from pydgd.core.stirling import tables

COUNTS = [0.0, 1.0, 2.0, 30.0, 1234.0, 2e7]
MEANS = [1e-6, 0.5, 3.0, 30.5, 1200.0, 3e7]
ORDINARY_R = [1e-20, 0.02, 1.5, 40.0, 1e5, 1e8]
LARGE_R = [0.3, 3e9, 1e14, 1e30]  # beyond `LARGE_R`, all but one
EACH_R = pytest.mark.parametrize("r", [ORDINARY_R, LARGE_R], ids=["ordinary r", "large r"])
EACH_DTYPE = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])

# Of the larger of 1 and the truth: what a dtype holds, and what the design allows in float32.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}

SINGLE, DOUBLE = torch.float32, torch.float64


def grid(r: list[float], dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor, Tensor]:
    """Counts and means, a row for each pair, and gene-wise log r; numbers that float32 holds."""
    rows = torch.cartesian_prod(torch.tensor(COUNTS), torch.tensor(MEANS))
    k, mu = (column[:, None].expand(-1, len(r)).contiguous().to(dtype) for column in rows.T)
    return k, mu, torch.tensor(r).log()[None]


def prepared(log_r: Tensor, dtype: torch.dtype) -> tuple[Scale, Dispersion]:
    scale = scale_of(log_r, dtype)
    return scale, dispersion_of(scale, dtype)


Quantity = Callable[[mpf, mpf, mpf], mpf]


@cache
def at(quantity: Quantity, k: float, mu: float, log_r: float) -> float:
    with mpmath.workdps(80):
        return float(quantity(mpf(k), mpf(mu), mpmath.exp(mpf(log_r))))


def truth(quantity: Quantity, k: Tensor, mu: Tensor, log_r: Tensor) -> np.ndarray:
    """A function of count, mean and r with 80 digits, at every element."""
    triples = zip(*(t.double().flatten().tolist() for t in (k, mu, log_r.expand_as(k))), strict=True)
    return np.array([at(quantity, *triple) for triple in triples]).reshape(k.shape)


def check(got: Tensor | None, expected: np.ndarray, tolerance: float) -> None:
    """Within a tolerance of 1, or of the truth where that is larger."""
    assert got is not None
    assert got.shape == expected.shape
    error = np.abs(got.double().numpy() - expected) / np.maximum(1.0, np.abs(expected))
    assert error.max() < tolerance


def shape(k: mpf, mu: mpf, r: mpf) -> mpf:
    """What of ln f depends on count and r alone, by log-gammas."""
    return mpmath.loggamma(k + r) - mpmath.loggamma(r) - k * mpmath.log(r) - mpmath.loggamma(k + 1)


def of_mean(k: mpf, mu: mpf, r: mpf) -> mpf:
    return k * mpmath.log(mu) - (k + r) * mpmath.log1p(mu / r)


def log_mass(k: mpf, mu: mpf, r: mpf) -> mpf:
    return shape(k, mu, r) + of_mean(k, mu, r)


def plus_factorial(k: mpf, mu: mpf, r: mpf) -> mpf:
    return log_mass(k, mu, r) + mpmath.loggamma(k + 1)


def saddle(k: mpf, mu: mpf, r: mpf) -> mpf:
    """ln f at the mean k."""
    return log_mass(k, k, r) if k else mpf(0)


def per_change(k: mpf, mu: mpf, r: mpf) -> mpf:
    """-mu d ln f / d mu."""
    return r * (mu - k) / (r + mu)


def slope(k: mpf, mu: mpf, r: mpf) -> mpf:
    """d ln f / d ln r."""
    psi = mpmath.digamma(k + r) - mpmath.digamma(r)
    return r * (psi - mpmath.log1p(mu / r) + (mu - k) / (r + mu))


@EACH_R
@EACH_DTYPE
def test_exact_kernel_agrees_with_mpmath(dtype: torch.dtype, r: list[float]) -> None:
    """Value and gradients, to the last digits of float64 and within the figures of float32."""
    k, mu, log_r = grid(r, dtype)
    _, dispersion = prepared(log_r, dtype)
    found = kernels.nb_exact(k, mu, dispersion, tables(mu, short=dtype == SINGLE), slope=True)
    assert found.value.dtype == dtype
    check(found.value, truth(log_mass, k, mu, log_r), TOLERANCE[dtype])
    check(found.descent * mu, truth(per_change, k, mu, log_r), TOLERANCE[dtype])
    check(found.slope, truth(slope, k, mu, log_r), TOLERANCE[dtype])
    without = kernels.nb_exact(k, mu, dispersion, tables(mu, short=dtype == SINGLE))
    assert without.slope is None
    assert torch.equal(without.value, found.value)
    assert torch.equal(without.descent, found.descent)


@EACH_R
def test_log_mass_falls_apart_into_deviance_and_saddle(r: list[float]) -> None:
    """What frozen dispersions leave to be computed for each mean, and what is computed once."""
    k, mu, log_r = grid(r)
    _, dispersion = prepared(log_r, DOUBLE)
    found = kernels.nb_deviance_only(k, mu, dispersion.r, tables(mu))
    check(found.value, truth(log_mass, k, mu, log_r) - truth(saddle, k, mu, log_r), 3e-12)
    check(found.descent * mu, truth(per_change, k, mu, log_r), 1e-12)
    assert (found.value <= 0).all()
    assert kernels.nb_saddle_of(k, dispersion).dtype == DOUBLE
    check(kernels.nb_saddle_of(k.float(), dispersion), truth(saddle, k, mu, log_r), 1e-12)
    check(kernels.nb_shape(k.float(), dispersion), truth(shape, k, mu, log_r), 1e-12)


def test_fractions_below_one_have_a_saddle_too() -> None:
    """Counts should be whole, but the continuous formula holds down to 0."""
    k, log_r = torch.tensor([[0.001], [0.3], [0.999]]), torch.tensor([[-40.0, -1.0, 0.0, 5.0, 60.0]])
    k = k.expand(-1, 5).double()
    check(kernels.nb_saddle_of(k, prepared(log_r, DOUBLE)[1]), truth(saddle, k, k, log_r), 1e-12)


@EACH_R
@pytest.mark.parametrize("counts", [torch.float32, torch.int64])
def test_fast_kernel_agrees_with_mpmath(r: list[float], counts: torch.dtype) -> None:
    """Sums of rows with ln k! added, and their gradients, within the figures of float32."""
    k, mu, log_r = grid(r, SINGLE)
    scale, dispersion = prepared(log_r, SINGLE)
    assert scale.large == (r is LARGE_R)
    out, chosen, scratch = torch.full_like(mu, torch.nan), tables(mu, short=True), Scratch()
    options = {"scale": scale, "dispersion": dispersion, "chosen": chosen, "scratch": scratch}
    found = kernels.nb_fast(k.to(counts), mu, **options, slope=True, out=out)
    check(found.value, truth(plus_factorial, k, mu, log_r).sum(-1), 2e-6)
    assert found.value.dtype == DOUBLE
    check(found.slope, truth(slope, k, mu, log_r), 2e-6)
    check(out * mu, truth(per_change, k, mu, log_r), 2e-6)
    again = kernels.nb_fast(k.to(counts), mu, **options, slope=False)
    assert torch.equal(again.value, found.value)
    assert again.slope is None
    each = kernels.nb_fast(k.to(counts), mu, **options, slope=False, each=True)
    check(each.value, truth(log_mass, k, mu, log_r), 2e-6)


def test_means_far_beyond_a_large_r_have_a_finite_mass() -> None:
    """Where 1 - (mu - k)/(r + mu) is 0 in float64, its logarithm is that of a quotient."""
    k, mu, log_r = torch.tensor([[0.0], [3.0]]), torch.full((2, 1), 1e30), torch.tensor([[3e9]]).log()
    scale, dispersion = prepared(log_r, SINGLE)
    found = kernels.nb_fast(k, mu, scale, dispersion, tables(mu, short=True), Scratch(), slope=True)
    check(found.value, truth(plus_factorial, k, mu, log_r).sum(-1), 1e-12)
    check(found.slope, truth(slope, k, mu, log_r), 2e-6)


@EACH_R
@pytest.mark.parametrize("counts", [torch.float32, torch.int64])
def test_frozen_kernel_agrees_with_mpmath(r: list[float], counts: torch.dtype) -> None:
    """Sums of what depends on the mean within 2e-7 nats, and the descent within the figures of float32."""
    k, mu, log_r = grid(r, SINGLE)
    out, scale = torch.full_like(mu, torch.nan), prepared(log_r, DOUBLE)[0]
    assert scale.large == (r is LARGE_R)
    found = kernels.nb_frozen(k.to(counts), mu, scale, Scratch(), out=out)
    expected = truth(of_mean, k, mu, log_r)
    # Below r = 1e9, ln(1 + mu/r) is the log of a sum, whose rounding is multiplied by r.
    assert np.allclose(found.value.numpy(), expected.sum(-1), rtol=1e-13, atol=2e-7)
    check(out * mu, truth(per_change, k, mu, log_r), 1e-6)
    assert torch.equal(kernels.nb_frozen(k.to(counts), mu, scale, Scratch()).value, found.value)


@EACH_DTYPE
@pytest.mark.parametrize("counts", [torch.float32, torch.int32])
def test_differences_of_large_integers_are_exact(dtype: torch.dtype, counts: torch.dtype) -> None:
    """Integers that float32 does not hold are subtracted before they are rounded."""
    k = torch.tensor([[16_777_218, 3, 0]] if counts == SINGLE else [[16_777_217, 3, 0]]).to(counts)
    mu = torch.tensor([[16_777_216.0, 5.5, 2.0]], dtype=dtype)
    out = torch.empty_like(mu)
    found = kernels.mean_minus_count(k, mu, mu.double(), out)
    assert found is out
    assert out.tolist() == [[-2.0 if counts == SINGLE else -1.0, 2.5, 2.0]]


def test_zero_means_follow_the_specification() -> None:
    """ln(mu c) is ln 1e-10 and no log-mass above 0; the slope in ln r is 0 where that bound holds."""
    k = torch.tensor(COUNTS)[:, None].expand(-1, 7)
    log_r = torch.tensor([1e-12, 1e-3, 2.0, 50.0, 1e6, 1e12, 1e30]).log()[None]
    found = kernels.nb_zero_mean(k, log_r)

    def rule(k: mpf, mu: mpf, r: mpf) -> mpf:
        return mpmath.loggamma(k + r) - mpmath.loggamma(r) - mpmath.loggamma(k + 1) + k * mpmath.log(EPSILON)

    def its_slope(k: mpf, mu: mpf, r: mpf) -> mpf:
        return r * (mpmath.digamma(k + r) - mpmath.digamma(r)) if rule(k, mu, r) < 0 else mpf(0)

    def its_descent(k: mpf, mu: mpf, r: mpf) -> mpf:
        return (r - k / mpf(EPSILON)) / (r + mpf(EPSILON)) if k else mpf(1)

    check(found.value, np.minimum(truth(rule, k, k, log_r), 0.0), 1e-12)
    assert (found.value[1:] == 0).any()
    assert (found.value[1:] < 0).any()
    check(found.slope, truth(its_slope, k, k, log_r), 1e-11)
    check(found.descent, truth(its_descent, k, k, log_r), 1e-12)


def test_log_factorials_agree_with_mpmath() -> None:
    """Each in float64, and their sums over rows within 3e-7 a count; no reads add exactly nothing."""
    k = torch.tensor([*range(12), 99, 12_345, 2**24, 10**9])
    expected = truth(lambda k, *_: mpmath.loggamma(k + 1), k, k, torch.zeros(1))
    check(kernels.log_factorial_of(k.double()), expected, 1e-15)
    assert kernels.log_factorial_of(torch.zeros(2, dtype=DOUBLE)).tolist() == [0.0, 0.0]
    counts = torch.stack([k, torch.zeros_like(k), k.flip(0)])
    for rows in (counts, counts.float(), counts.T, counts.T.double()):
        sums = kernels.log_factorial_sums(rows, tables(torch.zeros(()), short=True), Scratch())
        each = truth(lambda k, *_: mpmath.loggamma(k + 1), rows, rows, torch.zeros(1))
        assert sums.dtype == DOUBLE
        assert np.allclose(sums.numpy(), each.sum(-1), rtol=1e-9, atol=3e-7 * rows.shape[1])
    assert kernels.log_factorial_sums(counts, tables(torch.zeros(()), short=True), Scratch())[1] == 0


def poisson(k: mpf, mu: mpf, r: mpf) -> mpf:
    return k * mpmath.log(mu) - mu - mpmath.loggamma(k + 1)


@EACH_DTYPE
def test_exact_poisson_agrees_with_mpmath(dtype: torch.dtype) -> None:
    """Value and descent, in float32 with its short tables."""
    k, mu, log_r = grid([1.0], dtype)
    found = kernels.poisson_exact(k, mu, tables(mu, short=dtype == SINGLE))
    assert found.value.dtype == dtype
    check(found.value, truth(poisson, k, mu, log_r), TOLERANCE[dtype])
    check(found.descent * mu, (mu - k).double().numpy(), TOLERANCE[dtype])
    assert found.slope is None


@pytest.mark.parametrize("counts", [torch.float32, torch.int64])
def test_fast_poisson_agrees_with_mpmath(counts: torch.dtype) -> None:
    """Sums of rows with ln k! added, and the descent."""
    k, mu, log_r = grid([1.0, 2.0], SINGLE)
    k[:, 1], out = 7.0, torch.full_like(mu, torch.nan)
    found = kernels.poisson_fast(k.to(counts), mu, Scratch(), out=out)
    each = truth(poisson, k, mu, log_r) + truth(lambda k, *_: mpmath.loggamma(k + 1), k, mu, log_r)
    check(found.value, each.sum(-1), 1e-13)
    check(out * mu, (mu - k).numpy(), 1e-6)
    assert torch.equal(kernels.poisson_fast(k.to(counts), mu, Scratch()).value, found.value)


def test_zero_means_of_poisson_follow_the_specification() -> None:
    """ln mu is ln 1e-10, and the descent 1 - k / 1e-10."""
    k = torch.tensor(COUNTS)
    found = kernels.poisson_zero_mean(k)
    expected = truth(lambda k, *_: k * mpmath.log(EPSILON) - mpmath.loggamma(k + 1), k, k, k)
    check(found.value, expected, 1e-14)
    check(found.descent, 1 - k.double().numpy() / EPSILON, 1e-14)


def test_buffers_are_reused_as_long_as_the_shape_stays() -> None:
    """By name; those of another shape replace them."""
    scratch, like = Scratch(), torch.zeros(3, 4)
    first = scratch.take("a", 2, like, DOUBLE)
    assert [buffer.shape for buffer in first] == [(3, 4), (3, 4)]
    assert {buffer.dtype for buffer in first} == {DOUBLE}
    assert first[0].data_ptr() != first[1].data_ptr()
    assert scratch.take("a", 2, torch.ones(3, 4), DOUBLE) is first
    assert scratch.take("b", 2, like, DOUBLE) is not first
    assert scratch.take("a", 2, torch.zeros(4, 3), DOUBLE)[0].shape == (4, 3)


def test_terms_lack_what_was_not_asked_for() -> None:
    """Gradients and the smallest mean are None by default."""
    assert Terms(torch.zeros(1))[1:] == (None, None, None)


def test_row_sums_do_not_depend_on_rows_and_threads() -> None:
    """Of 40,000 genes torch splits the sum of a single row among threads, but not that of many."""
    values = torch.randn(5, 40_000, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    try:
        for dtype in (torch.float32, torch.float64):
            torch.set_num_threads(1)
            alone = torch.cat([row_sums(row[None].to(dtype)) for row in values])
            torch.set_num_threads(2)
            assert torch.equal(row_sums(values.to(dtype)), alone)
            assert torch.equal(torch.cat([row_sums(row[None].to(dtype)) for row in values]), alone)
    finally:
        torch.set_num_threads(before)


def test_row_sums_are_in_float64() -> None:
    """Also of float32, and of no genes at all."""
    values = torch.tensor([[1e8, 1.0, -1e8], [0.0, 0.0, 0.0]])
    assert row_sums(values).tolist() == [1.0, 0.0]
    assert row_sums(torch.empty(2, 0)).tolist() == [0.0, 0.0]
