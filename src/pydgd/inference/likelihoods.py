# SPDX-License-Identifier: BSD-3-Clause
"""What the counts of a block of samples say of their expected reads; another class is another likelihood."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.core.outputbase import OutputModule, Outputs


class GeneTerms(NamedTuple):
    """First and second derivatives of ln p(x | mu) in ln mu, gene by gene; 0 where a gene is not measured.

    Attributes:
        score: d ln p / d ln mu, (N, G).
        weight: Minus the second derivative, or a positive stand-in for it, >= 0, (N, G).
    """

    score: Tensor
    weight: Tensor


class CountLikelihood(ABC):
    """Likelihood of counts that stay while the expected reads are searched.

    A final class gives the sum over genes, by which L-BFGS goes, and its derivatives in ln mu, by which
    Newton's method goes. Both leave out the genes that are not measured.

    Args:
        module: Output module of the decoder, frozen.
        counts: Reads, (N, G); what stands where a gene is not measured does not matter.
        mask: True where a gene is measured, (G,); None for all.
    """

    name: ClassVar[str]

    def __init__(
        self, module: OutputModule, counts: Float[Tensor, "n genes"], mask: Bool[Tensor, " genes"] | None
    ) -> None:
        self.module, self.counts, self.mask = module, counts, mask

    @abstractmethod
    def nll(self, outputs: Outputs, scaling_factors: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """-ln p(x | outputs) of each sample, nats, float64; `outputs` of one row serve all samples.

        Differentiable once in `outputs` and `scaling_factors`.
        """

    def terms(self, mu: Float[Tensor, "n genes"], log_r: Float[Tensor, "#n genes"] | None) -> GeneTerms:
        """Derivatives in ln mu.

        Args:
            mu: Expected reads, (N, G).
            log_r: Natural log of r, (1, G) or (N, G); None for Poisson.
        """
        found = self._terms(mu, log_r)
        return found if self.mask is None else GeneTerms(*(values * self.mask for values in found))

    @abstractmethod
    def _terms(self, mu: Tensor, log_r: Tensor | None) -> GeneTerms:
        """As `terms`, for every gene, measured or not; finite there too."""


class PlainLikelihood(CountLikelihood):
    r"""The output module's own distribution: negative binomial or Poisson.

    The weight is the curvature at the counts seen, :math:`(k + r)\,\mu\,r / (r + \mu)^2` (Poisson: mu), which
    is positive for all counts.
    """

    name = "plain"

    def __init__(self, module: OutputModule, counts: Tensor, mask: Tensor | None) -> None:
        super().__init__(module, counts, mask)
        self._constants = module.frozen_constants(counts, mask=mask)

    def nll(self, outputs: Outputs, scaling_factors: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """-ln p(x | outputs) of each sample, without the special functions that counts and r decide."""
        return self.module.nll(self.counts, outputs, scaling_factors, mask=self.mask, **self._constants)

    def _terms(self, mu: Tensor, log_r: Tensor | None) -> GeneTerms:
        if log_r is None:
            return GeneTerms(self.counts - mu, mu)
        # r / (r + mu) from logs, because exp(log r) over- or underflows.
        share = 1 / (1 + torch.exp(mu.log() - log_r))
        # (k + r) / (r + mu) = 1 + share (k - mu) / r, written without r.
        observed = self.counts * (1 - share) + mu * share
        return GeneTerms(share * (self.counts - mu), observed * share)


LIKELIHOODS: dict[str, type[CountLikelihood]] = {PlainLikelihood.name: PlainLikelihood}
