# SPDX-License-Identifier: BSD-3-Clause
"""Inverse dispersion within the limits of a dtype, its terms against mpmath, what is computed but once."""

import mpmath
import numpy as np
import pytest
import torch

from pydgd.core.dispersion import LARGE_R, DispersionRows, dispersion_of, scale_of, take

SINGLE, DOUBLE = torch.float32, torch.float64
LOG_R = torch.tensor([[-300.0, -40.0, -1.0, 0.5, 30.0, 250.0]], dtype=DOUBLE)


@pytest.mark.parametrize(("work", "least", "most"), [(SINGLE, -66.0, 80.0), (DOUBLE, -500.0, 300.0)])
def test_r_stays_within_the_limits_of_the_dtype(work: torch.dtype, least: float, most: float) -> None:
    """Beyond them ln r is cut; what it is cut by from below, and where, is kept; above it is the limit."""
    log_r = torch.tensor([[least - 5, least, 0.0, most, most + 5]])
    scale = scale_of(log_r, work)
    inside = torch.tensor([[least, least, 0.0, most, most]], dtype=DOUBLE)
    assert torch.equal(scale.r, inside.exp())
    assert torch.equal(scale.inverse, (-inside).exp())
    assert scale.excess.tolist() == [[5.0, 0.0, 0.0, 0.0, 0.0]]
    assert scale.small is not None
    assert scale.small.tolist() == [[True, False, False, False, False]]
    assert scale.one.item() == 1
    assert (scale.r * 1e3).to(work).isfinite().all()
    assert (scale.inverse * 1e3).to(work).isfinite().all()


def test_large_and_small_r_are_told() -> None:
    """One answer for all that is above `LARGE_R`, and none where no r is below its limit."""
    below, above = np.log(LARGE_R) - 1e-9, np.log(LARGE_R) + 1e-9
    assert scale_of(torch.tensor([[0.0, below]], dtype=DOUBLE), DOUBLE).large is False
    assert scale_of(torch.tensor([[0.0, above]], dtype=DOUBLE), DOUBLE).large is True
    assert scale_of(torch.tensor([[-66.0, 0.0]]), SINGLE).small is None
    assert scale_of(torch.tensor([[-67.0, 0.0]]), DOUBLE).small is None
    nothing = scale_of(torch.empty(1, 0), SINGLE)
    assert (nothing.large, nothing.small) == (False, None)


def test_log_r_gets_no_gradient() -> None:
    """Those of the log-mass are written by hand."""
    assert not scale_of(torch.zeros(1, 2, requires_grad=True), SINGLE).r.requires_grad
    assert not DispersionRows(torch.zeros(1, 2, requires_grad=True)).log_r(slice(0, 1)).requires_grad


@pytest.mark.parametrize(("work", "tolerance"), [(DOUBLE, 1e-13), (SINGLE, 2e-6)])
def test_terms_of_r_agree_with_mpmath(work: torch.dtype, tolerance: float) -> None:
    """Remainders of Stirling's formulas, in the dtype asked for."""
    log_r = LOG_R if work == DOUBLE else LOG_R.clamp(-60.0, 70.0)
    terms = dispersion_of(scale_of(log_r, work), work)
    assert {part.dtype for part in terms} == {work}
    with mpmath.workdps(300):
        r = [mpmath.exp(mpmath.mpf(x)) for x in log_r[0].tolist()]
        delta = [
            mpmath.loggamma(x) - (x - 0.5) * mpmath.log(x) + x - mpmath.log(2 * mpmath.pi) / 2 for x in r
        ]
        slope = [x * (mpmath.log(x) - mpmath.digamma(x)) for x in r]
    for found, truth in (
        (terms.r, r),
        (terms.inverse, [1 / x for x in r]),
        (terms.delta, delta),
        (terms.slope, slope),
    ):
        expected = np.array([float(x) for x in truth])
        np.testing.assert_allclose(found[0].double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("work", [SINGLE, DOUBLE])
def test_below_the_limit_the_remainder_goes_on_growing(work: torch.dtype) -> None:
    """By all that ln r was cut by: half of it stands for another term of the log-mass."""
    least = -66.0 if work == SINGLE else -500.0
    at, below = (dispersion_of(scale_of(torch.tensor([[x]]), work), work) for x in (least, least - 8))
    assert (below.delta - at.delta).item() == pytest.approx(8.0, rel=1e-5)
    assert torch.equal(below.r, at.r)


def test_gene_wise_r_is_computed_once_for_each_dtype() -> None:
    """Whatever rows are asked for."""
    dispersion = DispersionRows(torch.arange(4.0)[None])
    first, second = slice(0, 2), slice(2, 4)
    for part in (dispersion.scale, dispersion.terms):
        assert part(first, SINGLE) is part(second, SINGLE)
        assert part(first, SINGLE) is not part(first, DOUBLE)
    assert dispersion.terms(first, SINGLE).r.dtype == SINGLE
    assert dispersion.log_r(second).tolist() == [[0.0, 1.0, 2.0, 3.0]]


def test_r_of_each_row_is_computed_once_for_each_block() -> None:
    """And anew for the next block."""
    dispersion = DispersionRows(torch.arange(8.0).reshape(4, 2))
    first, second = slice(0, 2), slice(2, 4)
    found = dispersion.scale(first, SINGLE)
    assert dispersion.scale(slice(0, 2), SINGLE) is found
    assert dispersion.scale(second, SINGLE).r.log().round().tolist() == [[4.0, 5.0], [6.0, 7.0]]
    assert dispersion.terms(second, DOUBLE).r.log().round().tolist() == [[4.0, 5.0], [6.0, 7.0]]
    assert torch.equal(dispersion.scale(first, SINGLE).r, found.r)
    assert dispersion.log_r(second).tolist() == [[4.0, 5.0], [6.0, 7.0]]


@pytest.mark.parametrize("rows", [1, 4])
def test_columns_are_taken(rows: int) -> None:
    """Those of the measured genes, in their order."""
    log_r = torch.arange(12.0).reshape(4, 3)[:rows]
    dispersion = DispersionRows(log_r, torch.tensor([2, 0]))
    assert torch.equal(dispersion.log_r(slice(0, 1)), log_r[:1, [2, 0]])
    assert dispersion.scale(slice(0, 1), DOUBLE).r.shape == (1, 2)


def test_all_columns_are_no_copy() -> None:
    """None means all of them."""
    block = torch.arange(6.0).reshape(2, 3)
    assert take(block, None) is block
    assert take(block, torch.tensor([1])).tolist() == [[1.0], [4.0]]
