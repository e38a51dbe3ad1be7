# SPDX-License-Identifier: BSD-3-Clause
"""Limited-memory BFGS with a history and a line search of its own for every sample."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.inference.objective import Objective
from pydgd.inference.optimum import Optimum
from pydgd.inference.step_memory import StepMemory

# In units of the prior's spread: a longer step would leave the region the decoder was trained on.
LONGEST_STEP = 0.5
# Sufficient decrease (Nocedal & Wright, section 3.1), and how far a failed step is cut back.
ARMIJO, CUT = 1e-4, 0.3
# Shorter than this share of the proposed step, float32 means no longer change.
SHORTEST_SHARE = 1e-6


@torch.no_grad()
def lbfgs(
    objective: Objective,
    start: Float[Tensor, "n latent"],
    *,
    memory: StepMemory | None = None,
    max_iter: int = 300,
    tolerance: float = 1e-3,
) -> Optimum:
    """Minimise every sample's objective over z by its gradients; works for every decoder.

    Each evaluation serves all samples at once: those whose step was accepted propose the next one, the others
    cut theirs back. A shared line search would couple the samples and end in worse optima.

    Args:
        objective: What to minimise.
        start: First representations, (N, D), float64.
        memory: What is known of the objective's curvature, which this search adds to; nothing by default.
            A good one saves half of the evaluations or more.
        max_iter: Most evaluations of the objective per sample.
        tolerance: A sample has converged when the quadratic model promises less than this, in nats.

    Returns:
        Positions and values; the decrement is the one of the quadratic model.
    """
    z = start.clone()
    value, gradient = objective.value_and_gradient(z)
    memory = StepMemory(z, longest=LONGEST_STEP * objective.spread) if memory is None else memory
    direction = memory.direction(gradient)
    share = torch.ones_like(value)
    promise = _promise(gradient, direction)
    evaluations = torch.ones_like(value, dtype=torch.int64)
    running = promise > tolerance
    for _ in range(max_iter - 1):
        if not bool(running.any()):
            break
        trial = torch.where(running.unsqueeze(-1), z + share.unsqueeze(-1) * direction, z)
        new_value, new_gradient = objective.value_and_gradient(trial)
        evaluations += running
        accepted = running & (new_value <= value - 2 * ARMIJO * share * promise)
        memory.remember(accepted, trial - z, new_gradient - gradient)
        z, gradient = _choose(accepted, trial, z), _choose(accepted, new_gradient, gradient)
        value = torch.where(accepted, new_value, value)
        direction = _choose(accepted, memory.direction(gradient), direction)
        promise = _promise(gradient, direction)
        share = torch.where(accepted, 1.0, share * CUT)
        running = running & (promise > tolerance) & (share > SHORTEST_SHARE)
    return Optimum(z, value, promise, evaluations)


def _promise(gradient: Tensor, direction: Tensor) -> Tensor:
    return -0.5 * (gradient * direction).sum(-1)


def _choose(where: Bool[Tensor, " n"], new: Tensor, old: Tensor) -> Tensor:
    return torch.where(where.unsqueeze(-1), new, old)
