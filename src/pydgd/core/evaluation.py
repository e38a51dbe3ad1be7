# SPDX-License-Identifier: BSD-3-Clause
"""Which kernel evaluates a block of counts, and how large a block it takes best."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from pydgd.core.compiled import compiled_deviance_rows, compiled_nb_rows, compiled_poisson_rows
from pydgd.core.dispersion import DispersionRows
from pydgd.core.kernels import (
    Scratch,
    Terms,
    log_factorial_of,
    nb_deviance_only,
    nb_exact,
    nb_fast,
    nb_frozen,
    nb_saddle_of,
    nb_shape,
    poisson_exact,
    poisson_fast,
)
from pydgd.core.stirling import Tables, tables
from pydgd.core.tiny_means import Evaluate, nb_elements, poisson_elements, sheltered

# Elements per pass on a CPU: so many that dispatch, 1 us an operation, takes little of the time, and so few
# that temporaries stay in a second-level cache of 2 MB. The optimum is flat: twice or half as many cost 5 %.
BLOCK = 1 << 15
SCRATCH_BLOCK = 1 << 16  # where temporaries are reused
COMPILED_BLOCK = 1 << 20  # where there are none, and each call costs 50 us
WIDE_BLOCK = 1 << 22  # on an accelerator, where each operation costs a launch


class Evaluator(NamedTuple):
    """What evaluates a block, and how many elements it takes best on a CPU."""

    evaluate: Evaluate
    block: int = BLOCK

    def rows(self, matrix: Tensor, block: int | None = None) -> Iterator[slice]:
        """Slices of whole rows of a matrix, of `block` elements or what suits the device."""
        best = self.block if matrix.device.type == "cpu" else WIDE_BLOCK
        return row_blocks(len(matrix), matrix.shape[1], block or best)


def row_blocks(rows: int, columns: int, block: int) -> Iterator[slice]:
    """Slices of whole rows of about `block` elements."""
    step = max(1, block // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def exact_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool) -> Evaluator:
    """Log-mass of each element, in float64 whatever the dtype of mu."""
    chosen = tables(like.double())

    def kernel(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        terms = dispersion.terms(rows, torch.float64)
        return _put(nb_exact(counts, mu.double(), terms, chosen, slope=slope), out)

    return Evaluator(sheltered(kernel, nb_elements(dispersion), _fractions))


def fast_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool, each: bool = False) -> Evaluator:
    """Log-mass from float32 mu: its sums over rows with ln k! added, or `each` element's."""
    kernel = partial(_fast, dispersion, tables(like.float(), short=True), Scratch(), slope=slope, each=each)
    left_out = None if each else lambda counts, _: _minus_log_factorial(counts)
    also = partial(_small_r_or_fractions if each else _small_r, dispersion, torch.float32)
    return Evaluator(sheltered(kernel, nb_elements(dispersion, left_out), also), SCRATCH_BLOCK)


def _fast(
    dispersion: DispersionRows,
    chosen: Tables,
    scratch: Scratch,
    counts: Tensor,
    mu: Tensor,
    rows: slice,
    out: Tensor | None,
    *,
    slope: bool,
    each: bool,
) -> Terms:
    scale, terms = dispersion.scale(rows, torch.float32), dispersion.terms(rows, torch.float32)
    return nb_fast(counts, mu.float(), scale, terms, chosen, scratch, slope=slope, each=each, out=out)


def fast_frozen(dispersion: DispersionRows) -> Evaluator:
    """Row sums of log-mass without `nb_shape`, from float32 mu."""
    kernel = partial(_frozen, dispersion, Scratch())
    return Evaluator(sheltered(kernel, nb_elements(dispersion, nb_shape)), SCRATCH_BLOCK)


def _frozen(
    dispersion: DispersionRows,
    scratch: Scratch,
    counts: Tensor,
    mu: Tensor,
    rows: slice,
    out: Tensor | None,
) -> Terms:
    return nb_frozen(counts, mu.float(), dispersion.scale(rows, torch.float64), scratch, out=out)


