# SPDX-License-Identifier: BSD-3-Clause
"""The two searches of bulkdgd by name, for comparison and for users who come from there.

Candidates are one draw per component of an EM mixture, one mean per component of a mixture that gradients
trained. In bulkdgd each sample has draws of its own; here all samples share them, so that a sample's answer
depends on nobody else. Of the rest nothing is added: no best position is remembered, no convergence tested.

Source:
    Schuster & Krogh (2023), Bioinformatics 39:btad497, as bulkdgd 2.0.1 has it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.core.model import JointModel
from pydgd.inference.adam import adam
from pydgd.inference.candidates import component_draws
from pydgd.inference.newton import newton_decrement
from pydgd.inference.objective import FrozenObjective
from pydgd.inference.optimum import Optimum
from pydgd.inference.options import SearchOptions
from pydgd.inference.scheme import Found, Scheme, spread_of


class OneOpt(Scheme):
    """``one_opt``: the best candidate, 60 steps of Adam."""

    name, epochs = "one_opt", 60

    def __init__(self, model: JointModel, measured: Tensor, options: SearchOptions) -> None:
        super().__init__(model, measured, options)
        self._candidates = component_draws(model, seed=options.seed)

    def search(self, objective: FrozenObjective) -> Found:
        """Search every sample of a block."""
        (start,) = self._candidates.best(objective, 1)
        z = adam(objective, start, epochs=self.epochs)
        end = _certified(objective, z, evaluations=len(self._candidates.positions) + self.epochs + 1)
        return Found(end, torch.zeros_like(end.value))


class TwoOpt(Scheme):
    """``two_opt``: 10 steps of Adam on every candidate, 50 on the best of them, begun anew."""

    name, first_epochs, epochs = "two_opt", 10, 50

    def __init__(self, model: JointModel, measured: Tensor, options: SearchOptions) -> None:
        super().__init__(model, measured, options)
        self._candidates = component_draws(model, seed=options.seed).positions

    def search(self, objective: FrozenObjective) -> Found:
        """Search every sample of a block."""
        n_samples = len(objective.counts)
        starts = (candidate.expand(n_samples, -1) for candidate in self._candidates)
        ends = torch.stack([adam(objective, start, epochs=self.first_epochs) for start in starts])
        values = torch.stack([objective.value(z) for z in ends])
        best = ends[values.argmin(dim=0), torch.arange(n_samples, device=values.device)]
        z = adam(objective, best, epochs=self.epochs)
        spent = len(ends) * (self.first_epochs + 1) + self.epochs + 1
        return Found(_certified(objective, z, evaluations=spent), spread_of(values))


def _certified(objective: FrozenObjective, z: Float[Tensor, "n latent"], *, evaluations: int) -> Optimum:
    """What a position promises yet; a fixed number of steps says nothing about it."""
    value, gradient = objective.value_and_gradient(z)
    decrement = newton_decrement(gradient, objective.curvature(z))
    return Optimum(z, value, decrement, torch.full_like(value, evaluations, dtype=torch.int64))
