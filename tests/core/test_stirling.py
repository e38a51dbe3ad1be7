# SPDX-License-Identifier: BSD-3-Clause
"""Remainders of Stirling's formulas against 60-digit arithmetic."""

from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor

from pydgd.core.stirling import (
    over,
    polynomial,
    short_remainders,
    stirling_delta,
    stirling_remainders,
    stirling_zeta,
    tables,
)

POINTS = [10.0 ** (step / 4) for step in range(-120, 121)]


def delta(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.loggamma(x) - (x - 0.5) * mpmath.log(x) + x - mpmath.log(2 * mpmath.pi) / 2


def eta(x: mpmath.mpf) -> mpmath.mpf:
    return x * (mpmath.log(x) - mpmath.digamma(x)) - 0.5


def zeta(x: mpmath.mpf) -> mpmath.mpf:
    return x * x * mpmath.psi(1, x) - x - 0.5 - eta(x)


def largest_error(got: Tensor, oracle: Callable[[mpmath.mpf], mpmath.mpf], points: list[float]) -> float:
    """Of `got` against `oracle`, relative where the oracle is above 1."""
    with mpmath.workdps(100):
        expected = [oracle(mpmath.mpf(x)) for x in points]
        pairs = zip(got.tolist(), expected, strict=True)
        return max(float(abs(value - truth) / max(1, abs(truth))) for value, truth in pairs)


@pytest.mark.parametrize(
    ("function", "oracle", "bound"),
    [
        (lambda x: stirling_remainders(x)[0], delta, 1e-15),
        (lambda x: stirling_remainders(x)[1], eta, 3e-15),
        (stirling_delta, delta, 1e-15),
        (stirling_zeta, zeta, 2e-14),
    ],
    ids=["delta", "eta", "delta alone", "zeta"],
)
def test_remainders_agree_with_mpmath(function: Callable[[Tensor], Tensor], oracle, bound: float) -> None:
    """Float64 keeps 14 digits from 1e-30 to 1e30."""
    assert largest_error(function(torch.tensor(POINTS, dtype=torch.float64)), oracle, POINTS) < bound


@pytest.mark.parametrize(("name", "oracle"), [("delta", delta), ("eta", eta)])
def test_short_coefficients_are_exact_to_4e_7(name: str, oracle) -> None:
    """The polynomials for float32 stay within 4e-7 for all arguments from 1 up."""
    points = [x for x in POINTS if x >= 1] + [1.01, 1.1, 1.5, 2.5, 3.0, 4.0, 6.0]
    u = (1 / torch.tensor(points, dtype=torch.float64)).float()
    got = over(u, getattr(tables(u, short=True), name))
    assert largest_error(got, oracle, [1 / value for value in u.tolist()]) < 4e-7


@pytest.mark.parametrize(("part", "oracle"), [(0, delta), (1, eta)], ids=["delta", "eta"])
def test_short_remainders_are_exact_to_5e_7(part: int, oracle: Callable[[mpmath.mpf], mpmath.mpf]) -> None:
    """In float32, from 1e-30 to 1e30, relative where delta is above 1."""
    x = torch.tensor(POINTS, dtype=torch.float32)
    assert largest_error(short_remainders(x)[part], oracle, x.tolist()) < 5e-7


def test_remainders_keep_their_dtype() -> None:
    """Float32 arguments give float32 results."""
    assert all(part.dtype == torch.float32 for part in stirling_remainders(torch.tensor([0.1, 3.0])))


def test_short_series_of_the_deviance_is_exact_to_2e_8() -> None:
    """(u - ln(1+u)) / u^2 up to 0.4 either side of 0, relative."""
    u = torch.linspace(-0.4, 0.4, 80, dtype=torch.float64)
    found = polynomial(u, tables(u, short=True).bd0)
    with mpmath.workdps(40):
        truth = [(x - mpmath.log1p(x)) / x**2 for x in map(mpmath.mpf, u.tolist())]
        assert max(abs(got / exact - 1) for got, exact in zip(found.tolist(), truth, strict=True)) < 2e-8


def test_long_series_of_the_deviance_is_exact() -> None:
    """(ln((1+v)/(1-v)) / v - 2) / v^2, for v^2 up to 0.01."""
    v = torch.linspace(0.001, 0.1, 40, dtype=torch.float64)
    found = polynomial(v * v, tables(v).bd0)
    with mpmath.workdps(40):
        truth = [(mpmath.log((1 + x) / (1 - x)) / x - 2) / x**2 for x in map(mpmath.mpf, v.tolist())]
        assert max(abs(got / exact - 1) for got, exact in zip(found.tolist(), truth, strict=True)) < 1e-15


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tables_are_the_same_where_torch_traces(short: bool, dtype: torch.dtype) -> None:
    """Scalars in the dtype asked for, whichever way they are made."""
    plain, traced = (tables(torch.zeros(3, dtype=dtype), short=short, traced=flag) for flag in (False, True))
    assert plain.short is traced.short is short
    for one, other in ((plain.delta, traced.delta), (plain.eta, traced.eta), ((plain.bd0,), (traced.bd0,))):
        for scalars, others in zip(one, other, strict=True):
            assert [x.item() for x in scalars] == [x.item() for x in others]
            assert all(x.dtype == dtype and x.shape == () for x in (*scalars, *others))


def test_a_polynomial_may_go_into_a_buffer() -> None:
    """1 + 2 w + 3 w^2; so may a short table's function."""
    w, buffer = torch.tensor([0.0, 2.0]), torch.empty(2)
    coefficients = tuple(torch.tensor([1.0, 2.0, 3.0]).unbind())
    assert polynomial(w, coefficients).tolist() == [1.0, 17.0]
    assert polynomial(w, coefficients, buffer) is buffer
    assert buffer.tolist() == [1.0, 17.0]
    u = torch.tensor([0.25, 1.0])
    short = tables(u, short=True).delta
    assert over(u, short, buffer) is buffer
    assert torch.equal(buffer, over(u, short))
