# SPDX-License-Identifier: BSD-3-Clause
"""Negative log-likelihood of samples: log-mass summed over genes, gradients in the same pass."""

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from pydgd.core.dispersion import DispersionRows, take
from pydgd.core.evaluation import (
    BLOCK,
    Evaluator,
    compiled_frozen,
    compiled_nb,
    compiled_poisson,
    exact_frozen,
    exact_nb,
    exact_poisson,
    fast_frozen,
    fast_nb,
    fast_poisson,
    row_blocks,
)
from pydgd.core.gene_sums import GeneSums
from pydgd.core.kernels import nb_saddle_of, nb_shape, row_sums
from pydgd.core.mass import refuse_second_order, wants_grad


def nb_nll(
    counts: Real[Tensor, "n genes"],
    mu: Float[Tensor, "n genes"],
    log_r: Float[Tensor, "#n genes"],
    *,
    scaling_factors: Float[Tensor, " n"] | None = None,
    log_factorial: Float[Tensor, "n genes"] | Float[Tensor, " n"] | None = None,
    mask: Bool[Tensor, " genes"] | None = None,
    constants: Float[Tensor, "n columns"] | None = None,
    compiled: bool = False,
    block: int | None = None,
) -> Float[Tensor, " n"]:
    """Negative log-likelihood of each sample under negative binomials, summed over genes.

    Rows are worked through in blocks, so that beside the gradients hardly any memory is used; sums are in
    float64. Float32 `mu` gives every gene's share within 2e-4 nats or 2e-6 of itself, and its gradients
    within 1e-5. Unless `compiled`, a sample's value and gradients do not depend on the other samples, to the
    last bit. Backward hands out gradients that forward has made; a second one through the same graph makes
    them again.

    Args:
        counts: Reads, whole numbers of any dtype.
        mu: Expected reads, scaled; where it is 0, the rule of `nb_log_mass` holds.
        log_r: Natural log of the inverse dispersion, gene-wise (1, G) or (N, G).
        scaling_factors: If given, expected reads are `mu` times these, block by block instead of all at once;
            they get no gradient.
        log_factorial: ``log_factorial(counts)``, or its sum over the measured genes; saves computing it.
        mask: Which genes were measured; the others add nothing, get no gradient, and may hold anything.
        constants: ``nb_constants(counts, log_r, mask=mask)``, for a `log_r` that stays as it is: what is left
            are two logs per element and no special function. Overrules `log_factorial`.
        compiled: Whether to use a kernel from ``torch.compile``, made on first use.
        block: Elements per pass; by default what suits the device.

    Returns:
        Minus the sum of ln f, in nats. Differentiable once in `mu` and `log_r`.

    Raises:
        ValueError: If `constants` come with a `log_r` that wants a gradient, or are not for this kernel; if
            `scaling_factors` want a gradient.

    Example:
        >>> counts, mu = torch.tensor([[0, 5], [2, 3]]), torch.full((2, 2), 4.0)
        >>> nb_nll(counts, mu, torch.zeros(1, 2))
        tensor([4.3346, 4.3346], dtype=torch.float64)
    """
    if constants is not None and wants_grad(log_r):
        raise ValueError(
            "constants hold for one fixed log_r; got log_r.requires_grad=True. "
            "Detach log_r, or leave constants out."
        )
    columns = _columns(mask)
    dispersion = DispersionRows(log_r, columns)
    evaluator = _nb_evaluator(
        dispersion, mu.new_empty(()), slope=wants_grad(log_r), frozen=constants is not None, compiled=compiled
    )
    sums = GeneSums(columns, evaluator, block, _fixed(scaling_factors))
    plain = mu.dtype != torch.float64 and not compiled
    if constants is not None:
        if not plain and constants.shape[1] == 1:
            raise ValueError(
                "these constants are for float32 means and no compiled kernel; make them without plain_only"
            )
        return _nll(sums, counts, mu, log_r, constants[:, 0 if plain else 1])
    return _nll(sums, counts, mu, log_r, sums.factorials(counts, log_factorial) if plain else None)


def poisson_nll(
    counts: Real[Tensor, "n genes"],
    mu: Float[Tensor, "n genes"],
    *,
    scaling_factors: Float[Tensor, " n"] | None = None,
    log_factorial: Float[Tensor, "n genes"] | Float[Tensor, " n"] | None = None,
    mask: Bool[Tensor, " genes"] | None = None,
    compiled: bool = False,
    block: int | None = None,
) -> Float[Tensor, " n"]:
    """Negative log-likelihood of each sample under Poisson distributions, summed over genes.

    Args:
        counts: Reads, whole numbers of any dtype.
        mu: Expected reads, scaled; where it is 0, the rule of `poisson_log_mass` holds.
        scaling_factors: If given, expected reads are `mu` times these; they get no gradient.
        log_factorial: ``log_factorial(counts)``, or its sum over the measured genes; saves computing it.
        mask: Which genes were measured; the others add nothing, get no gradient, and may hold anything.
        compiled: Whether to use a kernel from ``torch.compile``, made on first use.
        block: Elements per pass; by default what suits the device.

    Returns:
        Minus the sum of ln f, in nats, as exact as that of `nb_nll`. Differentiable once in `mu`.

    Raises:
        ValueError: If `scaling_factors` want a gradient.

    Example:
        >>> poisson_nll(torch.tensor([[0, 5]]), torch.full((1, 2), 4.0))
        tensor([5.8560], dtype=torch.float64)
    """
    like = mu.new_empty(())
    plain = mu.dtype != torch.float64 and not compiled
    evaluator = compiled_poisson(like) if compiled else fast_poisson() if plain else exact_poisson(like)
    sums = GeneSums(_columns(mask), evaluator, block, _fixed(scaling_factors))
    return _nll(sums, counts, mu, None, sums.factorials(counts, log_factorial) if plain else None)


