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

Source:
    Loader (2000), Fast and Accurate Computation of Binomial Probabilities: the idea, and bd0.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pydgd.core.stirling import Tables, over, polynomial, stirling_remainders, tables

EPSILON = 1e-10  # the specification's guard; it decides only where the mean is 0 and the count is not

# Limits of ln r inside. Above, it is the Poisson limit to the last digit. Below, k/r would overflow (k up to
# 1e9), and r in the deviance is below 1e-25 nats; the log-mass goes on falling with ln r, through
# `Dispersion.delta`.
_LOG_R_MAX = 69.0
_LOG_R_MIN = {torch.float32: -66.0, torch.float64: -500.0}

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LARGE_R = 1e9  # beyond it ln(1 + mu/r) needs log1p, which costs 2.4 times a log, to be exact to 1e-7 nats
# Where ((x - M) / (x + M))^2 is below this, the series: its eight terms shrink by this factor each. In
# float32, which only compiled kernels use, the direct form needs the wider margin: with 0.01 it is 3e-3 off
# for k = 4e7.
_NEAR = {torch.float32: 0.09, torch.float64: 0.01}


class Scale(NamedTuple):
    """r itself, (1, G) for gene-wise r or (n, G): within the limits of a dtype, and in float64.

    Attributes:
        r: Inverse dispersion.
        inverse: 1/r.
        excess: How much ln r is above the unlimited one.
        one: The scalar 1.
        large: Whether any r is so large that logs of 1 + mu/r lose digits.
    """

    r: Tensor
    inverse: Tensor
    excess: Tensor
    one: Tensor
    large: bool


class Dispersion(NamedTuple):
    """What the log-mass needs to know of r, in one dtype; for gene-wise r computed once and not per element.

    Attributes:
        r: Inverse dispersion.
        inverse: 1/r.
        delta: Stirling remainder delta(r); also carries ln r below the limit.
        slope: 1/2 + eta(r), which is r (ln r - psi(r)).
    """

    r: Tensor
    inverse: Tensor
    delta: Tensor
    slope: Tensor


class Terms(NamedTuple):
    """Log-mass and its gradients.

    Attributes:
        value: ln f of each element, or its sums over rows.
        descent: -d ln f / d mu of each element: minus, because that is what the gradient of a loss wants.
        slope: d ln f / d ln r of each element, or None.
    """

    value: Tensor
    descent: Tensor
    slope: Tensor | None


def scale_of(log_r: Tensor, work: torch.dtype) -> Scale:
    """Inverse dispersion within the limits of the dtype `work`."""
    log_r = log_r.detach().double().clamp(max=_LOG_R_MAX)
    inside = log_r.clamp(min=_LOG_R_MIN[work])
    r = inside.exp()
    large = r.numel() > 0 and r.amax().item() > _LARGE_R
    return Scale(r, torch.exp(-inside), inside - log_r, r.new_ones(()), large)


def dispersion_of(scale: Scale, work: torch.dtype, *, short: bool = False) -> Dispersion:
    """Terms of r in the dtype `work`; `short` where 3e-7 is enough and each element has its own r."""
    r = scale.r.to(work) if short else scale.r
    delta, eta = stirling_remainders(r, tables(r, short=short))
    # Below the limit ln f is ln r plus a constant: half of it is in -delta(r), half in -ln((k+r)/r)/2.
    parts = (r, scale.inverse, delta + scale.excess, eta + 0.5)
    return Dispersion(*(part.to(work) for part in parts))


def nb_exact(counts: Tensor, mu: Tensor, dispersion: Dispersion, chosen: Tables, *, slope: bool) -> Terms:
    """Negative binomial in the dtype that `mu` > 0, `dispersion` and `chosen` share; `slope` on demand."""
    k = counts.to(mu.dtype)
    r, inverse, delta_r, slope_r = dispersion
    x, y = 1 + mu * inverse, 1 + k * inverse
    above, q = 1 / x, 1 / y
    e = (k - mu) * above
    tilt = y * above
    r_part = deviance_part(r, r * tilt, -e, chosen)
    u = (q * inverse).clamp(max=1.0)
    present = torch.sign(k)
    rest = (over(u, chosen.delta) - delta_r - 0.5 * y.log()) * present + saturated_poisson(k, chosen)
    value = rest - deviance_part(k, mu * tilt, e, chosen) - r_part
    grad_r = (slope_r - (over(u, chosen.eta) + 0.5) * q) * present - r_part if slope else None
    return Terms(value, -e / mu, grad_r)


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
    """Row sums (or `each` element) of the negative binomial plus ln k!, for float32 `mu` > 0, in eager mode.

    Sums that cancel are in float64; the Stirling terms, exact to 3e-7, in float32, as are `dispersion` and
    `chosen`. The descent goes to `out`, and the slope is in `scratch`, where the next call overwrites it.
    """
    r, inverse, _, one, large = scale
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
    rest.mul_(torch.sign(present.copy_(counts), out=present))
    log_tilt = y.mul_(above).log_()
    if large:
        log_tilt.copy_(torch.where(r > _LARGE_R / 1e3, torch.log1p(-minus_e * inverse), log_tilt))
    value = m.log_().add_(log_tilt).sub_(1.0).mul_(k)
    if each:
        value.addcmul_(log_tilt, r).add_(rest)
    else:
        value = value.sum(-1) + _row_dot(log_tilt, r) + rest.sum(-1, dtype=torch.float64)
    if slope:
        over(u, chosen.eta, rest).add_(0.5).mul_(q)
        torch.sub(dispersion.slope, rest, out=rest).mul_(present)
        log_tilt.mul_(r).add_(minus_e).add_(rest)
    return Terms(value, torch.div(u.copy_(minus_e), mu, out=out), log_tilt if slope else None)


