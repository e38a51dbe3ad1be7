# SPDX-License-Identifier: BSD-3-Clause
"""Rows that several processes have parts of: what a fit needs to know of the others' is sums."""

from typing import Protocol, runtime_checkable

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