def nb_constants(
    counts: Real[Tensor, "n genes"],
    log_r: Float[Tensor, "#n genes"],
    *,
    mask: Bool[Tensor, " genes"] | None = None,
    plain_only: bool = False,
) -> Float[Tensor, "n columns"]:
    """The part of `nb_nll` that counts and dispersion decide; computed once where the dispersion is frozen.

    Args:
        counts: Reads, whole numbers of any dtype.
        log_r: Natural log of the inverse dispersion, gene-wise (1, G) or (N, G).
        mask: Which genes were measured.
        plain_only: Leave out the second column, which costs more than the first.

    Returns:
        For ``nb_nll(constants=...)``, sums per sample in nats: of ln k! + ln Gamma(r) + k ln r -
        ln Gamma(k + r), which float32 means take, and of minus the log-mass of k at the mean k, which
        float64 means and compiled kernels take. With the former they would cancel by 3e-7 nats for k = 1e8.

    Example:
        >>> counts, mu, log_r = torch.tensor([[0, 5]]), torch.full((1, 2), 4.0), torch.zeros(1, 2)
        >>> nb_nll(counts, mu, log_r, constants=nb_constants(counts, log_r))
        tensor([4.3346], dtype=torch.float64)
    """
    columns = _columns(mask)
    dispersion = DispersionRows(log_r, columns)
    wanted = (nb_shape,) if plain_only else (nb_shape, nb_saddle_of)
    result = counts.new_empty((len(counts), len(wanted)), dtype=torch.float64)
    for rows in row_blocks(len(counts), counts.shape[1], BLOCK):
        block, terms = take(counts[rows], columns), dispersion.terms(rows, torch.float64)
        for column, left_out in enumerate(wanted):
            result[rows, column] = -row_sums(left_out(block, terms))
    return result


def _nb_evaluator(
    dispersion: DispersionRows, like: Tensor, *, slope: bool, frozen: bool, compiled: bool
) -> Evaluator:
    double = like.dtype == torch.float64
    if frozen and compiled:
        return compiled_frozen(dispersion, like)
    if frozen:
        return exact_frozen(dispersion, like) if double else fast_frozen(dispersion)
    if compiled:
        return compiled_nb(dispersion, like, slope=slope)
    return (exact_nb if double else fast_nb)(dispersion, like, slope=slope)


class _NegativeSum(torch.autograd.Function):
    """Gradients come with the value, because they share its logs; ``backward`` scales and hands them out.

    Scaled in place, they need no second copy of the batch; a second ``backward`` therefore makes them again,
    as does one that weighs the rows differently where a gradient is a sum over rows.
    """

    @staticmethod
    def forward(
        ctx: BackwardCFunction,
        counts: Tensor,
        mu: Tensor,
        log_r: Tensor | None,
        sums: GeneSums,
        constants: Tensor | None,
        wanted: tuple[bool, bool],
    ) -> Tensor:
        total, *gradients = sums.run(counts, mu, log_r, wanted)
        ctx.save_for_backward(counts, mu, log_r)  # type: ignore[arg-type]
        ctx.sums, ctx.wanted, ctx.gradients = sums, wanted, gradients  # type: ignore[attr-defined]
        return -total if constants is None else constants - total

    @staticmethod
    def backward(
        ctx: BackwardCFunction, grad: Tensor
    ) -> tuple[None, Tensor | None, Tensor | None, None, None, None]:
        refuse_second_order()
        counts, mu, log_r = ctx.saved_tensors  # type: ignore[misc]
        sums, wanted = ctx.sums, ctx.wanted  # type: ignore[attr-defined]
        (to_mu, to_r), ctx.gradients = ctx.gradients or (None, None), None  # type: ignore[attr-defined]
        same = grad.stride(0) == 0 or bool((grad == grad[:1]).all())
        over_rows = wanted[1] and len(log_r) == 1 and not same
        missing = wanted[0] and to_mu is None, wanted[1] and (to_r is None or over_rows)
        if any(missing):
            _, *made = sums.run(counts, mu, log_r, missing, weights=grad if over_rows else None)
            to_mu, to_r = (
                new if new is not None else old for new, old in zip(made, (to_mu, to_r), strict=True)
            )
        factor = grad[:1] if same else grad
        _scale(to_mu, factor)
        _scale(None if over_rows else to_r, factor)
        return None, to_mu, to_r, None, None, None


def _scale(gradient: Tensor | None, factor: Tensor) -> None:
    """Multiply rows by `factor`, one for each or for all."""
    if gradient is not None and len(factor) and not (len(factor) == 1 and factor.item() == 1.0):
        gradient.mul_(factor[:, None].to(gradient.dtype))


def _nll(
    sums: GeneSums, counts: Tensor, mu: Tensor, log_r: Tensor | None, constants: Tensor | None
) -> Tensor:
    wanted = (wants_grad(mu), log_r is not None and wants_grad(log_r))
    total: Tensor = _NegativeSum.apply(counts, mu, log_r, sums, constants, wanted)  # type: ignore[no-untyped-call]
    return total


def _fixed(scaling_factors: Tensor | None) -> Tensor | None:
    if scaling_factors is not None and wants_grad(scaling_factors):
        raise ValueError(
            "scaling_factors get no gradient here, but scaling_factors.requires_grad is True. "
            "Multiply mu by them beforehand, or detach them."
        )
    # A second backward reads them again, and autograd does not watch them.
    return None if scaling_factors is None else scaling_factors.detach().clone()


def _columns(mask: Tensor | None) -> Tensor | None:
    return None if mask is None or bool(mask.all()) else mask.nonzero()[:, 0]