def exact_frozen(dispersion: DispersionRows, like: Tensor) -> Evaluator:
    """Log-mass of each element without `nb_saddle`, in float64."""
    chosen = tables(like.double())

    def kernel(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        r = dispersion.scale(rows, torch.float64).r
        return _put(nb_deviance_only(counts, mu.double(), r, chosen), out)

    return Evaluator(sheltered(kernel, nb_elements(dispersion, nb_saddle_of)))


def compiled_nb(dispersion: DispersionRows, like: Tensor, *, slope: bool) -> Evaluator:
    """Row sums of log-mass by a kernel from ``torch.compile``."""
    work = _working(like)

    def kernel(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        return compiled_nb_rows(counts, mu.to(work), out, dispersion.terms(rows, work), slope=slope)

    small = partial(_small_r, dispersion, work)
    return Evaluator(sheltered(kernel, nb_elements(dispersion), small, finds_least=True), COMPILED_BLOCK)


def compiled_frozen(dispersion: DispersionRows, like: Tensor) -> Evaluator:
    """Row sums of log-mass without `nb_saddle`, by a kernel from ``torch.compile``."""
    work = _working(like)

    def kernel(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:
        return compiled_deviance_rows(counts, mu.to(work), out, dispersion.terms(rows, work).r)

    small = partial(_small_r, dispersion, work)
    elements = nb_elements(dispersion, nb_saddle_of)
    return Evaluator(sheltered(kernel, elements, small, finds_least=True), COMPILED_BLOCK)


def exact_poisson(like: Tensor) -> Evaluator:
    """Log-mass of each element, in float64 whatever the dtype of mu."""
    chosen = tables(like.double())

    def kernel(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:  # noqa: ARG001
        return _put(poisson_exact(counts, mu.double(), chosen), out)

    return Evaluator(sheltered(kernel, poisson_elements(), _fractions))


def fast_poisson() -> Evaluator:
    """Row sums of log-mass plus ln k!, from float32 mu."""
    kernel = partial(_fast_poisson, Scratch())
    return Evaluator(sheltered(kernel, poisson_elements(_minus_log_factorial)), SCRATCH_BLOCK)


def _fast_poisson(
    scratch: Scratch,
    counts: Tensor,
    mu: Tensor,
    rows: slice,  # noqa: ARG001
    out: Tensor | None,
) -> Terms:
    return poisson_fast(counts, mu.float(), scratch, out=out)


def compiled_poisson(like: Tensor) -> Evaluator:
    """Row sums of log-mass by a kernel from ``torch.compile``."""
    work = _working(like)

    def kernel(counts: Tensor, mu: Tensor, rows: slice, out: Tensor | None) -> Terms:  # noqa: ARG001
        return compiled_poisson_rows(counts, mu.to(work), out)

    return Evaluator(sheltered(kernel, poisson_elements(), finds_least=True), COMPILED_BLOCK)


def _minus_log_factorial(counts: Tensor) -> Tensor:
    return -log_factorial_of(counts.double())


def _small_r(dispersion: DispersionRows, work: torch.dtype, counts: Tensor, rows: slice) -> Tensor | None:  # noqa: ARG001
    """Where r is below the limit of the dtype that a kernel works in."""
    return dispersion.scale(rows, work).small if work == torch.float32 else None


def _small_r_or_fractions(
    dispersion: DispersionRows, work: torch.dtype, counts: Tensor, rows: slice
) -> Tensor | None:
    small, fractions = _small_r(dispersion, work, counts, rows), _fractions(counts, rows)
    return small if fractions is None else fractions if small is None else fractions | small


def _fractions(counts: Tensor, rows: slice) -> Tensor | None:  # noqa: ARG001
    """Where counts, which should be whole numbers, are between 0 and 1."""
    if not counts.is_floating_point() or not counts.numel() or counts.frac().amax() == 0:
        return None
    return (counts > 0) & (counts < 1)


def _working(like: Tensor) -> torch.dtype:
    """The dtype that a compiled kernel works in."""
    return torch.float64 if like.dtype == torch.float64 else torch.float32


def _put(found: Terms, out: Tensor | None) -> Terms:
    if out is not None and found.descent is not None:
        out.copy_(found.descent)
    return found
