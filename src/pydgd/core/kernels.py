# SPDX-License-Identifier: BSD-3-Clause
r"""Log-mass and gradients of count distributions on one block of elements: arithmetic only, no autograd.

With e = r (k - mu) / (r + mu), which is also d ln f / d ln mu, and bd0(x, M) = x ln(x/M) - (x - M) >= 0, Loader's
saddle-point form of the negative binomial has no term that cancels against another one:

    ln f = -bd0(k, k - e) - bd0(r, r + e) - ln(2 pi k)/2 - ln((k+r)/r)/2 + delta(k+r) - delta(r) - delta(k)
    d ln f / d ln r = (1/2 + eta(r)) - (1/2 + eta(k+r)) r/(k+r) - bd0(r, r + e)

(delta and eta: `pydgd.core.stirling`; for k = 0 only the two bd0 stay.) `nb_exact` evaluates this in the dtype of its
arguments. `nb_fast` takes float32 and writes the same value as k ln mu + (k+r) ln((k+r)/(r+mu)) + ...: that cancels, by as
much as max(k, mu, r < 1e9) * 2e-16 in float64, which float32 results cannot show, and saves the series and the selections.

Source:
    C. Loader (2000), Fast and Accurate Computation of Binomial Probabilities, for the idea and for bd0.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pydgd.core.stirling import Tables, over, polynomial, stirling_delta, stirling_eta, tables

EPSILON = 1e-10  # the specification's guard; it decides only where the mean is 0 and the count is not

# Limits of ln r inside. Above: the Poisson limit to the last digit. Below: k/r must not overflow (k up to 1e9), and
# what depends on r in the deviance is below 1e-25; the log-mass itself still falls with ln r, through `Dispersion.delta`.
_LOG_R_MAX = 69.0
_LOG_R_MIN = {torch.float32: -66.0, torch.float64: -500.0}

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LARGE_R = 1e9  # beyond it ln(1 + mu/r) needs log1p, which costs 2.4 times a log, to be exact to 1e-7 nats
_NEAR = 0.01  # |x - M| < (x + M)/10: the series, whose terms shrink by this factor


class Dispersion(NamedTuple):
    """What depends on r alone: (1, G) for gene-wise r, computed once and not per element, or (n, G).

    Attributes:
        r: Inverse dispersion, within the limits of the dtype.
        inverse: 1/r.
        delta: Stirling remainder delta(r); also carries ln r below the limit.
        slope: 1/2 + eta(r), which is r (ln r - psi(r)).
        large: Whether any r is so large that logs of 1 + mu/r lose digits.
    """

    r: Tensor
    inverse: Tensor
    delta: Tensor
    slope: Tensor
    large: bool = False

    def to(self, dtype: torch.dtype) -> "Dispersion":
        """The same in another dtype; `large`, which is for eager kernels, is left out."""
        return Dispersion(self.r.to(dtype), self.inverse.to(dtype), self.delta.to(dtype), self.slope.to(dtype))


class Terms(NamedTuple):
    """Log-mass of each element, or sums of it over rows; its derivatives in mu and, unless None, ln r of each element."""

    value: Tensor
    grad_mu: Tensor
    grad_log_r: Tensor | None


def dispersion_of(log_r: Tensor, work: torch.dtype, *, short: bool = False) -> Dispersion:
    """Terms of r within the limits of the dtype `work`, held in float64; `short` coefficients where 3e-7 is enough."""
    log_r = log_r.detach().double().clamp(max=_LOG_R_MAX)
    inside = log_r.clamp(min=_LOG_R_MIN[work])
    r = inside.exp()
    chosen = tables(r, short=short)
    # Below the limit ln f is ln r plus a constant: half of it is in -delta(r), half in -ln((k+r)/r)/2.
    delta = stirling_delta(r, chosen) + (inside - log_r)
    large = r.numel() > 0 and bool(r.amax() > _LARGE_R)
    return Dispersion(r, 1 / r, delta, stirling_eta(r, chosen) + 0.5, large=large)


def nb_exact(counts: Tensor, mu: Tensor, dispersion: Dispersion, chosen: Tables, *, slope: bool) -> Terms:
    """Negative binomial in the dtype of `mu` > 0, which `dispersion` and `chosen` share; `slope` asks for d/d ln r."""
    k = counts.to(mu.dtype)
    r, inverse, delta_r, slope_r, _ = dispersion
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
    return Terms(value, e / mu, grad_r)


def nb_fast(
    counts: Tensor, mu: Tensor, dispersion: Dispersion, narrow: Dispersion, chosen: Tables, *, slope: bool
) -> Terms:
    """Row sums of the negative binomial plus ln k!, for float32 `mu` > 0 in eager mode: 3 times the speed of `nb_exact`.

    Sums that cancel are in float64; the Stirling terms, exact to 3e-7, in float32, as `narrow` and `chosen` are.
    """
    r, inverse = dispersion.r, dispersion.inverse
    k, m, one = counts.double(), mu.double(), r.new_ones(())
    above = torch.addcmul(one, m, inverse).reciprocal_()
    y = torch.addcmul(one, k, inverse)
    e = (k - m).mul_(above)
    y32 = y.to(mu.dtype)
    log_tilt = y.mul_(above).log_()
    if dispersion.large:
        log_tilt = torch.where(r > _LARGE_R / 1e3, torch.log1p(e * inverse), log_tilt)
    q = 1 / y32
    u = (q * narrow.inverse).clamp_(max=1.0)
    present = torch.sign(counts.to(mu.dtype))
    rest = over(u, chosen.delta).sub_(narrow.delta).sub_(y32.log_(), alpha=0.5).mul_(present)
    value = _row_dot(log_tilt, r) + rest.sum(-1, dtype=torch.float64)
    value += m.log_().add_(log_tilt).sub_(1.0).mul_(k).sum(-1)
    grad_mu = e.to(mu.dtype).div_(mu)
    if not slope:
        return Terms(value, grad_mu, None)
    rest = over(u, chosen.eta).add_(0.5).mul_(q)
    rest = torch.sub(narrow.slope, rest, out=rest).mul_(present)
    return Terms(value, grad_mu, log_tilt.mul_(r).sub_(e).add_(rest))


def nb_frozen(counts: Tensor, mu: Tensor, dispersion: Dispersion) -> Terms:
    """Row sums of k ln mu - (k+r) ln(1 + mu/r), where `mu` > 0 is in the log-mass: two logs, no special function."""
    r, inverse = dispersion.r, dispersion.inverse
    m = mu.double()
    x = torch.addcmul(m.new_ones(()), m, inverse)
    grad_mu = (counts - mu).to(mu.dtype).div_(x.to(mu.dtype).mul_(mu))
    if dispersion.large:
        log_x = torch.where(r > _LARGE_R / 1e3, torch.log1p(m * inverse), x.log())
    else:
        log_x = x.log_()
    value = m.log_().sub_(log_x).mul_(counts).sum(-1) - _row_dot(log_x, r)
    return Terms(value, grad_mu, None)


def _row_dot(values: Tensor, r: Tensor) -> Tensor:
    """Sum over genes of values r: a matrix-vector product, which makes no temporary, where r is gene-wise."""
    return values @ r[0] if len(r) == 1 else (values * r).sum(-1)


def nb_zero_mean(counts: Tensor, log_r: Tensor) -> Terms:
    """The specification's rule for mu = 0, in float64: ln(mu c) becomes ln 1e-10, and no log-mass is above 0."""
    k = counts.double()
    r, inverse, _, slope_r, _ = dispersion = dispersion_of(log_r, torch.float64)
    value = (nb_shape(k, dispersion) + k * (r.log() + math.log(EPSILON))).clamp(max=0.0)
    grad_mu = torch.where(k > 0, (k / EPSILON - r) / (r + EPSILON), -1.0)
    y = 1 + k * inverse
    grad_r = r * torch.log1p(k * inverse) + slope_r - (0.5 + stirling_eta(k + r)) / y
    return Terms(value, grad_mu, torch.where(value < 0, grad_r, 0.0))


