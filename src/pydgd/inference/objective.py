# SPDX-License-Identifier: BSD-3-Clause
"""What the search minimises: -ln p(x, z) in z, for a block of samples, with decoder and prior frozen."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.core.activations import OUTPUT_ACTIVATIONS
from pydgd.core.distributions import log_factorial
from pydgd.core.model import JointModel
from pydgd.core.outputbase import Outputs

# Genes whose outer products of head weights are held at once: 2048 x D(D+1)/2 stays below 20 MB at D = 64.
GENE_CHUNK = 2048


class NewtonSystem(NamedTuple):
    """Value, slope and curvature of the objective at one position per sample.

    Attributes:
        value: Nats, (N,), float64.
        gradient: (N, D), float64.
        fisher: Expected curvature of the likelihood plus the prior's, positive definite, (N, D, D), float64.
    """

    value: Tensor
    gradient: Tensor
    fisher: Tensor


class FrozenObjective:
    """Minus the log joint density of a block of samples, each with its own representation.

    Args:
        model: Decoder and prior; neither is changed, no gradient flows into them.
        counts: Reads, (N, G); zero where a gene is not measured.
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
        self._log_factorial = log_factorial(counts)

    def value(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """-ln p(x, z) of each sample in nats, float64, (N,)."""
        with torch.no_grad():
            return -self._log_joint(z)

    def nll(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """-ln p(x | z) of each sample in nats, float64, (N,): the objective without the prior."""
        with torch.no_grad():
            return self.value(z) + self.model.prior.log_prob(z)

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
    def newton_system(self, z: Float[Tensor, "n latent"]) -> NewtonSystem:
        r"""Value, gradient and Fisher information in z of a decoder without hidden layers.

        With :math:`a = W z + b` and the information of :math:`\ln\mu`, :math:`I = \mu r / (r + \mu)`, the
        curvature is :math:`W^T \mathrm{diag}(I\,(d\ln m/da)^2)\,W` plus the prior's precision.

        Args:
            z: Representations, (N, D), float64.

        Returns:
            The system, float64.
        """
        module, prior = self.model.decoder.output_module, self.model.prior
        outputs = self.model.decoder(z.to(self.counts.dtype))
        means, log_r = module.means_of(outputs), module.log_r_of(outputs)
        mu = means * self.scaling_factors.to(means.dtype).unsqueeze(-1)
        share = torch.ones_like(mu) if log_r is None else torch.sigmoid(log_r - mu.log())  # r / (r + mu)
        slope = OUTPUT_ACTIVATIONS[module.activation].log_slope(means)
        if self._mask is not None:
            slope = slope * self._mask
        score = share * (self.counts - mu) * slope
        weight = module.layer_means.weight
        gradient = -(score @ weight).double() - _prior_score(self.model, z)
        fisher = weighted_gram(weight, mu * share * slope.square()).double() + prior.precisions(z)
        return NewtonSystem(self.value(z), gradient, fisher)

    def nll_of(self, outputs: Outputs) -> Float[Tensor, " n"]:
        """-ln p(x | outputs) of each sample in nats, float64; `outputs` of one row serve all samples."""
        return self.model.decoder.output_module.nll(
            self.counts,
            outputs,
            self.scaling_factors,
            log_factorial=self._log_factorial,
            mask=self._mask,
        )

    def _log_joint(self, z: Tensor) -> Tensor:
        outputs = self.model.decoder(z.to(self.counts.dtype))
        return self.model.prior.log_prob(z) - self.nll_of(outputs)


def weighted_gram(
    weight: Float[Tensor, "genes latent"], scale: Float[Tensor, "n genes"]
) -> Float[Tensor, "n latent latent"]:
    """Wᵀ diag(scale) W for each row of `scale`, as one matrix product over the outer products of W's rows.

    Args:
        weight: W, (G, D).
        scale: One diagonal per sample, (N, G).

    Returns:
        Symmetric matrices, (N, D, D).

    Example:
        >>> weighted_gram(torch.eye(2), torch.tensor([[3.0, 5.0]]))
        tensor([[[3., 0.],
                 [0., 5.]]])
    """
    n, d = len(scale), weight.shape[1]
    row, column = torch.triu_indices(d, d, device=weight.device)
    packed = scale.new_zeros(n, len(row))
    for genes in torch.arange(len(weight), device=weight.device).split(GENE_CHUNK):
        block = weight[genes]
        packed.addmm_(scale[:, genes], block[:, row] * block[:, column])
    gram = scale.new_zeros(n, d, d)
    gram[:, row, column] = packed
    gram[:, column, row] = packed
    return gram


def _prior_score(model: JointModel, z: Tensor) -> Tensor:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        (score,) = torch.autograd.grad(model.prior.log_prob(z).sum(), z)
    return score
