# SPDX-License-Identifier: BSD-3-Clause
"""Limited-memory BFGS with a history and a line search of its own for every sample."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pydgd.inference.objective import FrozenObjective
from pydgd.inference.optimum import Optimum

# Representations have about unit spread, so a longer step would leave the region the decoder was trained on.
LONGEST_STEP = 0.5
# Sufficient decrease (Nocedal & Wright, section 3.1), and how far a failed step is cut back.
ARMIJO, CUT = 1e-4, 0.3
# Shorter than this share of the proposed step, float32 means no longer change.
SHORTEST_SHARE = 1e-6


@torch.no_grad()
def lbfgs(
    objective: FrozenObjective,
    start: Float[Tensor, "n latent"],
    *,
    max_iter: int = 300,
    tolerance: float = 1e-3,
    history: int = 20,
) -> Optimum:
    """Minimise every sample's objective over z by its gradient alone; works for every decoder.

    Each evaluation serves all samples at once: those whose step was accepted propose the next one, the others
    cut theirs back. A shared line search would couple the samples and end in worse optima.

    Args:
        objective: What to minimise.
        start: First representations, (N, D), float64.
        max_iter: Most evaluations of the objective per sample.
        tolerance: A sample has converged when the quadratic model promises less than this, in nats.
        history: Remembered steps per sample.

    Returns:
        Positions and values; the decrement is the one of the quadratic model.

    Source:
        Nocedal & Wright (2006), Numerical Optimization, algorithm 7.4.
    """
    z = start.clone()
    value, gradient = objective.value_and_gradient(z)
    memory = _Memory(history, z)
    direction = memory.direction(gradient)
    share = torch.ones_like(value)
    promise = _promise(gradient, direction)
    evaluations = torch.ones(len(z), dtype=torch.int64)
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


class _Memory:
    """The last accepted steps and gradient changes of every sample; a skipped place weighs nothing."""

    def __init__(self, size: int, z: Tensor) -> None:
        self.steps, self.changes = z.new_zeros(size, *z.shape), z.new_zeros(size, *z.shape)
        self.rho = z.new_zeros(size, len(z))
        self.scale = z.new_zeros(len(z))

    def remember(self, accepted: Bool[Tensor, " n"], step: Tensor, change: Tensor) -> None:
        product, squared = (step * change).sum(-1), change.square().sum(-1)
        # Positive curvature only: else the implied inverse Hessian would not be positive definite.
        keep = accepted & (product > 1e-10 * squared)
        for stack, new in ((self.steps, step), (self.changes, change)):
            stack.copy_(torch.where(keep.reshape(1, -1, 1), torch.cat([stack[1:], new[None]]), stack))
        rho = torch.where(keep, 1 / torch.where(keep, product, 1.0), 0.0)
        self.rho = torch.where(keep, torch.cat([self.rho[1:], rho[None]]), self.rho)
        self.scale = torch.where(keep, product / torch.where(keep, squared, 1.0), self.scale)

    def direction(self, gradient: Tensor) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient, at most `LONGEST_STEP` long."""
        q = gradient.clone()
        alphas = []
        for step, change, rho in zip(self.steps.flip(0), self.changes.flip(0), self.rho.flip(0), strict=True):
            alpha = rho * (step * q).sum(-1)
            q -= alpha.unsqueeze(-1) * change
            alphas.append(alpha)
        first = 0.1 * LONGEST_STEP / gradient.norm(dim=-1).clamp_min(1e-30)
        q *= torch.where(self.scale > 0, self.scale, first).unsqueeze(-1)
        for step, change, rho, alpha in zip(
            self.steps, self.changes, self.rho, reversed(alphas), strict=True
        ):
            q += (alpha - rho * (change * q).sum(-1)).unsqueeze(-1) * step
        too_long = (q.norm(dim=-1) / LONGEST_STEP).clamp_min(1.0)
        shortened: Tensor = -q / too_long.unsqueeze(-1)
        return shortened


def _promise(gradient: Tensor, direction: Tensor) -> Tensor:
    return -0.5 * (gradient * direction).sum(-1)


def _choose(where: Bool[Tensor, " n"], new: Tensor, old: Tensor) -> Tensor:
    return torch.where(where.unsqueeze(-1), new, old)
