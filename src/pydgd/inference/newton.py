# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method with a step control of its own for every sample."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.inference.factor import lower_factors
from pydgd.inference.objective import Objective
from pydgd.inference.optimum import Optimum
from pydgd.inference.settle import settled

# A trial that lowers the objective relaxes the damping fivefold; one that does not stiffens it tenfold
# (Marquardt 1963). Above 1e8 a step is too short to change float32 means.
RELAX, STIFFEN, LEAST, MOST = 0.2, 10.0, 1e-8, 1e8


@torch.no_grad()
def newton(
    objective: Objective,
    start: Float[Tensor, "n latent"],
    *,
    max_iter: int = 60,
    tolerance: float = 1e-3,
) -> Optimum:
    """Minimise every sample's objective over z, each with its own damping, so that none heeds its neighbours.

    On a linear decoder of small means (a logarithmic link) the likelihood is convex in z, so that steps soon
    double the number of right digits.

    Args:
        objective: Of a decoder without hidden layers.
        start: First representations, (N, D), float64.
        max_iter: Most evaluations of the objective per sample.
        tolerance: A sample has converged when its Newton decrement promises less than this, in nats; a few
            cheap steps then settle it, so that rounding does not decide where it ends.

    Returns:
        Positions, values and certificates.

    Source:
        Levenberg (1944), Quarterly of Applied Mathematics 2:164; Marquardt (1963), SIAM Journal 11:431.
    """
    z, value = start.clone(), objective.value(start)
    running = torch.ones_like(value, dtype=torch.bool)
    gradient, curvature = torch.zeros_like(z), z.new_zeros(*z.shape, z.shape[1])
    decrement, damping = torch.full_like(value, torch.inf), torch.zeros_like(value)
    evaluations = torch.ones_like(value, dtype=torch.int64)
    moved = running
    for left in reversed(range(max_iter)):
        gradient, curvature = _renew(objective, z, moved, gradient, curvature)
        decrement = torch.where(moved, newton_decrement(gradient, curvature), decrement)
        # Where even the shortest step does not help, float32 has no better position.
        running = running & (decrement > tolerance) & (damping < MOST)
        if left == 0 or not bool(running.any()):
            break
        trial = torch.where(running.unsqueeze(-1), z + _step(gradient, curvature, damping), z)
        trial_value = objective.value(trial)
        moved = running & (trial_value < value)
        evaluations += running
        z = torch.where(moved.unsqueeze(-1), trial, z)
        value = torch.where(moved, trial_value, value)
        # Undamped until a step fails.
        damping = torch.where(moved, damping * RELAX, (damping * STIFFEN).clamp(1e-3, MOST))
        damping = torch.where(damping < LEAST, 0.0, damping)
    end = Optimum(z, value, decrement, evaluations)
    return _settled(objective, end, gradient, curvature, max_iter=max_iter, tolerance=tolerance)


def _settled(
    objective: Objective,
    end: Optimum,
    gradient: Tensor,
    curvature: Tensor,
    *,
    max_iter: int,
    tolerance: float,
) -> Optimum:
    nobody = torch.zeros_like(end.value, dtype=torch.bool)
    settled_end = settled(
        lambda z: objective.newton_system(z, nobody).gradient,
        end,
        gradient,
        lower_factors(curvature)[0],
        max_iter=max_iter,
        tolerance=tolerance,
    )
    moved = settled_end.evaluations > end.evaluations
    value = torch.where(moved, objective.value(settled_end.z), end.value)
    return settled_end._replace(value=value, evaluations=settled_end.evaluations + moved)


def _renew(
    objective: Objective, z: Tensor, moved: Bool[Tensor, " n"], gradient: Tensor, curvature: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradient and curvature anew for the samples that moved."""
    found = objective.newton_system(z, moved)
    return (
        torch.where(moved.unsqueeze(-1), found.gradient, gradient),
        torch.where(moved[:, None, None], found.curvature, curvature),
    )


def _step(gradient: Tensor, curvature: Tensor, damping: Tensor) -> Tensor:
    diagonal = torch.diag_embed(torch.diagonal(curvature, dim1=-2, dim2=-1))
    factor, _ = lower_factors(curvature + damping[:, None, None] * diagonal)
    return -torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)


def newton_decrement(
    gradient: Float[Tensor, "n latent"], curvature: Float[Tensor, "n latent latent"]
) -> Float[Tensor, " n"]:
    """What the undamped step promises: half of gᵀH⁻¹g, nats; infinite where H is not positive definite."""
    factor, failed = lower_factors(curvature)
    solved = torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
    return torch.where(failed, torch.inf, 0.5 * (gradient * solved).sum(-1))
