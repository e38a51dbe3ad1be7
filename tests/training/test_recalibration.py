# SPDX-License-Identifier: BSD-3-Clause
"""References of two lots of samples."""

import numpy as np
import pytest

from pydgd.checkpoints.reference import FitReference
from pydgd.training.recalibration import pooled


def reference(n: int, seed: int) -> tuple[FitReference, np.ndarray, np.ndarray]:
    """Of n samples, with each sample's and gene's nats and deviance."""
    rng = np.random.default_rng(seed)
    nll, deviance = rng.gamma(3, 2, (n, 30)), rng.gamma(2, 1, (n, 30))
    return _of(nll, deviance, rng.gamma(2, 1, n)), nll, deviance


def _of(nll, deviance, distance) -> FitReference:
    gene_nll, gene_deviance = nll.mean(axis=0), deviance.mean(axis=0)
    sums = nll.sum(axis=1) / gene_nll.sum(), deviance.sum(axis=1) / gene_deviance.sum()
    return FitReference(*sums, distance, gene_nll, gene_deviance)


def test_two_references_are_that_of_all_samples() -> None:
    """As if all had been seen together."""
    (one, *a), (other, *b) = reference(8, 0), reference(20, 1)
    together = pooled(one, other)
    nll, deviance = (np.concatenate(parts) for parts in zip(a, b, strict=True))
    expected = _of(nll, deviance, np.concatenate([one.distance, other.distance]))
    for name in ("nll", "misfit", "distance", "gene_nll", "gene_deviance"):
        assert getattr(together, name) == pytest.approx(getattr(expected, name), rel=1e-12)


def test_with_one_missing_the_first_is_kept() -> None:
    """None too: flags about new samples alone would be wrong of old ones."""
    one = reference(8, 0)[0]
    assert pooled(one, None) is one
    assert pooled(None, one) is None
