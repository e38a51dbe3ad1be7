# SPDX-License-Identifier: BSD-3-Clause
"""What the search minimises: -ln p(x, z) in z, for a block of samples, with decoder and prior frozen."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.core.activations import OUTPUT_ACTIVATIONS
from pydgd.core.model import JointModel
from pydgd.core.outputbase import Outputs


class NewtonSystem(NamedTuple):
    """Slope and curvature of the objective at one position per sample.

    Attributes:
        gradient: (N, D), float64.
        curvature: Positive definite, (N, D, D), float64.
    """

    gradient: Tensor
    curvature: Tensor


class FrozenObjective:
    """Minus the log joint density of a block of samples, each with its own representation.

    Args:
        model: Decoder and prior; neither is changed, no gradient flows into them.
        counts: Reads, (N, G); what stands where a gene is not measured does not matter.
        scaling_factors: One per sample, (N,).
        measured: True where a gene is measured, (G,).
    """

    def __init__(
        self,
        model: JointModel,
        counts: Float[Tensor, "n genes"],
        scaling_factors: Float[Tensor, " n"],
        measured: Bool[Tensor, " genes"],
    ) -> None:
        self.model, self.counts, self.scaling_factors = model, counts, scaling_factors
        self._mask = None if bool(measured.all()) else measured
        self._constants = model.decoder.output_module.frozen_constants(counts, mask=self._mask)
        with torch.no_grad():
            self._precisions = model.prior.component_precisions()

    def value(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """-ln p(x, z) of each sample in nats, float64, (N,)."""
        with torch.no_grad():
            return -self._log_joint(z)

    def nll(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """-ln p(x | z) of each sample in nats, float64, (N,): the objective without the prior."""
        with torch.no_grad():
            return self.nll_of(self._decode(z))

    def nll_of(self, outputs: Outputs) -> Float[Tensor, " n"]:
        """-ln p(x | outputs) of each sample in nats, float64; `outputs` of one row serve all samples."""
        module = self.model.decoder.output_module
        return module.nll(self.counts, outputs, self.scaling_factors, mask=self._mask, **self._constants)

    def value_and_gradient(
        self, z: Float[Tensor, "n latent"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n latent"]]:
        """Objective, (N,), and its gradient in z by automatic differentiation, (N, D), both float64."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = -self._log_joint(z)
            (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient

    @torch.no_grad()
    def newton_system(
        self, z: Float[Tensor, "n latent"], wanted: Bool[Tensor, " n"] | None = None
    ) -> NewtonSystem:
        r"""Gradient and curvature in z of a decoder without hidden layers.

        With :math:`a = W z + b` and :math:`u = d\ln m/da`, the curvature of the negative binomial is
        :math:`W^T \mathrm{diag}\left(\frac{(k+r)\,\mu\,r}{(r+\mu)^2}\,u^2\right) W`, that of the counts seen
        rather than of those expected; it is positive all the same (Poisson: mu in place of the fraction). The
        change of u itself is left out, being 0 for small means. The prior adds its precision.

        Args:
            z: Representations, (N, D), float64.
            wanted: Samples whose curvature is needed, all by default; the others get the prior's alone.

        Returns:
            The system, float64.
        """
        module, prior = self.model.decoder.output_module, self.model.prior
        outputs = self._decode(z)
        means, log_r = module.means_of(outputs), module.log_r_of(outputs)
        mu = means * self.scaling_factors.to(means.dtype).unsqueeze(-1)
        # r / (r + mu), which is 1 for Poisson, from logs because exp(log r) over- or underflows.
        share = torch.ones_like(mu) if log_r is None else 1 / (1 + torch.exp(mu.log() - log_r))
        slope = OUTPUT_ACTIVATIONS[module.activation].log_slope(means)
        if self._mask is not None:
            slope = slope * self._mask
        weight = module.layer_means.weight
        score = share * (self.counts - mu) * slope
        gradient = -(score @ weight).double() - _prior_score(self.model, z)
        # (k + r) / (r + mu) = 1 + share (k - mu) / r, written without r: k (1 - share) / mu + share.
        observed = self.counts * (1 - share) + mu * share if log_r is not None else mu
        scale = observed * share * slope.square()
        curvature = prior.precisions(z, component_precisions=self._precisions)
        for row in range(len(z)) if wanted is None else wanted.nonzero().squeeze(-1).tolist():
            curvature[row] += ((weight * scale[row].unsqueeze(-1)).T @ weight).double()
        return NewtonSystem(gradient, curvature)

    def _decode(self, z: Tensor) -> Outputs:
        """Every sample by itself, so that its place in the block does not matter.

        Torch computes the last elements of an array by another routine than the rest (elu, sigmoid,
        softplus); they differ by 1e-7. Matrix products, logarithms and sums do not depend on the place.
        """
        rows = [self.model.decoder(row) for row in torch.split(z.to(self.counts.dtype), 1)]
        if isinstance(rows[0], tuple):
            return torch.cat([means for means, _ in rows]), torch.cat([log_r for _, log_r in rows])
        return torch.cat(rows)

    def _log_joint(self, z: Tensor) -> Tensor:
        return self.model.prior.log_prob(z) - self.nll_of(self._decode(z))


def _prior_score(model: JointModel, z: Tensor) -> Tensor:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        (score,) = torch.autograd.grad(model.prior.log_prob(z).sum(), z)
    return score
