# SPDX-License-Identifier: BSD-3-Clause
"""Remainders of Stirling's formulas against 60-digit arithmetic."""

from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor

from pydgd.core.stirling import over, short_remainders, stirling_remainders, stirling_zeta, tables

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
        (stirling_zeta, zeta, 2e-14),
    ],
    ids=["delta", "eta", "zeta"],
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
