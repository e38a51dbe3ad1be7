# SPDX-License-Identifier: BSD-3-Clause
"""What L-BFGS remembers of the steps it took, for every sample by itself."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pydgd.inference.factor import lower_factors

# The very first step without a curvature, in units of the longest.
FIRST_STEP = 0.1


class StepMemory:
    """The last steps and gradient changes of every sample, and the inverse Hessian that they imply.

    Args:
        z: First representations, (N, D), float64.
        longest: Length to which steps are cut.
        curvature: Positive definite estimate of the Hessian on the way, (N, D, D), which the steps improve;
            without it, a multiple of the identity.
        size: Steps that are remembered.

    Source:
        Nocedal & Wright (2006), Numerical Optimization, algorithm 7.4.
    """

    def __init__(
        self,
        z: Float[Tensor, "n latent"],
        *,
        longest: float,
        curvature: Float[Tensor, "n latent latent"] | None = None,
        size: int = 20,
    ) -> None:
        self.longest = longest
        self._factor = None if curvature is None else lower_factors(curvature)[0]
        # A place that is not taken weighs nothing, for its rho is 0.
        self._steps, self._changes = z.new_zeros(size, *z.shape), z.new_zeros(size, *z.shape)
        self._rho, self._scale = z.new_zeros(size, len(z)), z.new_zeros(len(z))

    @classmethod
    def picked(cls, memories: Sequence["StepMemory"], which: Int[Tensor, " n"]) -> "StepMemory":
        """Sample i's part of memory ``which[i]``, for all samples.

        Args:
            memories: Of the same samples and size.
            which: Positions in `memories`, (N,).
        """
        first, samples = memories[0], torch.arange(len(which), device=which.device)
        found = cls(first._steps[0], longest=first.longest, size=len(first._steps))
        for name in ("_steps", "_changes", "_rho"):
            stacked = torch.stack([getattr(memory, name) for memory in memories], dim=1)
            setattr(found, name, stacked[:, which, samples])
        found._scale = torch.stack([memory._scale for memory in memories])[which, samples]
        factors = [memory._factor for memory in memories if memory._factor is not None]
        found._factor = torch.stack(factors)[which, samples] if factors else None
        return found

    def remember(
        self,
        accepted: Bool[Tensor, " n"],
        step: Float[Tensor, "n latent"],
        change: Float[Tensor, "n latent"],
    ) -> None:
        """Take note of steps and of the gradient's change over them, where they were accepted."""
        product, squared = (step * change).sum(-1), change.square().sum(-1)
        # Positive curvature only: else the implied inverse Hessian would not be positive definite.
        keep = accepted & (product > 1e-10 * squared)
        for stack, new in ((self._steps, step), (self._changes, change)):
            stack.copy_(torch.where(keep.reshape(1, -1, 1), torch.cat([stack[1:], new[None]]), stack))
        rho = torch.where(keep, 1 / torch.where(keep, product, 1.0), 0.0)
        self._rho = torch.where(keep, torch.cat([self._rho[1:], rho[None]]), self._rho)
        self._scale = torch.where(keep, product / torch.where(keep, squared, 1.0), self._scale)

    def direction(self, gradient: Float[Tensor, "n latent"]) -> Float[Tensor, "n latent"]:
        """Minus the inverse Hessian's estimate times the gradient, at most `longest` long."""
        q = gradient.clone()
        alphas = []
        latest_first = (self._steps.flip(0), self._changes.flip(0), self._rho.flip(0))
        for step, change, rho in zip(*latest_first, strict=True):
            alpha = rho * (step * q).sum(-1)
            q -= alpha.unsqueeze(-1) * change
            alphas.append(alpha)
        q = self._without_steps(q, gradient)
        in_order = (self._steps, self._changes, self._rho, reversed(alphas))
        for step, change, rho, alpha in zip(*in_order, strict=True):
            q += (alpha - rho * (change * q).sum(-1)).unsqueeze(-1) * step
        too_long = (q.norm(dim=-1) / self.longest).clamp_min(1.0)
        shortened: Tensor = -q / too_long.unsqueeze(-1)
        return shortened

    def _without_steps(self, q: Tensor, gradient: Tensor) -> Tensor:
        if self._factor is not None:
            return torch.cholesky_solve(q.unsqueeze(-1), self._factor).squeeze(-1)
        first = FIRST_STEP * self.longest / gradient.norm(dim=-1).clamp_min(1e-30)
        return q * torch.where(self._scale > 0, self._scale, first).unsqueeze(-1)
