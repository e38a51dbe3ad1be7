# SPDX-License-Identifier: BSD-3-Clause
"""Data that the tests of the latent space share."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def generator() -> torch.Generator:
    """A generator with a fixed seed."""
    return torch.Generator().manual_seed(7)


@pytest.fixture
def overlapping(generator: torch.Generator) -> Tensor:
    """200 rows from three overlapping, unequal, correlated clouds in three dimensions, float64."""
    centres = torch.tensor([[0.0, 0.0, 0.0], [2.5, 0.0, 1.0], [0.0, 3.0, -1.0]], dtype=torch.float64)
    which = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 200, replacement=True, generator=generator)
    noise = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    noise[:, 1] += 0.6 * noise[:, 0]
    return centres[which] + noise * torch.tensor([1.0, 0.7, 1.3], dtype=torch.float64)[which, None]


@pytest.fixture
def start(overlapping: Tensor) -> dict[str, Tensor]:
    """Weights and means to start EM on `overlapping` from."""
    return {
        "weights": torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64),
        "means": overlapping[[3, 50, 120]].clone(),
    }
