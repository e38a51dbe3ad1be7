# SPDX-License-Identifier: BSD-3-Clause
"""Random numbers by name."""

from fractions import Fraction
from hashlib import blake2b

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


def test_draws_are_those_of_earlier_releases() -> None:
    """Hashes and SplitMix64's finaliser in Python's own integers: results of a seed can be had again."""
    words = 2**64 - 1

    def mixed(word: int) -> int:
        word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & words
        word = ((word ^ word >> 27) * 0x94D049BB133111EB) & words
        return word ^ word >> 31

    def hashed(name: str, key: str) -> int:
        return int.from_bytes(blake2b(name.encode(), digest_size=8, key=key.encode()).digest(), "little")

    for sample, gene, seed in (("T1", "ENSG1", 0), ("probe", "gene é", -7)):
        row = mixed(hashed(sample, f"sample {seed}"))
        word = mixed(mixed((row + hashed(gene, "gene")) & words) ^ row)
        cell = (Fraction(word >> 12) + Fraction(1, 2)) / 2**52
        assert named_uniforms([sample], [gene], seed=seed)[0, 0] == float(cell)
