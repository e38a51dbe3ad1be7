# SPDX-License-Identifier: BSD-3-Clause
"""What the search minimises: -ln p(x, z) in z, for a block of samples, with decoder and prior frozen."""

import copy
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pydgd.core.activations import OUTPUT_ACTIVATIONS
from pydgd.core.latent import LatentPrior
from pydgd.core.model import JointModel
from pydgd.core.outputbase import Outputs
from pydgd.inference.jacobian import ProjectionJacobian, information
from pydgd.inference.likelihoods import LIKELIHOODS, GeneTerms


class NewtonSystem(NamedTuple):
    """Slope and curvature of the objective at one position per sample.

    Attributes:
        gradient: (N, D), float64.
        curvature: Positive definite, (N, D, D), float64.
    """

    gradient: Tensor
    curvature: Tensor


@runtime_checkable
class Objective(Protocol):
    """What a search follows down, of a block of samples each at its own position, (N, P).

    Attributes:
        spread: What counts as a long way, for the longest step.
    """

    spread: float

    def value(self, z: Tensor) -> Tensor:
        """Nats, (N,), float64."""

    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Nats, (N,), and their derivatives in the position, (N, P)."""

    def newton_system(self, z: Tensor, wanted: Tensor | None = None) -> NewtonSystem:
        """Derivatives and curvature; of decoders without hidden layers."""


class FrozenObjective:
    r"""Minus the log joint density of a block of samples, each with its own representation.

    With a temperature :math:`\tau` it is that of a generalised posterior,
    :math:`-\ln p(x \mid z) / \tau - \ln p(z)`: the higher, the more the prior says.

    Attributes:
        likelihood: Name of the counts' likelihood.
        spread: Root mean squared distance of the prior's z from its mean.

    Args:
        model: Decoder and prior; neither is changed, no gradient flows into them.
        counts: Reads, (N, G); what stands where a gene is not measured does not matter.
        scaling_factors: One per sample, (N,).
        measured: True where a gene is measured, (G,).
        temperature: What each sample's log-likelihood is divided by, > 0, (N,); 1 by default.
        likelihood: Name of the counts' likelihood, see `pydgd.inference.likelihoods.LIKELIHOODS`.
    """

    def __init__(
        self,
        model: JointModel,
        counts: Float[Tensor, "n genes"],
        scaling_factors: Float[Tensor, " n"],
        measured: Bool[Tensor, " genes"],
        *,
        temperature: Float[Tensor, " n"] | None = None,
        likelihood: str = "plain",
    ) -> None:
        self.model, self.counts, self.scaling_factors = model, counts, scaling_factors
        self.likelihood, self._measured = likelihood, measured
        mask = None if bool(measured.all()) else measured
        self._likelihood = LIKELIHOODS[likelihood](model.decoder.output_module, counts, mask)
        # Multiplied always: a factor of one changes no bit, and costs nothing on sums.
        ones = counts.new_ones(len(counts), dtype=torch.float64)
        self._evidence = ones if temperature is None else 1 / temperature.double()
        with torch.no_grad():
            self._precisions = model.prior.component_precisions()
            self.spread = _spread(model.prior)
        self._decoded: tuple[Tensor, Outputs] | None = None

    def of_genes(self, model: JointModel, genes: Int[Tensor, " some"]) -> "FrozenObjective":
        """The same samples seen through some of the genes, whose likelihood stands for that of all measured.

        Args:
            model: `pydgd.inference.thinning.of_genes` of these genes.
            genes: Positions in the model's list, all of them measured.
        """
        share = len(genes) / int(self._measured.sum())
        return FrozenObjective(
            model,
            self.counts[:, genes],
            self.scaling_factors,
            self._measured[genes],
            temperature=share / self._evidence,
            likelihood=self.likelihood,
        )

    def seen_by(self, likelihood: str) -> "FrozenObjective":
        """The same samples by another likelihood of their counts.

        Args:
            likelihood: A key of `pydgd.inference.likelihoods.LIKELIHOODS`.
        """
        if likelihood == self.likelihood:
            return self
        return FrozenObjective(
            self.model,
            self.counts,
            self.scaling_factors,
            self._measured,
            temperature=1 / self._evidence,
            likelihood=likelihood,
        )

    def scaled(self, scaling_factors: Float[Tensor, " n"]) -> "FrozenObjective":
        """The same samples with other scaling factors, (N,)."""
        other = copy.copy(self)
        other.scaling_factors = scaling_factors
        return other

    def value(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """-ln p(x, z) of each sample in nats, float64, (N,)."""
        with torch.no_grad():
            return self._value(z)

    def nll(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """-ln p(x | z) of each sample in nats, float64, (N,): without the prior, at temperature 1."""
        with torch.no_grad():
            return self._likelihood.nll(self._decode(z), self.scaling_factors)

    def misfit_of(self, outputs: Outputs) -> Float[Tensor, " n"]:
        """What the likelihood adds to the objective where the decoder gives `outputs`, (N,).

        Args:
            outputs: Of N rows, or of one row that serves all samples.
        """
        return self._likelihood.nll(outputs, self.scaling_factors) * self._evidence

    def value_and_gradient(
        self, z: Float[Tensor, "n latent"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n latent"]]:
        """Objective, (N,), and its gradient in z by automatic differentiation, (N, D), both float64."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = self._value(z)
            (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient

    @torch.no_grad()
    def newton_system(
        self, z: Float[Tensor, "n latent"], wanted: Bool[Tensor, " n"] | None = None
    ) -> NewtonSystem:
        """Gradient and curvature in z of a decoder without hidden layers, from one decoding.

        Args:
            z: Representations, (N, D), float64.
            wanted: Samples whose curvature is needed, all by default; the others get the prior's alone.

        Returns:
            The system, float64.
        """
        outputs = self._decode(z)
        score, weight = self._projection_terms(outputs)
        head = self.model.decoder.output_module.layer_means.weight
        pull = (score @ head).double() * self._evidence.unsqueeze(-1)
        curvature = self._curvature(z, weight, lambda _: head, wanted)
        return NewtonSystem(-pull - _prior_score(self.model, z), curvature)

    @torch.no_grad()
    def scaling_slope(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """Slope of the objective in the logarithm of the scaling factor, (N,), float64."""
        score, _, _ = self._gene_terms(self._decode(z))
        return -score.double().sum(dim=1) * self._evidence

    @torch.no_grad()
    def scaling_curvature(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n latent_and_one"]:
        """Curvature in ln s against z and against itself, (N, D + 1), of a decoder without hidden layers."""
        _, weight, slope = self._gene_terms(self._decode(z))
        across = (weight * slope) @ self.model.decoder.output_module.layer_means.weight
        itself = weight.double().sum(dim=1, keepdim=True)
        return torch.cat([across.double(), itself], dim=1) * self._evidence.unsqueeze(-1)

    @torch.no_grad()
    def curvature(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n latent latent"]:
        r"""Positive definite curvature of the objective in z, (N, D, D), float64.

        With the Jacobian B of the projections a, :math:`u = d\ln m/da` and the likelihood's weights v it is
        :math:`B^T \mathrm{diag}(v\,u^2) B` plus the prior's precision. Left out are the changes of u and B
        (Gauss and Newton's approximation) and those of a predicted r.
        """
        jacobian = ProjectionJacobian(self.model.decoder, z.to(self.counts.dtype))
        return self.curvature_of(z, self._decode(z), jacobian.of)

    @torch.no_grad()
    def curvature_of(
        self, z: Float[Tensor, "n latent"], outputs: Outputs, design: Callable[[int], Tensor]
    ) -> Float[Tensor, "n latent latent"]:
        """As `curvature`, where the decoder's outputs and Jacobians, (G, D), at `z` are known."""
        return self._curvature(z, self._projection_terms(outputs).weight, design)

    def _curvature(
        self, z: Tensor, weight: Tensor, design: Callable[[int], Tensor], wanted: Tensor | None = None
    ) -> Tensor:
        curvature = self.model.prior.precisions(z, component_precisions=self._precisions)
        for row in range(len(z)) if wanted is None else wanted.nonzero().squeeze(-1).tolist():
            curvature[row] += information(design(row), weight[row]) * self._evidence[row]
        return curvature

    def _projection_terms(self, outputs: Outputs) -> GeneTerms:
        """The likelihood's derivatives in the projections behind the means."""
        score, weight, slope = self._gene_terms(outputs)
        return GeneTerms(score * slope, weight * slope.square())

    def _gene_terms(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor]:
        """The likelihood's derivatives in ln mu, and the derivative of ln mu in the projection."""
        module = self.model.decoder.output_module
        means = module.means_of(outputs)
        mu = means * self.scaling_factors.to(means.dtype).unsqueeze(-1)
        score, weight = self._likelihood.terms(mu, module.log_r_of(outputs))
        return score, weight, OUTPUT_ACTIVATIONS[module.activation].log_slope(means)

    def _decode(self, z: Tensor) -> Outputs:
        """Blocks have equally many rows, and no row's place matters: so neither does a sample's company.

        A search asks for value, then slope and curvature, at one place: the last one's outputs are kept.
        """
        if z.requires_grad:
            return self.model.decoder.forward_by_row(z.to(self.counts.dtype))
        if self._decoded is None or not torch.equal(self._decoded[0], z):
            self._decoded = None  # the old ones' memory serves the new
            self._decoded = z.clone(), self.model.decoder.forward_by_row(z.to(self.counts.dtype))
        return self._decoded[1]

    def _value(self, z: Tensor) -> Tensor:
        return self.misfit_of(self._decode(z)) - self.model.prior.log_prob(z)


def _spread(prior: LatentPrior) -> float:
    weights, means = prior.weights.double(), prior.means.double()
    between = (means - weights @ means).square().sum(dim=1)
    within = torch.diagonal(prior.covariances().double(), dim1=-2, dim2=-1).sum(dim=-1)
    return float((weights @ (between + within)).sqrt())


def _prior_score(model: JointModel, z: Tensor) -> Tensor:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        (score,) = torch.autograd.grad(model.prior.log_prob(z).sum(), z)
    return score
