# SPDX-License-Identifier: BSD-3-Clause
"""Random numbers by name."""

import numpy as np
import pytest
from scipy.stats import kstest

from pydgd.stats import named_uniforms

SAMPLES = [f"T{i}" for i in range(40)]
GENES = [f"ENSG{i:011d}" for i in range(2000)]


def test_nothing_to_draw_is_allowed() -> None:
    """No gene gives an empty row."""
    assert named_uniforms(["a"], [], seed=0).shape == (1, 0)


def test_a_draw_belongs_to_its_names() -> None:
    """Order, subset and batch make no difference; seed, sample and gene do."""
    whole = named_uniforms(SAMPLES, GENES, seed=3)
    assert (named_uniforms(SAMPLES[5:2:-1], GENES[100:0:-7], seed=3) == whole[5:2:-1, 100:0:-7]).all()
    assert len(np.unique(whole)) == whole.size
    assert not np.isin(named_uniforms(SAMPLES, GENES, seed=4), whole).any()


@pytest.mark.parametrize("axis", [0, 1])
def test_draws_are_uniform_and_uncorrelated(axis: int) -> None:
    """Kolmogorov-Smirnov over all; correlations between samples, and between genes, as chance has them."""
    draws = named_uniforms(SAMPLES, GENES, seed=0)
    assert kstest(draws.ravel(), "uniform").pvalue > 1e-3
    lines = draws if axis == 0 else draws.T[:300]
    correlations = np.corrcoef(lines)[np.triu_indices(len(lines), 1)] * np.sqrt(lines.shape[1])
    assert correlations.std() == pytest.approx(1, abs=0.1)


def test_draws_lie_strictly_inside() -> None:
    """Neither 0 nor 1 comes up, whose normal quantiles are infinite."""
    draws = named_uniforms(SAMPLES, GENES, seed=0)
    assert 0 < draws.min() < draws.max() < 1
