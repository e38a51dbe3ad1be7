# SPDX-License-Identifier: BSD-3-Clause
"""Sums of rows that do not depend on the number of rows or threads."""

import torch

from pydgd.core.kernels import row_sums


def test_row_sums_do_not_depend_on_rows_and_threads() -> None:
    """Of 40,000 genes torch splits the sum of a single row among threads, but not that of many."""
    values = torch.randn(5, 40_000, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    try:
        for dtype in (torch.float32, torch.float64):
            torch.set_num_threads(1)
            alone = torch.cat([row_sums(row[None].to(dtype)) for row in values])
            torch.set_num_threads(2)
            assert torch.equal(row_sums(values.to(dtype)), alone)
            assert torch.equal(torch.cat([row_sums(row[None].to(dtype)) for row in values]), alone)
    finally:
        torch.set_num_threads(before)


def test_row_sums_are_in_float64() -> None:
    """Also of float32, and of no genes at all."""
    values = torch.tensor([[1e8, 1.0, -1e8], [0.0, 0.0, 0.0]])
    assert row_sums(values).tolist() == [1.0, 0.0]
    assert row_sums(torch.empty(2, 0)).tolist() == [0.0, 0.0]
