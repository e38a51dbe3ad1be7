# SPDX-License-Identifier: BSD-3-Clause
"""Kernels of torch.compile give what the eager ones give; see `compiled_checks` for the claims."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

CHECKS = Path(__file__).with_name("compiled_checks.py")

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def run_checks(device: str) -> None:
    finished = subprocess.run(
        [sys.executable, str(CHECKS), device], capture_output=True, text=True, timeout=1200, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]


@pytest.mark.slow
def test_compiled_agrees_with_eager_on_a_cpu() -> None:
    """Negative binomial, frozen and not, and Poisson: equal to eager, float32's figures, always finite."""
    run_checks("cpu")


@pytest.mark.gpu
@needs_cuda
def test_compiled_on_a_gpu_agrees_with_eager_on_a_cpu() -> None:
    """The same claims for the kernels that a CUDA device runs."""
    run_checks("cuda")
