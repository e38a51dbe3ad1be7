# SPDX-License-Identifier: BSD-3-Clause
"""What moves decoder and representations, step by step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from pydgd.config import TrainingConfig
from pydgd.core.latent import RepresentationLayer
from pydgd.training.schedule import SCHEDULES

BETAS = (0.9, 0.99)
FUSED_ON = frozenset({"cpu", "cuda"})
"""Devices on which one kernel moves all parameters."""
# A step whose gradient is this many times longer than its running mean is shortened to that length.
LONGEST_GRADIENT = 10.0
MOST_DENSE = 4_096
"""Up to so many samples every step moves all representations on, by what their last gradients said. Beyond,
a sample comes too rarely for that, and moving all would take longer than the step: only those in it move."""


class Optimisers:
    """Adam for what all samples share and for the representations, with one schedule.

    Args:
        shared: Parameters of decoder and prior.
        representations: Of this process's samples.
        config: Learning rate and schedule.
        n_samples: Of all processes.
        n_steps: Of the whole run.
    """

    def __init__(
        self,
        shared: Sequence[nn.Parameter],
        representations: RepresentationLayer,
        config: TrainingConfig,
        *,
        n_samples: int,
        n_steps: int,
    ) -> None:
        self.shared, self.representations, self._config = list(shared), representations, config
        self._n_steps, self._is_sparse = n_steps, n_samples > MOST_DENSE
        own = list(representations.parameters())
        self.both: tuple[torch.optim.Optimizer, ...] = (
            _adam(self.shared),
            torch.optim.SparseAdam(own, betas=BETAS) if self._is_sparse else _adam(own),
        )
        self.usual_length = math.nan

    def positions(self, rows: Tensor) -> Tensor:
        """Representations of some samples; gradients flow back to them."""
        return (
            embedding(rows, self.representations.z, sparse=True)
            if self._is_sparse
            else self.representations(rows)
        )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimiser in self.both:
            optimiser.zero_grad(set_to_none=True)

    def shared_length(self) -> float:
        """Of the gradient of what all samples share."""
        return _length(self.shared)

    def own_length(self) -> float:
        """Of the gradient of this process's representations."""
        return _length([self.representations.z])

    def step(self, n_done: int, length: float) -> None:
        """Go one step down.

        Args:
            n_done: Number of this step, from 1.
            length: Of the shared gradient.
        """
        self._shorten(length)
        rate = self._config.learning_rate * SCHEDULES[self._config.schedule](min(n_done / self._n_steps, 1.0))
        for optimiser in self.both:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()

    def _shorten(self, length: float) -> None:
        """Cut relative to the gradient's usual length, which depends on genes, depth and stage."""
        if math.isnan(self.usual_length):
            self.usual_length = length
        limit = LONGEST_GRADIENT * self.usual_length
        if length > limit:
            for parameter in self.shared:
                if parameter.grad is not None:
                    parameter.grad.mul_(limit / length)
        self.usual_length = 0.9 * self.usual_length + 0.1 * min(length, limit)


def _length(parameters: Sequence[Tensor]) -> float:
    """Euclidean length over all entries; not finite if one of them is not, or if it exceeds float32."""
    gradients = [
        p.grad.coalesce().values() if p.grad.is_sparse else p.grad for p in parameters if p.grad is not None
    ]
    # On a device beside the processor only some of the parameters lie there.
    lengths = [gradient.norm().to(gradients[0].device) for gradient in gradients]
    return float(torch.stack(lengths).norm())


def _adam(parameters: Sequence[nn.Parameter]) -> torch.optim.Adam:
    """One kernel for all parameters where it can be, in a third of the passes over them."""
    places = {p.device.type for p in parameters}
    fused = len(places) == 1 and places <= FUSED_ON
    return torch.optim.Adam(parameters, betas=BETAS, fused=fused or None)