def nb_frozen(
    counts: Tensor, mu: Tensor, scale: Scale, scratch: Scratch, *, out: Tensor | None = None
) -> Terms:
    """Row sums of k ln mu - (k+r) ln(1 + mu/r), all that depends on `mu` > 0, at the price of two logs."""
    r, inverse, _, one, large = scale
    m, x = scratch.take("wide", 2, mu, torch.float64)
    (below,) = scratch.take("own", 1, mu, mu.dtype)
    torch.addcmul(one, m.copy_(mu), inverse, out=x)
    below.copy_(x).mul_(mu)
    descent = torch.sub(mu, counts, out=torch.empty_like(mu) if out is None else out).div_(below)
    if large:
        x.copy_(torch.where(r > _LARGE_R / 1e3, torch.log1p(m * inverse), x.log()))
    else:
        x.log_()
    # The buffer of ln x holds the counts next: the fewer buffers, the more of them stay in the cache.
    r_part = _row_dot(x, r)
    value = m.log_().sub_(x).mul_(x.copy_(counts)).sum(-1)
    return Terms(value - r_part, descent, None)


def _row_dot(values: Tensor, r: Tensor) -> Tensor:
    """Sum over genes of values r: a matrix-vector product, which makes no temporary, where r is gene-wise."""
    return values @ r[0] if len(r) == 1 else (values * r).sum(-1)


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
    k = counts.double()
    y = torch.addcmul(k.new_ones(()), k, dispersion.inverse)
    u = (dispersion.inverse / y).clamp_(max=1.0)
    difference = over(u, tables(k).delta).sub_(dispersion.delta).mul_(torch.sign(k))
    log_y = torch.log1p(k * dispersion.inverse)
    return (k + dispersion.r - 0.5).mul_(log_y).sub_(k).add_(difference).sub_(log_factorial_of(k))


def log_factorial_of(k: Tensor, *, short: bool = False) -> Tensor:
    """Log factorial of float64 counts, 0 for none; `short` where 2e-7 is enough, else to the last digits."""
    x = k + 1
    remainder = over(1 / x, tables(x, short=short).delta).add_(_HALF_LOG_2PI)
    return x.log().mul_(k + 0.5).sub_(x).add_(remainder).mul_(torch.sign(k))


def poisson_exact(counts: Tensor, mu: Tensor, chosen: Tables) -> Terms:
    """Poisson in the dtype of `mu` > 0."""
    k = counts.to(mu.dtype)
    return Terms(saturated_poisson(k, chosen) - deviance_part(k, mu, k - mu, chosen), (mu - k) / mu, None)


def poisson_fast(counts: Tensor, mu: Tensor, *, out: Tensor | None = None) -> Terms:
    """Row sums of the Poisson log-mass plus ln k!, for float32 `mu` > 0."""
    m = mu.double()
    value = m.log().mul_(counts).sub_(m).sum(-1)
    return Terms(value, torch.div((mu - counts).to(mu.dtype), mu, out=out), None)


def poisson_zero_mean(counts: Tensor) -> Terms:
    """The specification's rule for mu = 0, in float64: ln mu becomes ln 1e-10."""
    k = counts.double()
    return Terms((k * math.log(EPSILON) - log_factorial_of(k)) * torch.sign(k), 1 - k / EPSILON, None)


def saturated_poisson(k: Tensor, chosen: Tables) -> Tensor:
    """Poisson log-mass of `k` at the mean `k`: -ln(2 pi k)/2 - delta(k), and 0 for k = 0."""
    count = k.clamp(min=1.0)
    return -(0.5 * count.log() + _HALF_LOG_2PI + over(1 / count, chosen.delta)) * torch.sign(k)


def deviance_part(x: Tensor, mean: Tensor, excess: Tensor, chosen: Tables) -> Tensor:
    """Loader's bd0: x ln(x/mean) - excess, where `excess` is x - mean without its rounding error."""
    v = excess / (x + mean)
    w = v * v
    near = polynomial(w, chosen.atanh).mul_(w).mul_(x).add_(excess).mul_(v)
    tiny = torch.finfo(x.dtype).tiny
    far = (x / mean).clamp_(tiny, 1 / tiny).log_().mul_(x).sub_(excess)
    return torch.where(w < _NEAR[x.dtype], near, far)
