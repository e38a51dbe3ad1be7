# SPDX-License-Identifier: BSD-3-Clause
"""Elements whose mean is 0, or whose mean or r is too small for a kernel: evaluated singly, in float64."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from pydgd.core.dispersion import Dispersion, DispersionRows, dispersion_of, scale_of
from pydgd.core.kernels import (
    Terms,
    nb_exact,
    nb_zero_mean,
    poisson_exact,
    poisson_zero_mean,
    row_sums,
)
from pydgd.core.stirling import tables

# Counts and means of a block, which rows these are, where the descent goes if it is wanted -> log-mass of
# elements or rows.
Evaluate = Callable[[Tensor, Tensor, slice, Tensor | None], Terms]

# Counts and means of some elements of a block, which rows it has, and which elements these are -> theirs.
Elements = Callable[[Tensor, Tensor, slice, Tensor], Terms]

# Below, k/mu overflows; softplus gets to 1e-20 at an argument of -46.
_TINY = 1e-20
_TINY_DOUBLE = 1e-200
_NEUTRAL_MEAN = 1e-30  # with a count of 0, it adds 1e-30 nats to a sum


def sheltered(
    kernel: Evaluate,
    elements: Elements,
    also: Callable[[Tensor, slice], Tensor | None] = lambda _, __: None,
    *,
    finds_least: bool = False,
) -> Evaluate:
    """`kernel`, but `elements` where a mean is tiny or `also` says so of these rows, and only there.

    A kernel that `finds_least` is tried before it is known whether any mean is tiny.
    """
    return partial(_sheltered, kernel, elements, also, finds_least=finds_least)


def _sheltered(
    kernel: Evaluate,
    elements: Elements,
    also: Callable[[Tensor, slice], Tensor | None],
    counts: Tensor,
    mu: Tensor,
    rows: slice,
    out: Tensor | None,
    *,
    finds_least: bool,
) -> Terms:
    further = also(counts, rows)
    if further is None and (finds_least or not _has_tiny(mu)):
        found = kernel(counts, mu, rows, out)
        if found.least is None or not _has_tiny(found.least):
            return found
    chosen = mu < _tiny(mu)
    if further is not None:
        chosen |= further
    found = kernel(counts.masked_fill(chosen, 0), mu.masked_fill(chosen, _NEUTRAL_MEAN), rows, out)
    return _replaced(found, out, chosen, elements(counts[chosen], mu[chosen], rows, chosen))


def nb_elements(
    dispersion: DispersionRows, left_out: Callable[[Tensor, Dispersion], Tensor] | None = None
) -> Elements:
    """Negative binomial for `sheltered`; less what its kernel leaves out."""
    return partial(_nb_elements, dispersion, left_out)


def _nb_elements(
    dispersion: DispersionRows,
    left_out: Callable[[Tensor, Dispersion], Tensor] | None,
    counts: Tensor,
    mu: Tensor,
    rows: slice,
    where: Tensor,
) -> Terms:
    log_r = dispersion.log_r(rows).expand(where.shape)[where]
    terms = dispersion_of(scale_of(log_r, torch.float64), torch.float64)
    k, positive = counts.double(), torch.where(mu == 0, 1.0, mu.double())
    found = nb_exact(_lifted(k), positive, terms, tables(positive), slope=True)
    found = _nb_lowered(found, k, positive, terms.r)
    found = _patched(found, mu, nb_zero_mean(counts, log_r))
    return found if left_out is None else found._replace(value=found.value - left_out(counts, terms))


def poisson_elements(left_out: Callable[[Tensor], Tensor] | None = None) -> Elements:
    """Poisson for `sheltered`; less what its kernel leaves out."""
    return partial(_poisson_elements, left_out)


def _poisson_elements(
    left_out: Callable[[Tensor], Tensor] | None,
    counts: Tensor,
    mu: Tensor,
    rows: slice,  # noqa: ARG001
    where: Tensor,  # noqa: ARG001
) -> Terms:
    k, positive = counts.double(), torch.where(mu == 0, 1.0, mu.double())
    positive = torch.where(positive > 0, positive, torch.nan)
    found = poisson_exact(_lifted(k), positive, tables(positive))
    below = k.log1p() - positive.log()  # ln f(k) - ln f(k + 1)
    value = torch.where(_fraction(k), found.value + below, found.value)
    found = _patched(Terms(value, 1 - k / positive), mu, poisson_zero_mean(counts))
    return found if left_out is None else found._replace(value=found.value - left_out(counts))


def _fraction(k: Tensor) -> Tensor:
    return (k > 0) & (k < 1)


def _lifted(k: Tensor) -> Tensor:
    """Fractions below 1 raised by 1: Stirling's remainders are for arguments from 1 on."""
    return torch.where(_fraction(k), k + 1, k)


def _nb_lowered(found: Terms, k: Tensor, mu: Tensor, r: Tensor) -> Terms:
    """From `_lifted` counts back to `k`, by f(k + 1) / f(k) = mu (k + r) / ((k + 1) (r + mu))."""
    assert found.slope is not None
    assert found.descent is not None
    lifted, share = _fraction(k), r / (r + mu)
    value = found.value - (mu * ((k + r) / (r + mu)) / (k + 1)).log()
    slope = found.slope - r / (k + r) + share
    return Terms(
        torch.where(lifted, value, found.value),
        torch.where(lifted, share * (1 - k / mu), found.descent),
        torch.where(lifted, slope, found.slope),
    )


def _has_tiny(mu: Tensor) -> bool:
    """Whether any mean is tiny, or NaN, which hides such a mean."""
    return mu.numel() > 0 and not mu.amin().item() >= _tiny(mu)


def _tiny(mu: Tensor) -> float:
    return _TINY_DOUBLE if mu.dtype == torch.float64 else _TINY


def _patched(found: Terms, mu: Tensor, at_zero: Terms) -> Terms:
    """`at_zero` where mu is 0, and no gradient beyond what the dtype of mu can hold."""
    limit, zero = torch.finfo(mu.dtype).max, mu == 0
    value, descent, slope = (
        None if there is None or here is None else torch.where(zero, there, here)
        for here, there in zip(found[:3], at_zero[:3], strict=True)
    )
    assert value is not None
    assert descent is not None
    return Terms(value, descent.clamp(-limit, limit), slope)


def _replaced(found: Terms, out: Tensor | None, where: Tensor, by: Terms) -> Terms:
    """`found` and the descent in `out`, with the elements `where` replaced; row sums get them added."""
    if out is not None and by.descent is not None:
        out.masked_scatter_(where, by.descent.to(out.dtype))
    if found.slope is not None and by.slope is not None:
        found.slope.masked_scatter_(where, by.slope.to(found.slope.dtype))
    if found.value.ndim == 2:
        return found._replace(value=found.value.masked_scatter_(where, by.value.to(found.value.dtype)))
    added = torch.zeros_like(where, dtype=torch.float64).masked_scatter_(where, by.value)
    return found._replace(value=found.value + row_sums(added))
