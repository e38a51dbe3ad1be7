# SPDX-License-Identifier: BSD-3-Clause
"""Evaluate a likelihood block by block, each with the kernel that suits its dtype and with the rule for means of 0."""

from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor

from pydgd.core.kernels import (
    Dispersion,
    Terms,
    dispersion_of,
    log_factorial_of,
    nb_exact,
    nb_fast,
    nb_frozen,
    nb_shape,
    nb_zero_mean,
    poisson_exact,
    poisson_fast,
    poisson_zero_mean,
)
from pydgd.core.stirling import Tables, tables

BLOCK = 32_768  # elements: about ten float64 temporaries of this size fit into a 2 MB second-level cache
COMPILED_BLOCK = 1 << 18  # one fused pass has no temporaries, but each call costs 50 us
WIDE_BLOCK = 1 << 22  # on an accelerator, where launches cost and caches are small

_TINY_MEAN = 1e-28

# Counts and means of a block, and which rows they are -> log-mass of each element (or of each row) and gradients.
Evaluate = Callable[[Tensor, Tensor, slice], Terms]


class DispersionRows:
    """ln r and what follows from it for a block of rows; computed once where all rows share r.

    Args:
        log_r: Natural log of r, (1, G) or (N, G).
        work: Dtype whose limits r is held to.
        columns: Positions of the genes to take; None for all.
    """

    def __init__(self, log_r: Tensor, work: torch.dtype, columns: Tensor | None = None) -> None:
        self._log_r, self._work, self._columns = log_r.detach(), work, columns
        self._shared = self._of(slice(None)) if len(log_r) == 1 else None

    def __getitem__(self, rows: slice) -> tuple[Tensor, Dispersion, Dispersion]:
        """ln r, its terms in float64, and the same in the dtype `work`."""
        return self._shared or self._of(rows)

    def _of(self, rows: slice) -> tuple[Tensor, Dispersion, Dispersion]:
        log_r = take(self._log_r[rows], self._columns)
        short = self._work == torch.float32 and len(self._log_r) > 1
        found = dispersion_of(log_r, self._work, short=short)
        return log_r, found, found.to(self._work)


def take(block: Tensor, columns: Tensor | None) -> Tensor:
    """The chosen columns; all of them, without a copy, for None."""
    return block if columns is None else block.index_select(1, columns)


def row_blocks(rows: int, columns: int, block: int) -> Iterator[slice]:
    """Slices of whole rows of about `block` elements."""
    step = max(1, block // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def exact_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool) -> Evaluate:
    """Log-mass of each element, in float64 whatever the dtype of mu."""
    chosen = tables(like.new_empty((), dtype=torch.float64))

    def evaluate(counts: Tensor, mu: Tensor, rows: slice) -> Terms:
        log_r, here, _ = dispersion[rows]
        found = nb_exact(counts, _positive(mu), here, chosen, slope=slope)
        return found if not _has_tiny(mu) else _patched(found, mu, nb_zero_mean(counts, log_r))

    return evaluate


def fast_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool) -> Evaluate:
    """Row sums of log-mass plus ln k!, from float32 mu."""
    chosen = tables(like.new_empty((), dtype=torch.float32), short=True)
    exact = exact_nb(dispersion, like, slope=slope)

    def evaluate(counts: Tensor, mu: Tensor, rows: slice) -> Terms:
        if _has_tiny(mu):
            return _row_sums(exact(counts, mu, rows), log_factorial_of(counts.double()))
        _, here, narrow = dispersion[rows]
        return nb_fast(counts, mu.float(), here, narrow, chosen, slope=slope)

    return evaluate


def compiled_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool) -> Evaluate:
    """Row sums of log-mass by one kernel from ``torch.compile``, in the dtype of mu."""
    work = torch.float64 if like.dtype == torch.float64 else torch.float32
    chosen = tables(like.new_empty((), dtype=work), short=work == torch.float32)
    exact = exact_nb(dispersion, like, slope=slope)

    def evaluate(counts: Tensor, mu: Tensor, rows: slice) -> Terms:
        if _has_tiny(mu):
            return _row_sums(exact(counts, mu, rows))
        return _compiled_rows()(counts, mu.to(work), dispersion[rows][2], chosen, slope=slope)

    return evaluate


@cache
def _compiled_rows() -> Callable[..., Terms]:
    """The compiled kernel; made on first use, which takes a C++ compiler and some 20 seconds."""

    def kernel(counts: Tensor, mu: Tensor, dispersion: Dispersion, chosen: Tables, *, slope: bool) -> Terms:
        return _row_sums(nb_exact(counts, mu, dispersion, chosen, slope=slope))

    return torch.compile(kernel, dynamic=True)


def frozen_nb(dispersion: DispersionRows, like: Tensor) -> Evaluate:
    """Row sums of log-mass minus `nb_shape`, which does not depend on mu; needs the limits of float64."""
    exact = exact_nb(dispersion, like, slope=False)

    def evaluate(counts: Tensor, mu: Tensor, rows: slice) -> Terms:
        here = dispersion[rows][1]
        if _has_tiny(mu):
            return _row_sums(exact(counts, mu, rows), -nb_shape(counts, here))
        return nb_frozen(counts, mu, here)

    return evaluate


def exact_poisson(like: Tensor) -> Evaluate:
    """Log-mass of each element, in float64 whatever the dtype of mu."""
    chosen = tables(like.new_empty((), dtype=torch.float64))

    def evaluate(counts: Tensor, mu: Tensor, rows: slice) -> Terms:  # noqa: ARG001 (rows matter to r only)
        found = poisson_exact(counts, _positive(mu), chosen)
        return found if not _has_tiny(mu) else _patched(found, mu, poisson_zero_mean(counts))

    return evaluate


def fast_poisson(like: Tensor) -> Evaluate:
    """Row sums of log-mass plus ln k!, from float32 mu."""
    exact = exact_poisson(like)

    def evaluate(counts: Tensor, mu: Tensor, rows: slice) -> Terms:
        if _has_tiny(mu):
            return _row_sums(exact(counts, mu, rows), log_factorial_of(counts.double()))
        return poisson_fast(counts, mu.float())

    return evaluate


def _has_tiny(mu: Tensor) -> bool:
    """Whether any mean is 0 or so small that k/mu overflows float32."""
    return mu.numel() > 0 and mu.amin().item() < _TINY_MEAN


def _positive(mu: Tensor) -> Tensor:
    return mu.double() if not _has_tiny(mu) else torch.where(mu > 0, mu.double(), 1.0)


def _patched(found: Terms, mu: Tensor, at_zero: Terms) -> Terms:
    """`at_zero` where mu is 0, and no gradient beyond what the dtype of mu can hold."""
    value, grad_mu, grad_log_r = (
        None if a is None or b is None else torch.where(mu > 0, a, b) for a, b in zip(found, at_zero, strict=True)
    )
    limit = torch.finfo(mu.dtype).max
    return Terms(value, grad_mu.clamp(-limit, limit), grad_log_r)


def _row_sums(found: Terms, more: Tensor | None = None) -> Terms:
    value = found.value if more is None else found.value + more
    return found._replace(value=value.sum(-1, dtype=torch.float64))
