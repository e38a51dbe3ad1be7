# SPDX-License-Identifier: BSD-3-Clause
"""One process has all rows; two have the sums and rows of both."""

import pytest
import torch
from torch import Tensor

from pydgd.core.latent import COVARIANCE_TYPES, GaussianMixture
from pydgd.core.latent.shards import ONE_SHARD, Shards, n_rows, totals


class Both:
    """Two processes that have the same rows."""

    n_messages = 0

    def total(self, values: Tensor) -> Tensor:
        self.n_messages += 1
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


def test_several_sums_are_one_message() -> None:
    """Each comes back in its own shape."""
    both, parts = Both(), (torch.ones(2, 3), torch.tensor(4.0), torch.empty(0, 2))
    assert all(torch.equal(s, 2 * p) for s, p in zip(totals(both, *parts), parts, strict=True))
    assert both.n_messages == 1
    assert all(torch.equal(s, p) for s, p in zip(totals(ONE_SHARD, *parts), parts, strict=True))


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_shared_rows_are_fitted_as_if_one_had_them(kind: str) -> None:
    """A dead component included, and whatever the covariance (real processes: `training/test_ranks.py`)."""
    z = torch.randn(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z[30:] += 3
    means = torch.stack([z[0], z[40], torch.full((3,), 1e3, dtype=torch.float64)])
    unit = COVARIANCE_TYPES[kind].identity(3, 3)
    together, alone = (
        GaussianMixture.from_parameters(torch.ones(3) / 3, means, unit, covariance_type=kind)
        for _ in range(2)
    )
    together.update(z, max_iter=20, shards=Both())
    alone.update(torch.cat([z, z]), max_iter=20)
    assert together.lower_bound_ == pytest.approx(alone.lower_bound_, rel=1e-9)
    for name in ("weights", "means", "natural_covariances"):
        torch.testing.assert_close(getattr(together, name), getattr(alone, name), rtol=1e-9, atol=1e-12)
