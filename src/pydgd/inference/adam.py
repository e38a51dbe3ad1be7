# SPDX-License-Identifier: BSD-3-Clause
"""Steps of Adam with a constant learning rate, as bulkdgd takes them in its search."""

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.inference.objective import FrozenObjective

# As written in bulkdgd's files one_opt.yaml and two_opt.yaml. (Its release 2.0.1 does not read that section
# and runs AdamW at 0.001 with betas 0.9 and 0.999 instead.)
LEARNING_RATE, BETAS, EPSILON = 0.01, (0.5, 0.9), 1e-8


@torch.no_grad()
def adam(
    objective: FrozenObjective, start: Float[Tensor, "n latent"], *, epochs: int
) -> Float[Tensor, "n latent"]:
    """Move every sample by a fixed number of steps; neither the best position nor convergence is looked at.

    Plain operations in place of `torch.optim.Adam`: fused ones round the last elements of an array
    differently, and a sample's bits would depend on its place in the block.

    Args:
        objective: What to minimise.
        start: First representations, (N, D), float64.
        epochs: Steps.

    Returns:
        Last representations, (N, D).

    Source:
        Kingma & Ba (2015), ICLR, algorithm 1.
    """
    z, mean, square = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for step in range(1, epochs + 1):
        _, gradient = objective.value_and_gradient(z)
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
        size = (square / (1 - BETAS[1] ** step)).sqrt() + EPSILON
        z = z - LEARNING_RATE * (mean / (1 - BETAS[0] ** step)) / size
    return z
