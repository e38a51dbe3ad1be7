# SPDX-License-Identifier: BSD-3-Clause
r"""Log-mass and gradients of count distributions on one block of elements: arithmetic only, no autograd.

With e = r (k - mu) / (r + mu), which is d ln f / d ln mu, and bd0(x, M) = x ln(x/M) - (x - M), which is >= 0,
the saddle-point form of the negative binomial has no term that cancels against another:

    ln f = -bd0(k, k - e) - bd0(r, r + e) - ln(2 pi k)/2 - ln((k+r)/r)/2 + delta(k+r) - delta(r) - delta(k)
    d ln f / d ln r = (1/2 + eta(r)) - (1/2 + eta(k+r)) r/(k+r) - bd0(r, r + e)

(delta and eta: `pydgd.core.stirling`; for k = 0 only the two bd0 stay.) `nb_exact` evaluates this in the
dtype of its arguments. `nb_fast`, for float32, has k ln mu + (k+r) ln((k+r)/(r+mu)) in place of the bd0. In
float64 inside, that cancels by 2e-16 max(k, mu, r < 1e9), which float32 does not show, and needs neither
series nor selection.

No value depends on what else is in the block, to the last bit: that an element is evaluated by another
formula where r is large is decided element by element, and rows are summed by `row_sums`.

Source:
    Loader (2000), Fast and Accurate Computation of Binomial Probabilities: the idea, and bd0.
"""

import math
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from pydgd.core.deviance import count_minus_mean, nb_deviance, poisson_deviance
from pydgd.core.dispersion import LARGE_R, Dispersion, Scale, dispersion_of, scale_of
from pydgd.core.stirling import Tables, over, stirling_delta, stirling_remainders, tables

EPSILON = 1e-10  # the specification's guard; it decides only where the mean is 0 and the count is not

_LN_2 = math.log(2)
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
# r / (k (k+r)) is below the smallest float32, so its log is taken of this multiple.
_SCALE = {torch.float32: 2.0**40, torch.float64: 1.0}
# Genes whose sum is one pass: of a single row of more than 32,768, torch splits the sum among its threads.
_SUMMED_AT_ONCE = 1 << 14


class Terms(NamedTuple):
    """Log-mass and its gradients.

    Attributes:
        value: ln f of each element, or its sums over rows.
        descent: -d ln f / d mu of each element: minus, because that is what the gradient of a loss wants.
            None where it was not asked for, or where the kernel has written it to a tensor given.
        slope: d ln f / d ln r of each element, or None.
        least: Smallest mean of each row, where a kernel finds it on its way.
    """

    value: Tensor
    descent: Tensor | None = None
    slope: Tensor | None = None
    least: Tensor | None = None


def row_sums(values: Tensor) -> Tensor:
    """Sum of each row in float64, in an order that depends on the number of columns only."""
    if values.shape[1] <= _SUMMED_AT_ONCE:
        return values.sum(-1, dtype=torch.float64)
    parts = torch.split(values, _SUMMED_AT_ONCE, dim=1)
    return reduce(torch.add, (part.sum(-1, dtype=torch.float64) for part in parts))


def nb_exact(
    counts: Tensor, mu: Tensor, dispersion: Dispersion, chosen: Tables, *, slope: bool = False
) -> Terms:
    """Negative binomial in the dtype that `mu` > 0, `dispersion` and `chosen` share; `slope` on demand."""
    k, r = counts.to(mu.dtype), dispersion.r
    excess, of_count, of_r = nb_deviance(k, mu, count_minus_mean(counts, mu), r, chosen)
    value = nb_saddle(k, dispersion, chosen) - of_count - of_r
    descent = -excess / mu
    if not slope:
        return Terms(value, descent)
    u = 1 / (k + r)
    eta = over(u.clamp(max=1.0), chosen.eta)
    return Terms(value, descent, (dispersion.slope - (eta + 0.5) * (r * u)) * torch.sign(k) - of_r)


def nb_deviance_only(counts: Tensor, mu: Tensor, r: Tensor, chosen: Tables) -> Terms:
    """`nb_exact` without `nb_saddle`: all that depends on `mu`, without a special function."""
    excess, of_count, of_r = nb_deviance(counts.to(mu.dtype), mu, count_minus_mean(counts, mu), r, chosen)
    return Terms(-of_count - of_r, -excess / mu)


def nb_saddle(k: Tensor, dispersion: Dispersion, chosen: Tables) -> Tensor:
    """Negative binomial log-mass of `k` at the mean `k`: all that does not depend on mu; 0 for k = 0."""
    count, u = k.clamp(min=1.0), 1 / (k + dispersion.r)
    per_count, scale = 1 / count, _SCALE[k.dtype]
    # ln(2 pi k (k+r)/r) as one log
    log_width = 2 * _HALF_LOG_2PI + math.log(scale) - (per_count * scale * (dispersion.r * u)).log()
    remainders = over(u.clamp(max=1.0), chosen.delta) - dispersion.delta - over(per_count, chosen.delta)
    return (remainders - 0.5 * log_width) * torch.sign(k)


