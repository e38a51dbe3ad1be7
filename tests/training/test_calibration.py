# SPDX-License-Identifier: BSD-3-Clause
"""What is learnt from healthy samples that training held out, and what is said where they are too few."""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from pydgd.checkpoints.calibration import Calibration
from pydgd.data import AlignedCounts, align_to_genes, scaling_factors
from pydgd.inference.closest_normal import find_and_decode
from pydgd.training import CountsInMemory, TrainingResult, calibrate

N_HELD_OUT = 20


@pytest.fixture
def result(counts: np.ndarray, fitted: Callable[..., TrainingResult]) -> TrainingResult:
    """A model of every third sample's two neighbours."""
    return fitted(_training(counts), epochs=8)


def _training(counts: np.ndarray) -> np.ndarray:
    return counts[np.arange(len(counts)) % 3 > 0]


def _held_out(result: TrainingResult, rows: np.ndarray) -> AlignedCounts:
    genes = list(result.model.genes)
    frame = pd.DataFrame(rows, index=[f"h{i}" for i in range(len(rows))], columns=genes)
    return align_to_genes(AnnData(frame), genes)


def _calibration(result: TrainingResult, counts: np.ndarray, rows: np.ndarray) -> Calibration | None:
    seen, held_out = _training(counts), _held_out(result, rows)
    profile = result.model.profile.double().numpy()
    factors = scaling_factors(seen, rule=result.model.scaling, profile=profile)
    return calibrate(
        result.model.eval(),
        representations=result.representations,
        counts=CountsInMemory(torch.as_tensor(seen), torch.as_tensor(factors, dtype=torch.float32)),
        held_out=held_out,
        found=find_and_decode(result.model, held_out) if len(rows) else None,
    )


def test_healthy_samples_are_usual(result: TrainingResult, counts: np.ndarray) -> None:
    """The limit is one that samples of a small model keep, r is one per gene, spreads are of that order."""
    found = _calibration(result, counts, counts[::3])
    assert found is not None
    assert 0.8 < found.misfit_limit < 2
    assert found.log_r is not None
    assert found.log_r.shape == (counts.shape[1],)
    assert 0.5 < found.null.usual.lower < 2.5
    assert 0.5 < found.null.usual.upper < 2.5


def test_order_of_the_held_out_changes_nothing(result: TrainingResult, counts: np.ndarray) -> None:
    """Sums aside, which round by their order."""
    one, other = (_calibration(result, counts, counts[::3][::step]) for step in (1, -1))
    assert one is not None
    assert other is not None
    for name, tensor in one.tensors().items():
        np.testing.assert_allclose(other.tensors()[name], tensor, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("n", "message", "is_known"),
    [(0, "0 healthy samples were held out", False), (4, "5 are needed", False), (8, "on few", True)],
)
def test_few_held_out_samples_are_told(
    result: TrainingResult,
    counts: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    n: int,
    message: str,
    is_known: bool,
) -> None:
    """Below five none is made, below twenty with a warning."""
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        found = _calibration(result, counts, counts[::3][:n])
    assert message in caplog.text
    assert (found is not None) == is_known


def test_a_noisier_cohort_has_a_higher_limit(result: TrainingResult, counts: np.ndarray) -> None:
    """The limit is that of the samples it was learnt from."""
    noise = np.random.default_rng(0).lognormal(0, 1, counts[::3].shape)
    calm, wild = (_calibration(result, counts, rows) for rows in (counts[::3], np.rint(counts[::3] * noise)))
    assert calm is not None
    assert wild is not None
    assert wild.misfit_limit > 1.3 * calm.misfit_limit
