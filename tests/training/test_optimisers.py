# SPDX-License-Identifier: BSD-3-Clause
"""Optimisers: which kernels move what."""

import pytest
import torch

from pydgd.config import training_config
from pydgd.core.latent import RepresentationLayer
from pydgd.training import optimisers
from pydgd.training.optimisers import Optimisers


def made(n_samples: int) -> Optimisers:
    """For one shared parameter and three samples of so many."""
    own = RepresentationLayer.from_values(torch.zeros(3, 2))
    shared = [torch.nn.Parameter(torch.ones(4))]
    return Optimisers(shared, own, training_config(), n_samples=n_samples, n_steps=10)


def test_one_kernel_moves_all_parameters_on_processors() -> None:
    """Shared ones and representations; of very many samples, only those of a step move."""
    assert [type(each) for each in made(3).both] == [torch.optim.Adam, torch.optim.Adam]
    assert all(each.defaults["fused"] for each in made(3).both)
    assert isinstance(made(optimisers.MOST_DENSE + 1).both[1], torch.optim.SparseAdam)


def test_devices_without_such_a_kernel_take_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is the same but for rounding."""
    steps = []
    for known in (optimisers.FUSED_ON, frozenset()):
        monkeypatch.setattr(optimisers, "FUSED_ON", known)
        both = made(3)
        both.shared[0].grad = torch.tensor([1.0, -2.0, 3e-3, 0.0])
        both.step(1, both.shared_length())
        steps.append(both.shared[0].detach())
    torch.testing.assert_close(*steps)
    assert not torch.equal(steps[0], torch.ones(4))
