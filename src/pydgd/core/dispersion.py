# SPDX-License-Identifier: BSD-3-Clause
"""Inverse dispersion r from its logarithm, and what the log-mass needs to know of it."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from pydgd.core.stirling import short_remainders, stirling_remainders

# Limits of ln r inside: products of r with counts and means stay within the dtype. Above, it is the Poisson
# limit to the last digit, for means up to 1e14. Below the limit of float32, elements are evaluated in
# float64; below that of float64, r in the deviance is nothing, and the log-mass goes on falling with ln r
# through `Dispersion.delta`.
_LOG_R_MAX = {torch.float32: 80.0, torch.float64: 300.0}
_LOG_R_MIN = {torch.float32: -66.0, torch.float64: -500.0}

LARGE_R = 1e9  # beyond it ln(1 + mu/r) needs log1p, which costs 2.4 times a log, to be exact to 1e-7 nats


class Scale(NamedTuple):
    """r itself, (1, G) for gene-wise r or (n, G): within the limits of a dtype, and in float64.

    Attributes:
        r: Inverse dispersion.
        inverse: 1/r.
        excess: How much ln r is above the unlimited one.
        one: The scalar 1.
        large: Whether any r is above `LARGE_R`.
        small: Where r is below its limit; None where it is not.
    """

    r: Tensor
    inverse: Tensor
    excess: Tensor
    one: Tensor
    large: bool
    small: Tensor | None


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


T = TypeVar("T", Scale, Dispersion)


def scale_of(log_r: Tensor, work: torch.dtype) -> Scale:
    """Inverse dispersion within the limits of the dtype `work`."""
    log_r = log_r.detach().double().clamp(max=_LOG_R_MAX[work])
    inside = log_r.clamp(min=_LOG_R_MIN[work])
    r = inside.exp()
    excess, any_r = inside - log_r, r.numel() > 0
    large = any_r and r.amax().item() > LARGE_R
    small = excess > 0 if any_r and excess.amax().item() > 0 else None
    return Scale(r, torch.exp(-inside), excess, r.new_ones(()), large, small)


def dispersion_of(scale: Scale, work: torch.dtype) -> Dispersion:
    """Terms of r in the dtype `work`: to the last digits in float64, within 2e-6 in float32."""
    r = scale.r.to(work)
    delta, eta = short_remainders(r) if work == torch.float32 else stirling_remainders(r)
    # Below the limit ln f is ln r plus a constant: half of it is in -delta(r), half in -ln((k+r)/r)/2.
    parts = (r, scale.inverse, delta + scale.excess, eta + 0.5)
    return Dispersion(*(part.to(work) for part in parts))


class DispersionRows:
    """ln r and what follows from it for a block of rows; computed once per block, or once if all share r.

    Args:
        log_r: Natural log of r, (1, G) or (N, G).
        columns: Positions of the genes to take; None for all.
    """

    def __init__(self, log_r: Tensor, columns: Tensor | None = None) -> None:
        self._log_r, self._columns = log_r.detach(), columns
        self._gene_wise = len(log_r) == 1
        self._rows: slice | None = None
        self._held: dict[tuple[type[Scale | Dispersion], torch.dtype], Scale | Dispersion] = {}

    def log_r(self, rows: slice) -> Tensor:
        """Give ln r itself, without limits."""
        return take(self._log_r if self._gene_wise else self._log_r[rows], self._columns)

    def scale(self, rows: slice, work: torch.dtype) -> Scale:
        """Give r and 1/r in float64, within the limits of the dtype `work`."""
        return self._once(Scale, work, rows, lambda: scale_of(self.log_r(rows), work))

    def terms(self, rows: slice, work: torch.dtype) -> Dispersion:
        """All that the log-mass needs, in the dtype `work`."""
        return self._once(Dispersion, work, rows, lambda: dispersion_of(self.scale(rows, work), work))

    def _once(self, kind: type[T], work: torch.dtype, rows: slice, compute: Callable[[], T]) -> T:
        if not self._gene_wise and rows != self._rows:
            self._rows, self._held = rows, {}
        if (kind, work) not in self._held:
            self._held[kind, work] = compute()
        return cast("T", self._held[kind, work])


def take(block: Tensor, columns: Tensor | None) -> Tensor:
    """The chosen columns; all of them, without a copy, for None."""
    return block if columns is None else block.index_select(1, columns)
