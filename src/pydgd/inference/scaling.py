# SPDX-License-Identifier: BSD-3-Clause
"""Scaling factors that are fitted together with the representation, from the rule's factor on."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.inference.lbfgs import lbfgs
from pydgd.inference.newton import newton
from pydgd.inference.objective import FrozenObjective, NewtonSystem
from pydgd.inference.optimum import Optimum


class JointObjective:
    """The objective of z and of one number more: u, by which ln s departs from the rule's.

    u has no prior: s is what the reads say.

    Attributes:
        spread: As of the objective of z.

    Args:
        objective: With the rule's scaling factors.
    """

    def __init__(self, objective: FrozenObjective) -> None:
        self._objective, self.spread = objective, objective.spread

    def value(self, position: Float[Tensor, "n latent_and_one"]) -> Float[Tensor, " n"]:
        """-ln p(x, z) of each sample in nats, float64, (N,)."""
        return self._at(position).value(position[:, :-1])

    def value_and_gradient(
        self, position: Float[Tensor, "n latent_and_one"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n latent_and_one"]]:
        """Objective and its gradient in z and u."""
        at = self._at(position)
        value, gradient = at.value_and_gradient(position[:, :-1])
        slope = at.scaling_slope(position[:, :-1])
        return value, torch.cat([gradient, slope.unsqueeze(-1)], dim=1)

    def newton_system(
        self, position: Float[Tensor, "n latent_and_one"], wanted: Bool[Tensor, " n"] | None = None
    ) -> NewtonSystem:
        """Gradient and curvature in z and u of a decoder without hidden layers."""
        at, z = self._at(position), position[:, :-1]
        system = at.newton_system(z, wanted)
        slope, bend = at.scaling_slope(z), at.scaling_curvature(z)
        gradient = torch.cat([system.gradient, slope.unsqueeze(-1)], dim=1)
        rows = torch.cat([system.curvature, bend[:, None, :-1]], dim=1)
        return NewtonSystem(gradient, torch.cat([rows, bend.unsqueeze(-1)], dim=2))

    def _at(self, position: Tensor) -> FrozenObjective:
        factors = self._objective.scaling_factors
        return self._objective.scaled(factors * position[:, -1].exp().to(factors.dtype))


@torch.no_grad()
def with_fitted_scaling(
    objective: FrozenObjective, end: Optimum, *, by_newton: bool, max_iter: int, tolerance: float
) -> tuple[Optimum, Float[Tensor, " n"]]:
    """Go on from an optimum with the rule's scaling factors until these fit too.

    Args:
        objective: With the rule's factors.
        end: Its optimum.
        by_newton: Whether the decoder has a Newton system; otherwise L-BFGS goes on.
        max_iter: Most further evaluations per sample.
        tolerance: As of the search.

    Returns:
        The optimum, and by how much ln s departs from the rule's, (N,), float64.
    """
    joint = JointObjective(objective)
    start = torch.cat([end.z, torch.zeros_like(end.z[:, :1])], dim=1)
    minimise = newton if by_newton else lbfgs
    found = minimise(joint, start, max_iter=max_iter, tolerance=tolerance)
    spent = end.evaluations + found.evaluations
    return found._replace(z=found.z[:, :-1], evaluations=spent), found.z[:, -1]