def nb_shape(counts: Tensor, dispersion: Dispersion) -> Tensor:
    """ln Gamma(k+r) - ln Gamma(r) - k ln r - ln k! in float64: what `nb_frozen` leaves out."""
    k = counts.double()
    y = torch.addcmul(k.new_ones(()), k, dispersion.inverse)
    u = (dispersion.inverse / y).clamp_(max=1.0)
    difference = over(u, tables(k).delta).sub_(dispersion.delta).mul_(torch.sign(k))
    log_y = torch.log1p(k * dispersion.inverse)
    return (k + dispersion.r - 0.5).mul_(log_y).sub_(k).add_(difference).sub_(log_factorial_of(k))


def log_factorial_of(k: Tensor) -> Tensor:
    """ln k! of float64 counts, twice as fast as ``torch.lgamma``."""
    x = k + 1
    return (x - 0.5) * x.log() - x + _HALF_LOG_2PI + over(1 / x, tables(x).delta)


def poisson_exact(counts: Tensor, mu: Tensor, chosen: Tables) -> Terms:
    """Poisson in the dtype of `mu` > 0."""
    k = counts.to(mu.dtype)
    return Terms(saturated_poisson(k, chosen) - deviance_part(k, mu, k - mu, chosen), (k - mu) / mu, None)


def poisson_fast(counts: Tensor, mu: Tensor) -> Terms:
    """Row sums of the Poisson log-mass plus ln k!, for float32 `mu` > 0."""
    m = mu.double()
    value = m.log().mul_(counts).sub_(m).sum(-1)
    return Terms(value, (counts - mu).to(mu.dtype).div_(mu), None)


def poisson_zero_mean(counts: Tensor) -> Terms:
    """The specification's rule for mu = 0, in float64: ln mu becomes ln 1e-10."""
    k = counts.double()
    return Terms(k * math.log(EPSILON) - log_factorial_of(k), k / EPSILON - 1, None)


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
    return torch.where(w < _NEAR, near, far)
