# SPDX-License-Identifier: BSD-3-Clause
"""One process has all rows; two have the sums and rows of both."""

import torch
from torch import Tensor

from pydgd.core.latent.shards import ONE_SHARD, Shards, n_rows


class Both:
    """Two processes that have the same rows."""

    def total(self, values: Tensor) -> Tensor:
        return 2 * values

    def joined(self, rows: Tensor) -> Tensor:
        return torch.cat([rows, rows])


def test_one_process_has_all_there_is() -> None:
    """Sums and rows are those given."""
    rows = torch.arange(6.0).reshape(3, 2)
    assert ONE_SHARD.total(rows) is rows
    assert ONE_SHARD.joined(rows) is rows


def test_rows_of_all_processes_are_counted() -> None:
    """In the type of the rows."""
    rows = torch.zeros(3, 2, dtype=torch.float64)
    assert n_rows(rows, ONE_SHARD).item() == 3
    assert n_rows(rows, Both()).item() == 6
    assert n_rows(rows.float(), Both()).dtype == torch.float32


def test_shards_are_told_by_what_they_can_do() -> None:
    """A protocol: no class to inherit from."""
    assert isinstance(Both(), Shards)
    assert isinstance(ONE_SHARD, Shards)
    assert not isinstance(object(), Shards)
