# SPDX-License-Identifier: BSD-3-Clause
"""Which kernel evaluates a block of counts, and what happens where a mean is 0."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from pydgd.core.kernels import (
    Dispersion,
    Scale,
    Scratch,
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
    scale_of,
)
from pydgd.core.stirling import Tables, tables

# Elements per pass on a CPU: so many that dispatch, 1 us an operation, takes little of the time, and so few
# that temporaries stay in a second-level cache of 2 MB. The optimum is flat: twice or half as many cost 5 %.
BLOCK = 1 << 15
SCRATCH_BLOCK = 1 << 16  # where temporaries are reused
COMPILED_BLOCK = 1 << 19  # where there are none, and each call costs 50 us
WIDE_BLOCK = 1 << 22  # on an accelerator, where each operation costs a launch

# Below, the limit of r in float32 would matter, and k/mu overflow; softplus gets there at an argument of -46.
_TINY_MEAN = 1e-20

# Counts and means of a block, which rows these are, where the descent may go (a kernel that cannot write
# there leaves it alone) -> log-mass of elements or rows.
Evaluate = Callable[[Tensor, Tensor, slice, Tensor | None], Terms]


class Evaluator(NamedTuple):
    """What evaluates a block, and how many elements it takes best on a CPU."""

    evaluate: Evaluate
    block: int = BLOCK

    def rows(self, matrix: Tensor, block: int | None = None) -> Iterator[slice]:
        """Slices of whole rows of a matrix, of `block` elements or what suits the device."""
        best = self.block if matrix.device.type == "cpu" else WIDE_BLOCK
        return row_blocks(len(matrix), matrix.shape[1], block or best)


T = TypeVar("T", Scale, Dispersion)


class DispersionRows:
    """ln r and what follows from it for a block of rows; computed once where all rows share r.

    Args:
        log_r: Natural log of r, (1, G) or (N, G).
        columns: Positions of the genes to take; None for all.
    """

    def __init__(self, log_r: Tensor, columns: Tensor | None = None) -> None:
        self._log_r, self._columns = log_r.detach(), columns
        self._shared: dict[str, Scale | Dispersion] = {}

    def log_r(self, rows: slice) -> Tensor:
        """Give ln r itself, without limits."""
        return take(self._log_r if self._gene_wise else self._log_r[rows], self._columns)

    def scale(self, rows: slice, work: torch.dtype) -> Scale:
        """Give r and 1/r in float64, within the limits of the dtype `work`."""
        return self._once(f"scale {work}", lambda: scale_of(self.log_r(rows), work))

    def terms(self, rows: slice, work: torch.dtype) -> Dispersion:
        """All that the log-mass needs, in the dtype `work`."""
        short = work == torch.float32 and not self._gene_wise
        return self._once(f"terms {work}", lambda: dispersion_of(self.scale(rows, work), work, short=short))

    @property
    def _gene_wise(self) -> bool:
        return len(self._log_r) == 1

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        if not self._gene_wise:
            return compute()
        if name not in self._shared:
            self._shared[name] = compute()
        return cast("T", self._shared[name])


def take(block: Tensor, columns: Tensor | None) -> Tensor:
    """The chosen columns; all of them, without a copy, for None."""
    return block if columns is None else block.index_select(1, columns)


def row_blocks(rows: int, columns: int, block: int) -> Iterator[slice]:
    """Slices of whole rows of about `block` elements."""
    step = max(1, block // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def exact_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool) -> Evaluator:
    """Log-mass of each element, in float64 whatever the dtype of mu."""
    chosen = tables(like.new_empty((), dtype=torch.float64))

    def evaluate(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:  # noqa: ARG001
        found = nb_exact(counts, _positive(mu), dispersion.terms(rows, torch.float64), chosen, slope=slope)
        return _patched(found, mu, nb_zero_mean(counts, dispersion.log_r(rows))) if _has_tiny(mu) else found

    return Evaluator(evaluate)


def fast_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool, each: bool = False) -> Evaluator:
    """Log-mass from float32 mu: of each element, or its sums over rows with ln k! added."""
    chosen = tables(like.new_empty((), dtype=torch.float32), short=True)
    exact, scratch = exact_nb(dispersion, like, slope=slope).evaluate, Scratch()

    def evaluate(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        if _has_tiny(mu):
            found = exact(counts, mu, rows, out)
            return found if each else _row_sums(found, log_factorial_of(counts.double()))
        scale, terms = dispersion.scale(rows, torch.float32), dispersion.terms(rows, torch.float32)
        found = nb_fast(counts, mu.float(), scale, terms, chosen, scratch, slope=slope, each=each, out=out)
        if each:
            found.value.sub_(log_factorial_of(counts.double(), short=True))
        return found

    return Evaluator(evaluate, SCRATCH_BLOCK)


def compiled_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool) -> Evaluator:
    """Row sums of log-mass by one kernel from ``torch.compile``, in the dtype of mu."""
    work = torch.float64 if like.dtype == torch.float64 else torch.float32
    chosen = tables(like.new_empty((), dtype=work), short=work == torch.float32)
    exact = exact_nb(dispersion, like, slope=slope).evaluate

    def evaluate(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        if _has_tiny(mu):
            return _row_sums(exact(counts, mu, rows, out))
        return _compiled_rows()(counts, mu.to(work), dispersion.terms(rows, work), chosen, slope=slope)

    return Evaluator(evaluate, COMPILED_BLOCK)


@cache
def _compiled_rows() -> Callable[..., Terms]:
    """The compiled kernel; made on first use, which takes a C++ compiler and some 20 seconds."""

    def kernel(counts: Tensor, mu: Tensor, dispersion: Dispersion, chosen: Tables, *, slope: bool) -> Terms:
        return _row_sums(nb_exact(counts, mu, dispersion, chosen, slope=slope))

    return torch.compile(kernel, dynamic=True)


def frozen_nb(dispersion: DispersionRows, like: Tensor) -> Evaluator:
    """Row sums of log-mass minus `nb_shape`, which does not depend on mu."""
    exact, scratch = exact_nb(dispersion, like, slope=False).evaluate, Scratch()

    def evaluate(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        if _has_tiny(mu):
            shape = nb_shape(counts, dispersion.terms(rows, torch.float64))
            return _row_sums(exact(counts, mu, rows, out), -shape)
        return nb_frozen(counts, mu, dispersion.scale(rows, torch.float64), scratch, out=out)

    return Evaluator(evaluate, SCRATCH_BLOCK)


def exact_poisson(like: Tensor) -> Evaluator:
    """Log-mass of each element, in float64 whatever the dtype of mu."""
    chosen = tables(like.new_empty((), dtype=torch.float64))

    def evaluate(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:  # noqa: ARG001
        found = poisson_exact(counts, _positive(mu), chosen)
        return _patched(found, mu, poisson_zero_mean(counts)) if _has_tiny(mu) else found

    return Evaluator(evaluate)


def fast_poisson(like: Tensor) -> Evaluator:
    """Row sums of log-mass plus ln k!, from float32 mu."""
    exact = exact_poisson(like).evaluate

    def evaluate(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        if _has_tiny(mu):
            return _row_sums(exact(counts, mu, rows, out), log_factorial_of(counts.double()))
        return poisson_fast(counts, mu.float(), out=out)

    return Evaluator(evaluate)


def _has_tiny(mu: Tensor) -> bool:
    """Whether any mean is 0, too small for the fast kernels, or NaN, which hides such a mean."""
    return mu.numel() > 0 and not mu.amin().item() >= _TINY_MEAN


def _positive(mu: Tensor) -> Tensor:
    return mu.double() if not _has_tiny(mu) else torch.where(mu == 0, 1.0, mu.double())


def _patched(found: Terms, mu: Tensor, at_zero: Terms) -> Terms:
    """`at_zero` where mu is 0, and no gradient beyond what the dtype of mu can hold."""
    limit = torch.finfo(mu.dtype).max
    descent = torch.where(mu == 0, at_zero.descent, found.descent).clamp(-limit, limit)
    slope = found.slope
    if slope is not None and at_zero.slope is not None:
        slope = torch.where(mu == 0, at_zero.slope, slope)
    return Terms(torch.where(mu == 0, at_zero.value, found.value), descent, slope)


def _row_sums(found: Terms, more: Tensor | None = None) -> Terms:
    value = found.value if more is None else found.value + more
    return found._replace(value=value.sum(-1, dtype=torch.float64))