class Scratch:
    """Buffers that the blocks of one pass reuse: with fresh ones a fifth of the time is cache misses."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Tensor, ...]] = {}

    def take(self, name: str, number: int, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """`number` tensors of the shape of `like`, the same ones as long as its shape stays."""
        held = self._held.get(name)
        if held is None or held[0].shape != like.shape:
            held = self._held[name] = like.new_empty((number, *like.shape), dtype=dtype).unbind()
        return held


def nb_fast(
    counts: Tensor,
    mu: Tensor,
    scale: Scale,
    dispersion: Dispersion,
    chosen: Tables,
    scratch: Scratch,
    *,
    slope: bool,
    each: bool = False,
    out: Tensor | None = None,
) -> Terms:
    """Row sums of the negative binomial plus ln k!, or `each` element without it, for float32 `mu` > 0.

    Sums that cancel are in float64; the Stirling terms, exact to 3e-7, in float32, as are `dispersion` and
    `chosen`. The descent goes to `out`, and the slope is in `scratch`, where the next call overwrites it.
    """
    r, inverse, _, one, large, _ = scale
    k, m, x, y, minus_e = scratch.take("wide", 5, mu, torch.float64)
    k.copy_(counts)
    m.copy_(mu)
    above = torch.addcmul(one, m, inverse, out=x).reciprocal_()
    torch.addcmul(one, k, inverse, out=y)
    torch.sub(m, k, out=minus_e).mul_(above)
    q, u, rest, present = scratch.take("narrow", 4, mu, torch.float32)
    half_log_y = torch.log(q.copy_(y), out=present).mul_(0.5)
    torch.mul(q.reciprocal_(), dispersion.inverse, out=u).clamp_(max=1.0)
    over(u, chosen.delta, rest).sub_(dispersion.delta).sub_(half_log_y)
    log_tilt = y.mul_(above).log_()
    if large:
        change = minus_e * inverse
        small_change = (r > LARGE_R) & (change < 0.5)
        log_tilt.copy_(torch.where(small_change, torch.log1p(-change), log_tilt))
    value = m.log_().add_(log_tilt)
    if each:
        # ln k! = k (ln(k+1) - 1) + what float32 holds; the 1 is that of the other branch.
        log_next = torch.add(k, 1.0, out=x).log_()
        value.sub_(log_next)
        rest.sub_(_rest_of_log_factorial(log_next, k, chosen, scratch))
    else:
        value.sub_(1.0)
    rest.mul_(torch.sign(present.copy_(counts), out=present))
    value.mul_(k).addcmul_(log_tilt, r)
    value = value.add_(rest) if each else row_sums(value) + row_sums(rest)
    if slope:
        over(u, chosen.eta, rest).add_(0.5).mul_(q)
        torch.sub(dispersion.slope, rest, out=rest).mul_(present)
        log_tilt.mul_(r).add_(minus_e).add_(rest)
    if out is not None:
        torch.div(u.copy_(minus_e), mu, out=out)
    return Terms(value, slope=log_tilt if slope else None)


def _rest_of_log_factorial(log_next: Tensor, k: Tensor, chosen: Tables, scratch: Scratch) -> Tensor:
    """Float32 ln k! - k (ln(k+1) - 1), from ln(k+1), in a buffer; by Stirling's formula at k+1."""
    u, remainder = scratch.take("factorial", 2, k, torch.float32)
    u.copy_(k).add_(1.0).reciprocal_()
    over(u, chosen.delta, remainder).add_(u.copy_(log_next).mul_(0.5))
    return remainder.add_(_HALF_LOG_2PI - 1)


def nb_frozen(
    counts: Tensor, mu: Tensor, scale: Scale, scratch: Scratch, *, out: Tensor | None = None
) -> Terms:
    """Row sums of k ln mu - (k+r) ln(1 + mu/r), for float32 `mu` > 0: all that depends on it, by two logs.

    They are binary logs, which torch has somewhat faster. The descent goes to `out`.
    """
    r, inverse, _, one, large, _ = scale
    m, x = scratch.take("wide", 2, mu, torch.float64)
    torch.addcmul(one, m.copy_(mu), inverse, out=x)
    if out is not None:
        (narrow,) = scratch.take("narrow", 1, mu, mu.dtype)
        mean_minus_count(counts, mu, m, out).div_(narrow.copy_(x)).div_(mu)
    if large:
        x.copy_(torch.where(r > LARGE_R, torch.log1p(m * inverse) / _LN_2, x.log2()))
    else:
        x.log2_()
    # The buffer of log2 x holds the counts next: the fewer buffers, the more of them stay in the cache.
    m.log2_().sub_(x)
    of_r = row_sums(x.mul_(r))
    return Terms((row_sums(m.mul_(x.copy_(counts))) - of_r) * _LN_2)


