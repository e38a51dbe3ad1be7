# SPDX-License-Identifier: BSD-3-Clause
"""Negative log-likelihood of samples: log-mass summed over genes, gradients in the same pass."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from pydgd.core.evaluation import (
    DispersionRows,
    Evaluator,
    compiled_nb,
    exact_nb,
    exact_poisson,
    fast_nb,
    fast_poisson,
    frozen_nb,
    take,
)
from pydgd.core.kernels import log_factorial_of, nb_shape
from pydgd.core.mass import refuse_second_order

Sums = tuple[Tensor, Tensor | None, Tensor | None]


def nb_nll(
    counts: Real[Tensor, "n genes"],
    mu: Float[Tensor, "n genes"],
    log_r: Float[Tensor, "#n genes"],
    *,
    log_factorial: Float[Tensor, "n genes"] | Float[Tensor, " n"] | None = None,
    mask: Bool[Tensor, " genes"] | None = None,
    constants: Float[Tensor, " n"] | None = None,
    compiled: bool = False,
    block: int | None = None,
) -> Float[Tensor, " n"]:
    """Negative log-likelihood of each sample under negative binomials, summed over genes.

    Rows are worked through in blocks, so that beside the gradients hardly any memory is used; sums are in
    float64. Float32 `mu` gives every gene's share within 2e-4 nats or 2e-6 of itself, and its gradients
    within 1e-5.

    Args:
        counts: Reads, of any dtype.
        mu: Expected reads, scaled; where it is 0, the rule of `nb_log_mass` holds.
        log_r: Natural log of the inverse dispersion, gene-wise (1, G) or (N, G).
        log_factorial: ``log_factorial(counts)``, or its sum over the measured genes; saves computing it.
        mask: Which genes were measured; the others add nothing, get no gradient, and may hold anything.
        constants: ``nb_constants(counts, log_r, mask=mask)``, for a `log_r` that stays as it is: what is left
            are two logs per element and no special function. Overrules `log_factorial`.
        compiled: Whether to use a kernel from ``torch.compile``, made on first use; not with `constants`.
        block: Elements per pass; by default what suits the device.

    Returns:
        Minus the sum of ln f, in nats. Differentiable once in `mu` and `log_r`.

    Raises:
        ValueError: If `constants` come with `compiled`, or with a `log_r` that wants a gradient.

    Example:
        >>> counts, mu = torch.tensor([[0, 5], [2, 3]]), torch.full((2, 2), 4.0)
        >>> nb_nll(counts, mu, torch.zeros(1, 2))
        tensor([4.3346, 4.3346], dtype=torch.float64)
    """
    frozen = constants is not None
    if frozen and (compiled or _wants_grad(log_r)):
        raise ValueError(
            "constants hold for one fixed log_r and the eager kernel; got "
            f"log_r.requires_grad={log_r.requires_grad}, compiled={compiled}. "
            "Detach log_r, or leave constants out."
        )
    like, slope, double = mu.new_empty(()), _wants_grad(log_r), mu.dtype == torch.float64
    columns = _columns(mask)
    dispersion = DispersionRows(log_r, columns)
    if frozen:
        evaluator = frozen_nb(dispersion, like)
    elif compiled:
        evaluator = compiled_nb(dispersion, like, slope=slope)
    else:
        evaluator = (exact_nb if double else fast_nb)(dispersion, like, slope=slope)
    sums = _GeneSums(counts, columns, evaluator, block)
    if not (frozen or compiled or double):
        constants = sums.factorials(log_factorial)
    return _nll(sums, mu, log_r, constants)


def poisson_nll(
    counts: Real[Tensor, "n genes"],
    mu: Float[Tensor, "n genes"],
    *,
    log_factorial: Float[Tensor, "n genes"] | Float[Tensor, " n"] | None = None,
    mask: Bool[Tensor, " genes"] | None = None,
    block: int | None = None,
) -> Float[Tensor, " n"]:
    """Negative log-likelihood of each sample under Poisson distributions, summed over genes.

    Args:
        counts: Reads, of any dtype.
        mu: Expected reads, scaled; where it is 0, the rule of `poisson_log_mass` holds.
        log_factorial: ``log_factorial(counts)``, or its sum over the measured genes; saves computing it.
        mask: Which genes were measured; the others add nothing, get no gradient, and may hold anything.
        block: Elements per pass; by default what suits the device.

    Returns:
        Minus the sum of ln f, in nats. Differentiable once in `mu`.

    Example:
        >>> poisson_nll(torch.tensor([[0, 5]]), torch.full((1, 2), 4.0))
        tensor([5.8560], dtype=torch.float64)
    """
    like, double = mu.new_empty(()), mu.dtype == torch.float64
    evaluator = exact_poisson(like) if double else fast_poisson(like)
    sums = _GeneSums(counts, _columns(mask), evaluator, block)
    return _nll(sums, mu, None, None if double else sums.factorials(log_factorial))


def nb_constants(
    counts: Real[Tensor, "n genes"],
    log_r: Float[Tensor, "#n genes"],
    *,
    mask: Bool[Tensor, " genes"] | None = None,
) -> Float[Tensor, " n"]:
    """The part of `nb_nll` that counts and dispersion decide; computed once where the dispersion is frozen.

    Args:
        counts: Reads, of any dtype.
        log_r: Natural log of the inverse dispersion, gene-wise (1, G) or (N, G).
        mask: Which genes were measured.

    Returns:
        Sums of ln k! + ln Gamma(r) + k ln r - ln Gamma(k + r) per sample, in nats, for
        ``nb_nll(constants=...)``.

    Example:
        >>> counts, mu, log_r = torch.tensor([[0, 5]]), torch.full((1, 2), 4.0), torch.zeros(1, 2)
        >>> nb_nll(counts, mu, log_r, constants=nb_constants(counts, log_r))
        tensor([4.3346], dtype=torch.float64)
    """
    columns = _columns(mask)
    dispersion = DispersionRows(log_r, columns)
    result = counts.new_empty(len(counts), dtype=torch.float64)
    for rows in frozen_nb(dispersion, result).rows(counts):
        result[rows] = -nb_shape(take(counts[rows], columns), dispersion.terms(rows, torch.float64)).sum(-1)
    return result


@dataclass(frozen=True)
class _GeneSums:
    """Sums over the genes in `columns`, by an evaluator of blocks of about `block` elements."""

    counts: Tensor
    columns: Tensor | None
    evaluator: Evaluator
    block: int | None

    def run(self, mu: Tensor, log_r: Tensor | None, *, grad_mu: bool, weights: Tensor | None = None) -> Sums:
        """Log-mass of each row, the negative of its gradient in `mu`, and of that in `log_r` if it is given.

        The gradient in a gene-wise `log_r` is summed over rows right away, with `weights` (by default 1).
        """
        total = mu.new_zeros(len(mu), dtype=torch.float64)
        blank = torch.empty_like if self.columns is None else torch.zeros_like
        to_mu = blank(mu) if grad_mu else None
        to_r = None if log_r is None else blank(log_r)
        gene_wise = log_r is not None and len(log_r) == 1
        over_rows = take(mu.new_zeros(1, mu.shape[1], dtype=torch.float64), self.columns)[0]
        weights = torch.ones_like(total) if weights is None else weights
        for rows in self.evaluator.rows(mu, self.block):
            target = None if to_mu is None else to_mu[rows]
            out = target if self.columns is None else None
            counts, means = self._taken(self.counts, rows), self._taken(mu, rows)
            value, descent, slope = self.evaluator.evaluate(counts, means, rows, out)
            total[rows] = value if value.ndim == 1 else value.sum(-1)
            if target is not None and descent is not out:
                self._put(target, descent)
            if slope is not None and gene_wise:
                over_rows -= slope.T @ weights[rows].to(slope.dtype)
            elif slope is not None and to_r is not None:
                self._put(to_r[rows], slope.neg_())
        if to_r is not None and gene_wise:
            self._put(to_r, over_rows[None])
        return total, to_mu, to_r

    def factorials(self, log_factorial: Tensor | None) -> Tensor:
        """Sum of ln k! over the genes, per row."""
        if log_factorial is not None and log_factorial.ndim == 1:
            return log_factorial
        result = self.counts.new_empty(len(self.counts), dtype=torch.float64)
        for rows in self.evaluator.rows(self.counts, self.block):
            if log_factorial is None:
                each = log_factorial_of(self._taken(self.counts, rows).double(), short=True)
            else:
                each = self._taken(log_factorial, rows)
            result[rows] = each.sum(-1, dtype=torch.float64)
        return result

    def _taken(self, matrix: Tensor, rows: slice) -> Tensor:
        return take(matrix[rows], self.columns)

    def _put(self, target: Tensor, values: Tensor) -> None:
        if self.columns is None:
            target.copy_(values)
        else:
            target.index_copy_(1, self.columns, values.to(target.dtype))


class _NegativeSum(torch.autograd.Function):
    """Gradients are computed with the value, because they share its logs; ``backward`` scales them."""

    @staticmethod
    def forward(
        ctx: BackwardCFunction,
        mu: Tensor,
        log_r: Tensor | None,
        sums: _GeneSums,
        constants: Tensor | None,
        wanted: tuple[bool, bool],
    ) -> Tensor:
        total, grad_mu, grad_r = sums.run(mu, log_r if wanted[1] else None, grad_mu=wanted[0])
        ctx.sums = sums  # type: ignore[attr-defined]
        again = grad_r is not None and len(grad_r) == 1 < len(mu)
        kept = (mu, log_r) if again else (None, None)
        ctx.save_for_backward(*kept, grad_mu, grad_r)  # type: ignore[arg-type]
        return -total if constants is None else constants - total

    @staticmethod
    def backward(
        ctx: BackwardCFunction, grad: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        refuse_second_order()
        mu, log_r, grad_mu, grad_r = ctx.saved_tensors  # type: ignore[misc]
        same = grad.stride(0) == 0 or bool((grad == grad[:1]).all())
        factor = grad[:1] if same else grad
        to_mu = _scaled(grad_mu, factor)
        if same or mu is None:
            return to_mu, _scaled(grad_r, factor), None, None, None
        # Rows weigh differently, which the sum over rows in the forward pass could not know.
        sums: _GeneSums = ctx.sums  # type: ignore[attr-defined]
        return to_mu, sums.run(mu, log_r, grad_mu=False, weights=grad)[2], None, None, None


def _scaled(gradient: Tensor | None, factor: Tensor) -> Tensor | None:
    """Rows times `factor`; for the 1 of a plain sum the same tensor, which saves a copy of the batch."""
    if gradient is None or (factor.numel() == 1 and factor.item() == 1.0):
        return gradient
    return gradient * factor[:, None].to(gradient.dtype)


def _nll(sums: _GeneSums, mu: Tensor, log_r: Tensor | None, constants: Tensor | None) -> Tensor:
    wanted = (_wants_grad(mu), log_r is not None and _wants_grad(log_r))
    total: Tensor = _NegativeSum.apply(mu, log_r, sums, constants, wanted)  # type: ignore[no-untyped-call]
    return total


def _wants_grad(tensor: Tensor) -> bool:
    return torch.is_grad_enabled() and tensor.requires_grad


def _columns(mask: Tensor | None) -> Tensor | None:
    return None if mask is None or bool(mask.all()) else mask.nonzero()[:, 0]
