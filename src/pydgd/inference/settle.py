# SPDX-License-Identifier: BSD-3-Clause
"""The last steps of a search, below what sums of float32 terms can tell of the objective."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.inference.optimum import Optimum

# Share of the tolerance at which a sample is settled. A promise of d nats leaves ln mu open by sqrt(2 d v), v
# its variance given the counts: at 1e-3 nats log2 means still move by 1e-4, at 1e-12 by 2e-6 even at v = 1.
SETTLED = 1e-9


@torch.no_grad()
def settled(
    gradient_of: Callable[[Tensor], Tensor],
    end: Optimum,
    gradient: Float[Tensor, "n latent"],
    factor: Float[Tensor, "n latent latent"],
    *,
    max_iter: int,
    tolerance: float,
) -> Optimum:
    """Follow samples that have converged to where their gradients vanish, as far as float32 tells.

    The objective rounds by more than these steps gain, so a step is judged by what the next one promises: it
    is kept if that is less than half. The curvature, which hardly changes, stays as it is (chord method).

    Args:
        gradient_of: Gradient of the objective at representations of all samples, float64.
        end: Where the search ended; its values are not looked at.
        gradient: There.
        factor: Lower Cholesky factor of the curvature there.
        max_iter: Most evaluations per sample, those of `end` and one of its new value among them.
        tolerance: Samples whose decrement is above it have not converged and stay where they are.

    Returns:
        The optimum with the old values.

    Source:
        Ortega & Rheinboldt (1970), Iterative Solution of Nonlinear Equations in Several Variables, 7.1.
    """
    z, value, decrement, evaluations = end
    running = decrement <= tolerance
    while True:
        running = running & (decrement > SETTLED * tolerance) & (evaluations < max_iter - 1)
        if not bool(running.any()):
            return Optimum(z, value, decrement, evaluations)
        trial = torch.where(running.unsqueeze(-1), z - _solved(factor, gradient), z)
        trial_gradient = gradient_of(trial)
        promise = 0.5 * (trial_gradient * _solved(factor, trial_gradient)).sum(-1)
        evaluations = evaluations + running
        running = running & (promise < 0.5 * decrement)
        z = torch.where(running.unsqueeze(-1), trial, z)
        gradient = torch.where(running.unsqueeze(-1), trial_gradient, gradient)
        decrement = torch.where(running, promise, decrement)


def _solved(factor: Tensor, gradient: Tensor) -> Tensor:
    return torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
