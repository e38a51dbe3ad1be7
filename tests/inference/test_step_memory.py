# SPDX-License-Identifier: BSD-3-Clause
"""What L-BFGS is told of the curvature at the start, also where rounding spoilt it."""

import pytest
import torch

from pydgd.inference.step_memory import StepMemory


@pytest.mark.parametrize("lacking", [1e-9, 1e-4, 0.5, 10.0])
def test_an_indefinite_curvature_still_leads_downhill(lacking: float) -> None:
    """And changes nothing for a neighbour whose curvature is sound: its step is Newton's."""
    sound = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    indefinite = torch.tensor([[1.0, 1.0 + lacking], [1.0 + lacking, 1.0]], dtype=torch.float64)
    gradient = torch.tensor([[1.0, -2.0], [1.0, -2.0]], dtype=torch.float64)
    memory = StepMemory(torch.zeros_like(gradient), longest=1e9, curvature=torch.stack([sound, indefinite]))
    direction = memory.direction(gradient)
    assert ((direction * gradient).sum(dim=1) < 0).all()
    torch.testing.assert_close(direction[0], -torch.linalg.solve(sound, gradient[0]))
