# SPDX-License-Identifier: BSD-3-Clause
"""Rows that several processes have parts of: what a fit needs to know of the others' is sums."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Shards(Protocol):
    """The processes that share the rows of a fit."""

    def total(self, values: Tensor) -> Tensor:
        """The sum of what the processes give."""

    def joined(self, rows: Tensor) -> Tensor:
        """The rows of all processes, one after the other; the same number from each."""


class _OneShard:
    """All rows are here."""

    def total(self, values: Tensor) -> Tensor:
        return values

    def joined(self, rows: Tensor) -> Tensor:
        return rows


ONE_SHARD: Shards = _OneShard()


def n_rows(z: Tensor, shards: Shards) -> Tensor:
    """Rows of all processes, as a number of the rows' type."""
    return shards.total(z.new_tensor(float(len(z))))


def totals(shards: Shards, *parts: Tensor) -> list[Tensor]:
    """The sums of several tensors of one type, in one message: each has to wait for the slowest process.

    Example:
        >>> totals(ONE_SHARD, torch.ones(2), torch.tensor(3.0))
        [tensor([1., 1.]), tensor(3.)]
    """
    whole = shards.total(torch.cat([part.reshape(-1) for part in parts]))
    sums = torch.split(whole, [part.numel() for part in parts])
    return [values.view_as(part) for values, part in zip(sums, parts, strict=True)]
