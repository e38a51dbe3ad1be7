# SPDX-License-Identifier: BSD-3-Clause
"""Offsets between laboratories: found, robust, shrunk, and none where there are none."""

import numpy as np
import pytest

from pydgd.stats.offsets import robust_offsets

N_GENES = 600


def _reads(mu: np.ndarray, r: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(mu * rng.gamma(r, 1 / r, mu.shape)).astype(float)


def _case(n: int, *, sd: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Expected reads, r, true offsets and reads."""
    rng = np.random.default_rng(1)
    mu = np.broadcast_to(rng.lognormal(5, 1.5, N_GENES), (n, N_GENES)).copy()
    r = rng.lognormal(2, 0.5, N_GENES)
    truth = rng.normal(0, sd, N_GENES)
    return mu, r, truth, _reads(mu * np.exp(truth), r)


@pytest.mark.parametrize(("n", "least"), [(3, 0.85), (10, 0.95), (40, 0.98)])
def test_offsets_are_found(n: int, least: float) -> None:
    """The better, the more samples."""
    mu, r, truth, counts = _case(n, sd=0.5)
    found = robust_offsets(counts, mu, r)
    assert np.corrcoef(found.value, truth)[0, 1] > least


def test_the_error_is_as_large_as_said() -> None:
    """Of standardised errors the middle two thirds are within about one."""
    mu, r, truth, counts = _case(6, sd=0.4)
    found = robust_offsets(counts, mu, r)
    inside = np.abs(found.value - truth) < np.sqrt(found.variance)
    assert inside.mean() == pytest.approx(0.68, abs=0.06)


def test_there_are_none_where_laboratories_agree() -> None:
    """Four samples' noise is not taken for a laboratory."""
    mu, r, _, counts = _case(4, sd=0.0)
    assert robust_offsets(counts, mu, r).value.std() < 0.03


def test_one_changed_sample_of_five_moves_little() -> None:
    """Sixteen times the reads in one: less than a third of what the mean of logs would move by."""
    mu, r, _, counts = _case(5, sd=0.3)
    changed = counts.copy()
    changed[2, :50] *= 16
    moved = robust_offsets(changed, mu, r).value[:50] - robust_offsets(counts, mu, r).value[:50]
    assert np.median(moved) < np.log(16) / 5 / 3


def test_a_gene_without_reads_keeps_a_small_offset() -> None:
    """Expected 0.01 reads, none seen: nothing is known. Expected 1,000: it is not there."""
    mu, r, _, counts = _case(4, sd=0.3)
    mu[:, 0], mu[:, 1] = 0.01, 1000.0
    counts[:, :2] = 0.0
    found = robust_offsets(counts, mu, r).value
    assert abs(found[0]) < 0.1
    assert found[1] < -0.5


def test_poisson_has_infinite_r() -> None:
    """And its offsets are sharp."""
    mu, _, truth, _ = _case(5, sd=0.4)
    counts = np.random.default_rng(2).poisson(mu * np.exp(truth)).astype(float)
    found = robust_offsets(counts, mu, np.full(N_GENES, np.inf))
    bright = mu[0] > 100
    np.testing.assert_allclose(found.value[bright], truth[bright], atol=0.25)


@pytest.mark.parametrize("factor", [1 / 200, 200.0])
def test_far_offsets_are_reached_step_by_step(factor: float) -> None:
    """More than five e-folds away, where one step is at most one."""
    rng = np.random.default_rng(3)
    mu = np.full((4, 60), 4000.0)
    counts = rng.poisson(mu * factor).astype(float)
    found = robust_offsets(counts, mu, np.full(60, 1e4))
    np.testing.assert_allclose(found.value, np.log(factor), atol=0.35)
    np.testing.assert_allclose(np.median(found.value), np.log(factor), atol=0.03)


def test_an_outlier_weighs_as_huber_says() -> None:
    """However far it is, it pulls like a sample 1.345 standard deviations away, against the other eight."""
    mu, r = np.full((9, 200), 1000.0), np.full(200, 20.0)
    counts = np.rint(mu * np.exp(np.linspace(-1.5, 1.5, 200)))
    changed = counts.copy()
    changed[0, ::10] *= 50
    moved = (robust_offsets(changed, mu, r).value - robust_offsets(counts, mu, r).value)[::10]
    # The prior and the log-normal shape of counts take some per cent.
    expected = 1.345 * np.sqrt(np.log1p(1 / counts[0, ::10] + 1 / 20)) / 8
    np.testing.assert_allclose(moved, expected, rtol=0.15)
