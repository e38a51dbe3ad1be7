# SPDX-License-Identifier: BSD-3-Clause
r"""Half deviances of count distributions: sums of bd0(x, M) = x ln(x/M) - (x - M), which is >= 0.

Two forms. The long one, for float64 to its last digits, is Loader's series in the square of
v = (x - M) / (x + M), and the definition where v is large. The short one, which float32 needs only in
compiled kernels, is a polynomial in M/x - 1: it takes one division for what the long form takes two.

Source:
    Loader (2000), Fast and Accurate Computation of Binomial Probabilities.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pydgd.core.stirling import Tables, polynomial

_NEAR = 0.01  # where v^2 is below this, the series: its eight terms shrink by this factor each
_SHORT_NEAR = 0.4  # where |M/x - 1| is below this, the polynomial; beyond it the definition loses 1e-6


class Deviance(NamedTuple):
    """Half deviance of a negative binomial, in its two parts.

    Attributes:
        excess: e = r (k - mu) / (r + mu), which is d ln f / d ln mu.
        of_count: bd0(k, k - e).
        of_r: bd0(r, r + e).
    """

    excess: Tensor
    of_count: Tensor
    of_r: Tensor


def count_minus_mean(counts: Tensor, mu: Tensor) -> Tensor:
    """Difference in the dtype of `mu`, for any dtype of counts: float32 lacks integers above 1.6e7."""
    if counts.dtype == mu.dtype:
        return counts - mu
    return (counts.double() - mu.double()).to(mu.dtype)


def nb_deviance(k: Tensor, mu: Tensor, difference: Tensor, r: Tensor, chosen: Tables) -> Deviance:
    """Half deviance of the negative binomial; `difference` is k - mu. In the long form if `chosen` is."""
    per_total = 1 / (mu + r)
    change = difference * per_total  # (k + r) / (mu + r) - 1
    tilt, e = (k + r) * per_total, change * r
    if chosen.short:
        tilt = tilt.clamp(min=torch.finfo(tilt.dtype).tiny)
        of_r = _short_part(r, e, change, tilt, chosen, _SHORT_NEAR)
        return Deviance(e, _short_count_part(k, mu * tilt, -e, chosen), of_r)
    return Deviance(e, deviance_part(k, mu * tilt, e, chosen), deviance_part(r, r * tilt, -e, chosen))


def poisson_deviance(k: Tensor, mu: Tensor, difference: Tensor, chosen: Tables) -> Tensor:
    """Half deviance of the Poisson distribution; `difference` is k - mu."""
    if chosen.short:
        return _short_count_part(k, mu, -difference, chosen)
    return deviance_part(k, mu, difference, chosen)


def deviance_part(x: Tensor, mean: Tensor, excess: Tensor, chosen: Tables) -> Tensor:
    """bd0(x, mean) in the long form, where `excess` is x - mean without its rounding error."""
    v = excess / (x + mean)
    w = v * v
    near = polynomial(w, chosen.bd0).mul_(w).mul_(x).add_(excess).mul_(v)
    tiny = torch.finfo(x.dtype).tiny
    far = (x / mean).clamp_(tiny, 1 / tiny).log_().mul_(x).sub_(excess)
    return torch.where(w < _NEAR, near, far)


def _short_count_part(k: Tensor, mean: Tensor, rise: Tensor, chosen: Tables) -> Tensor:
    """bd0(k, mean) in the short form, where `rise` is mean - k without its rounding error, >= 0 for k = 0."""
    present = k.clamp(max=1.0)
    per_count = 1 / k.clamp(min=1.0)
    return _short_part(k, rise, rise * per_count, mean * per_count, chosen, _SHORT_NEAR * present)


def _short_part(
    x: Tensor, rise: Tensor, change: Tensor, ratio: Tensor, chosen: Tables, near: Tensor | float
) -> Tensor:
    """bd0(x, M) from rise = M - x, change = rise/x and ratio = M/x; the polynomial where |change| < near."""
    series = polynomial(change, chosen.bd0).mul_(change).mul_(rise)
    # What is left of an error of `change` is in `rise` too and cancels; those of `ratio` are its own.
    ratio = torch.where(change > -0.5, 1 + change, ratio)
    return torch.where(change.abs() < near, series, rise - x * ratio.log())
