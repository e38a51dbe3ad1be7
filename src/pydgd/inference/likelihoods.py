# SPDX-License-Identifier: BSD-3-Clause
"""What the counts of a block of samples say of their expected reads; another class is another likelihood."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.core.distributions import nb_log_mass, poisson_log_mass
from pydgd.core.outputbase import OutputModule, Outputs

# One gene in a hundred is taken to be aberrant. A gene with a spread of 30 % is then left out beyond 4 of its
# standard deviations; with one in a thousand, beyond 4.5.
ABERRANT = 0.01
# Aberrant reads may be anything from 0 to a billion, on a logarithmic scale.
MOST_READS = 1e9


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


class ContaminatedLikelihood(CountLikelihood):
    r"""The plain distribution for most genes, anything at all for a few: their influence is bounded.

    A gene's mass is :math:`(1 - \epsilon)\,p(k \mid \mu) + \epsilon\,b(k)` with b log-uniform,
    :math:`b(k) \propto \ln\frac{k + 2}{k + 1}`, which does not heed mu. With w the probability that a gene is
    not aberrant, score and weight are w times the plain ones (those of the EM algorithm), so the weight stays
    positive and a gene far off its mean pulls no more. There are several optima; the search starts from the
    plain one.

    Source:
        Tukey's contaminated distributions (1960); EM for them: Aitkin & Wilson (1980), Technometrics 22:325.
    """

    name = "contaminated"

    def __init__(self, module: OutputModule, counts: Tensor, mask: Tensor | None) -> None:
        super().__init__(module, counts, mask)
        self._plain = PlainLikelihood(module, counts, mask)
        self._log_aberrant = (torch.log1p(1 / (counts + 1)) * (ABERRANT / math.log(MOST_READS + 2))).log()

    def nll(self, outputs: Outputs, scaling_factors: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """-ln p(x | outputs) of each sample."""
        means = self.module.means_of(outputs)
        mu = means * scaling_factors.to(means.dtype).unsqueeze(-1)
        mass = torch.logaddexp(self._log_usual(mu, self.module.log_r_of(outputs)), self._log_aberrant)
        if self.mask is not None:
            mass = torch.where(self.mask, mass, 0.0)
        return -mass.double().sum(dim=-1)

    def _terms(self, mu: Tensor, log_r: Tensor | None) -> GeneTerms:
        score, weight = self._plain._terms(mu, log_r)
        usual = torch.sigmoid(self._log_usual(mu, log_r) - self._log_aberrant)
        return GeneTerms(usual * score, usual * weight)

    def _log_usual(self, mu: Tensor, log_r: Tensor | None) -> Tensor:
        mass = poisson_log_mass(self.counts, mu) if log_r is None else nb_log_mass(self.counts, mu, log_r)
        return mass + math.log1p(-ABERRANT)


LIKELIHOODS: dict[str, type[CountLikelihood]] = {
    kind.name: kind for kind in (PlainLikelihood, ContaminatedLikelihood)
}