def mean_minus_count(counts: Tensor, mu: Tensor, mu64: Tensor, out: Tensor) -> Tensor:
    """Difference into `out`, for counts of any dtype: float32 does not hold every integer above 1.6e7."""
    return torch.sub(mu, counts, out=out) if counts.dtype == mu.dtype else out.copy_(mu64 - counts)


def nb_zero_mean(counts: Tensor, log_r: Tensor) -> Terms:
    """The specification's rule for mu = 0, in float64: ln(mu c) becomes ln 1e-10; no log-mass is above 0."""
    k = counts.double()
    scale = scale_of(log_r, torch.float64)
    dispersion = dispersion_of(scale, torch.float64)
    r, inverse = scale.r, scale.inverse
    value = (nb_shape(k, dispersion) + k * (r.log() + math.log(EPSILON))).clamp(max=0.0) * torch.sign(k)
    descent = torch.where(k > 0, (r - k / EPSILON) / (r + EPSILON), 1.0)
    y = 1 + k * inverse
    grad_r = r * torch.log1p(k * inverse) + dispersion.slope - (0.5 + stirling_remainders(k + r)[1]) / y
    return Terms(value, descent, torch.where(value < 0, grad_r, 0.0))


def nb_shape(counts: Tensor, dispersion: Dispersion) -> Tensor:
    """What `nb_frozen` leaves out: ln Gamma(k+r) - ln Gamma(r) - k ln r - ln k!, in float64."""
    k, r = counts.double(), dispersion.r
    difference = (stirling_delta(k + r) - dispersion.delta) * torch.sign(k)
    return (k + r - 0.5) * torch.log1p(k * dispersion.inverse) - k + difference - log_factorial_of(k)


def nb_saddle_of(counts: Tensor, dispersion: Dispersion) -> Tensor:
    """What `nb_deviance_only` leaves out: `nb_saddle` in float64, also for fractions below 1."""
    k, r = counts.double(), dispersion.r
    below_one = nb_shape(k, dispersion) + torch.xlogy(k, k) - (k + r) * torch.log1p(k * dispersion.inverse)
    return torch.where(k < 1, below_one, nb_saddle(k, dispersion, tables(k)))


def log_factorial_of(k: Tensor) -> Tensor:
    """Log factorial of float64 counts, to the last digits; 0 for none."""
    x = k + 1
    remainder = over(1 / x, tables(x).delta).add_(_HALF_LOG_2PI)
    return x.log().mul_(k + 0.5).sub_(x).add_(remainder).mul_(torch.sign(k))


def log_factorial_sums(counts: Tensor, chosen: Tables, scratch: Scratch) -> Tensor:
    """Row sums of ln k!, each within 3e-7 or to its last digits; `chosen` are short."""
    k, log_next = scratch.take("wide", 2, counts, torch.float64)
    torch.add(k.copy_(counts), 1.0, out=log_next).log_()
    rest = _rest_of_log_factorial(log_next, k, chosen, scratch)
    (present,) = scratch.take("narrow", 1, counts, torch.float32)
    rest.mul_(torch.sign(present.copy_(counts), out=present))
    return row_sums(log_next.sub_(1.0).mul_(k)) + row_sums(rest)


def poisson_exact(counts: Tensor, mu: Tensor, chosen: Tables) -> Terms:
    """Poisson in the dtype of `mu` > 0."""
    k, difference = counts.to(mu.dtype), count_minus_mean(counts, mu)
    per_count = 1 / k.clamp(min=1.0)
    saddle = (0.5 * per_count.log() - _HALF_LOG_2PI - over(per_count, chosen.delta)) * torch.sign(k)
    return Terms(saddle - poisson_deviance(k, mu, difference, chosen), -difference / mu)


def poisson_fast(counts: Tensor, mu: Tensor, scratch: Scratch, *, out: Tensor | None = None) -> Terms:
    """Row sums of the Poisson log-mass plus ln k!, for float32 `mu` > 0; the descent goes to `out`."""
    m, x = scratch.take("wide", 2, mu, torch.float64)
    m.copy_(mu)
    if out is not None:
        mean_minus_count(counts, mu, m, out).div_(mu)
    of_mean = row_sums(m)
    return Terms(row_sums(m.log2_().mul_(x.copy_(counts))) * _LN_2 - of_mean)


def poisson_zero_mean(counts: Tensor) -> Terms:
    """The specification's rule for mu = 0, in float64: ln mu becomes ln 1e-10."""
    k = counts.double()
    return Terms((k * math.log(EPSILON) - log_factorial_of(k)) * torch.sign(k), 1 - k / EPSILON)
