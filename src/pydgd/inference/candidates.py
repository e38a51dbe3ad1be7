# SPDX-License-Identifier: BSD-3-Clause
"""Positions from which every sample's search may start, decoded once for all samples."""

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.core.model import JointModel
from pydgd.inference.objective import FrozenObjective


class Candidates:
    """Positions in the latent space with what the decoder makes of them.

    Args:
        model: Decoder and prior, frozen.
        positions: (C, D), float64.
    """

    @torch.no_grad()
    def __init__(self, model: JointModel, positions: Float[Tensor, "candidates latent"]) -> None:
        self.positions, self._module = positions, model.decoder.output_module
        self._log_prior = model.prior.log_prob(positions)
        self._outputs = model.decoder(positions.to(self._module.layer_means.weight.dtype))

    @torch.no_grad()
    def scores(self, objective: FrozenObjective) -> Float[Tensor, "n candidates"]:
        """Objective of every sample at every candidate, (N, C), nats.

        Args:
            objective: Of the same model.
        """
        misfits = [
            objective.misfit_of(self._module.rows_of(self._outputs, slice(i, i + 1)))
            for i in range(len(self.positions))
        ]
        return torch.stack(misfits, dim=1) - self._log_prior

    def best(self, objective: FrozenObjective, n: int) -> list[Float[Tensor, "n latent"]]:
        """Each sample's best candidates: first everyone's best, then everyone's second, and so on.

        Args:
            objective: Of the same model.
            n: How many, at most as many as there are.
        """
        n = min(n, len(self.positions))
        chosen = self.scores(objective).topk(n, largest=False).indices
        return [self.positions[chosen[:, rank]] for rank in range(n)]


def component_means(model: JointModel) -> Candidates:
    """The means of the prior's components."""
    return Candidates(model, model.prior.means.detach().double())


def component_draws(model: JointModel, *, seed: int) -> Candidates:
    """One candidate per component, as bulkdgd has them: a draw from it, the mean where gradients trained it.

    Args:
        model: Decoder and prior, frozen.
        seed: Of the draws, which are the same for all samples.
    """
    prior = model.prior
    means = prior.means.detach().double()
    if prior.name == "gradient":
        return Candidates(model, means)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(means.shape, generator=generator, dtype=means.dtype).to(means.device)
    factors = torch.linalg.cholesky(prior.covariances().detach().double())
    return Candidates(model, means + (factors @ noise.unsqueeze(-1)).squeeze(-1))
