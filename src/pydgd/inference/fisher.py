# SPDX-License-Identifier: BSD-3-Clause
"""Fisher scoring with a step control of its own for every sample."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.inference.objective import FrozenObjective
from pydgd.inference.optimum import Optimum

# A trial that lowers the objective relaxes the damping fivefold; one that does not stiffens it tenfold
# (Marquardt 1963). Below 1e-8 the step is Newton's; above 1e8 it is too short to change float32 means.
RELAX, STIFFEN, LEAST, MOST = 0.2, 10.0, 1e-8, 1e8


@torch.no_grad()
def fisher_scoring(
    objective: FrozenObjective,
    start: Float[Tensor, "n latent"],
    *,
    max_iter: int = 60,
    tolerance: float = 1e-3,
) -> Optimum:
    """Minimise every sample's objective over z, each with its own damping, so that none heeds its neighbours.

    Args:
        objective: Of a decoder without hidden layers.
        start: First representations, (N, D), float64.
        max_iter: Most evaluations of the objective per sample.
        tolerance: A sample has converged when its Newton decrement promises less than this, in nats.

    Returns:
        Positions, values and certificates.

    Source:
        Levenberg (1944), Quarterly of Applied Mathematics 2:164; Marquardt (1963), SIAM Journal 11:431.
    """
    z = start.clone()
    system = objective.newton_system(z)
    damping = z.new_full((len(z),), 1e-3)
    evaluations = torch.ones(len(z), dtype=torch.int64)
    step, decrement = _step(system.gradient, system.fisher, damping)
    running = decrement > tolerance
    for _ in range(max_iter - 1):
        if not bool(running.any()):
            break
        trial = torch.where(running.unsqueeze(-1), z + step, z)
        found = objective.newton_system(trial)
        better = running & (found.value < system.value)
        evaluations += running
        z = torch.where(better.unsqueeze(-1), trial, z)
        system = type(system)(*(_choose(better, new, old) for new, old in zip(found, system, strict=True)))
        damping = torch.where(better, damping * RELAX, damping * STIFFEN).clamp(LEAST, MOST)
        step, decrement = _step(system.gradient, system.fisher, damping)
        # Where even a damped step of the promised size does not help, float32 has no better position.
        running = running & (decrement > tolerance) & (damping < MOST)
    return Optimum(z, system.value, _newton_decrement(system.gradient, system.fisher), evaluations)


def _step(gradient: Tensor, fisher: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped step and what the undamped one promises, half of gᵀH⁻¹g in nats."""
    diagonal = torch.diag_embed(torch.diagonal(fisher, dim1=-2, dim2=-1))
    factor = torch.linalg.cholesky(fisher + damping[:, None, None] * diagonal)
    step = -torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
    return step, _newton_decrement(gradient, fisher)


def _newton_decrement(gradient: Tensor, fisher: Tensor) -> Tensor:
    solved = torch.cholesky_solve(gradient.unsqueeze(-1), torch.linalg.cholesky(fisher)).squeeze(-1)
    return 0.5 * (gradient * solved).sum(-1)


def _choose(where: Bool[Tensor, " n"], new: Tensor, old: Tensor) -> Tensor:
    return torch.where(where.reshape(-1, *[1] * (new.dim() - 1)), new, old)
