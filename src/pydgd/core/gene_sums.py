# SPDX-License-Identifier: BSD-3-Clause
"""Sums of log-masses over genes and their gradients, block by block."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pydgd.core.dispersion import take
from pydgd.core.evaluation import Evaluator
from pydgd.core.kernels import Scratch, Terms, log_factorial_sums, row_sums
from pydgd.core.stirling import tables

Sums = tuple[Tensor, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class GeneSums:
    """How sums over genes are made.

    Attributes:
        columns: Positions of the genes that count; None for all.
        evaluator: What evaluates a block.
        block: Elements per block; what suits the evaluator if None.
        scaling_factors: What the means of each row are multiplied by; None for nothing.
    """

    columns: Tensor | None
    evaluator: Evaluator
    block: int | None
    scaling_factors: Tensor | None

    def run(
        self,
        counts: Tensor,
        mu: Tensor,
        log_r: Tensor | None,
        wanted: tuple[bool, bool],
        weights: Tensor | None = None,
    ) -> Sums:
        """Log-mass of each row, and the negatives of its gradients in `mu` and `log_r` if they are `wanted`.

        The gradient in a gene-wise `log_r` is summed over rows right away, with `weights` (by default 1).
        """
        total = mu.new_zeros(len(mu), dtype=torch.float64)
        to_mu = self._blank(mu) if wanted[0] else None
        to_r = self._blank(log_r) if wanted[1] and log_r is not None else None
        over_rows = take(mu.new_zeros(1, mu.shape[1], dtype=torch.float64), self.columns)[0]
        weights = torch.ones_like(total) if weights is None else weights
        for rows in self.evaluator.rows(mu, self.block) if len(over_rows) else ():
            found = self._evaluate(counts, mu, rows, to_mu)
            total[rows] = found.value if found.value.ndim == 1 else row_sums(found.value)
            if to_r is None or found.slope is None:
                continue
            if len(to_r) == 1:
                over_rows -= found.slope.T @ weights[rows].to(found.slope.dtype)
            else:
                self._put(to_r[rows], found.slope.neg_())
        if to_r is not None and len(to_r) == 1:
            self._put(to_r, over_rows[None])
        return total, to_mu, to_r

    def _evaluate(self, counts: Tensor, mu: Tensor, rows: slice, to_mu: Tensor | None) -> Terms:
        """Terms of some rows; minus the gradient in `mu` goes into its place in `to_mu`."""
        means, factors = take(mu[rows], self.columns), None
        if self.scaling_factors is not None:
            factors = self.scaling_factors[rows, None].to(mu.dtype)
            means = means * factors
        target = None if to_mu is None else to_mu[rows]
        out = target if target is None or self.columns is None else torch.empty_like(means)
        found = self.evaluator.evaluate(take(counts[rows], self.columns), means, rows, out)
        if out is not None and factors is not None:
            limit = torch.finfo(out.dtype).max
            out.mul_(factors).clamp_(-limit, limit)
        if target is not None and out is not None and self.columns is not None:
            self._put(target, out)
        return found

    def _blank(self, like: Tensor) -> Tensor:
        """What gradients of all genes are written to; zero for those that do not count."""
        blank = torch.empty_like if self.columns is None else torch.zeros_like
        return blank(like, memory_format=torch.contiguous_format)

    def factorials(self, counts: Tensor, log_factorial: Tensor | None) -> Tensor:
        """Sum of ln k! over the genes, per row."""
        if log_factorial is not None and log_factorial.ndim == 1:
            return log_factorial
        result = counts.new_empty(len(counts), dtype=torch.float64)
        chosen, scratch = tables(result.new_empty((), dtype=torch.float32), short=True), Scratch()
        for rows in self.evaluator.rows(counts, self.block):
            if log_factorial is None:
                result[rows] = log_factorial_sums(take(counts[rows], self.columns), chosen, scratch)
            else:
                result[rows] = row_sums(take(log_factorial[rows], self.columns))
        return result

    def _put(self, target: Tensor, values: Tensor) -> None:
        if self.columns is None:
            target.copy_(values)
        else:
            target.index_copy_(1, self.columns, values.to(target.dtype))
