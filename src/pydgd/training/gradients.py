# SPDX-License-Identifier: BSD-3-Clause
"""The gradients of processes that train together, summed."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from pydgd.core.latent.shards import Shards
from pydgd.training.board import Board
from pydgd.training.ranks import Ranks


def shards_of(ranks: Ranks, parameters: Sequence[nn.Parameter]) -> Shards:
    """How these processes add up the gradients of these parameters, and whatever is smaller.

    Args:
        ranks: The processes, which call this together.
        parameters: What they train together.
    """
    if ranks.size == 1 or any(p.device.type != "cpu" for p in parameters):
        return ranks
    n_bytes = sum((p.numel() + 1) * p.dtype.itemsize for p in parameters)
    return Board.opened(n_bytes, ranks) or ranks


def add_gradients(parameters: Sequence[nn.Parameter], shards: Shards, *, healthy: bool) -> bool:
    """Put the sum of all processes' gradients in the place of each one's own; whether all are healthy.

    One message for all of them: each process has to wait for the slowest.

    Args:
        parameters: What the processes train together.
        shards: The processes, more than one.
        healthy: Whether this one is.
    """
    learning = [p for p in parameters if p.grad is not None]
    own = [p.grad.reshape(-1) for p in learning if p.grad is not None]
    voice = own[0].new_tensor([0.0 if healthy else math.nan])
    total = shards.total(torch.cat([*own, voice]))
    *gradients, voices = torch.split(total, [*(p.numel() for p in learning), 1])
    for parameter, gradient in zip(learning, gradients, strict=True):
        parameter.grad = gradient.view_as(parameter)
    return math.isfinite(voices.item())
