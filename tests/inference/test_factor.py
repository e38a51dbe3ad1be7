# SPDX-License-Identifier: BSD-3-Clause
"""Factors of curvatures that rounding left indefinite."""

import torch

from pydgd.inference.factor import lower_factors


def _short_of(share: float) -> torch.Tensor:
    """Positive definite once that share of its diagonal is added, and not before."""
    return torch.tensor([[1.0, 1.0 + share], [1.0 + share, 1.0]], dtype=torch.float64)


def test_company_changes_no_factor() -> None:
    """Each matrix gets what it needs itself, however much another one needs."""
    shares = (-0.5, 5e-8, 5e-6, 5e-4, 5e-2)
    together = torch.stack([_short_of(share) for share in shares])
    factors, failed = lower_factors(together)
    assert not failed.any()
    for factor, matrix, share in zip(factors, together, shares, strict=True):
        alone, _ = lower_factors(matrix[None])
        assert torch.equal(factor, alone[0])
        torch.testing.assert_close(factor @ factor.T, matrix, rtol=0, atol=max(2 * 10 * share, 1e-12))


def test_what_has_no_factor_is_told() -> None:
    """The identity stands for it; its neighbours have theirs."""
    factors, failed = lower_factors(torch.stack([_short_of(-0.5), -_short_of(-0.5)]))
    assert failed.tolist() == [False, True]
    assert torch.equal(factors[0], torch.linalg.cholesky(_short_of(-0.5)))
    assert torch.equal(factors[1], torch.eye(2, dtype=torch.float64))
