# SPDX-License-Identifier: BSD-3-Clause
"""The gradients of processes that train together, summed."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pydgd.training.board import Board
from pydgd.training.ranks import Ranks


class GradientSums:
    """Puts the sum of all processes' gradients in the place of each one's own.

    Args:
        parameters: What all processes train together.
        ranks: The processes.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
        self._parameters, self._ranks = list(parameters), ranks
        self._board: Board | None = None
        if ranks.size > 1 and all(p.device.type == "cpu" for p in parameters):
            n_numbers = sum(p.numel() for p in parameters) + 1
            self._board = Board.opened(n_numbers, self._parameters[0].dtype, ranks)

    def add(self, *, healthy: bool) -> bool:
        """Sum them; whether all processes are healthy.

        One message for all of them: each process has to wait for the slowest.

        Args:
            healthy: Whether this one is.
        """
        if self._ranks.size == 1:
            return healthy
        learning = [p for p in self._parameters if p.grad is not None]
        own = [p.grad.reshape(-1) for p in learning if p.grad is not None]
        total = self._total([*own, own[0].new_tensor([0.0 if healthy else math.nan])])
        *gradients, voices = torch.split(total, [*(p.numel() for p in learning), 1])
        for parameter, gradient in zip(learning, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        return math.isfinite(voices.item())

    def _total(self, parts: Sequence[Tensor]) -> Tensor:
        return self._ranks.total(torch.cat(list(parts))) if self._board is None else self._board.total(parts)
