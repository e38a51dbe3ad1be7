# SPDX-License-Identifier: BSD-3-Clause
"""Calls in a sample that departs in every gene: how many healthy genes would go so far."""

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from pydgd.stats import mid_p_residuals
from pydgd.stats.calibrated import Expected, NullModel
from pydgd.stats.empirical_null import EmpiricalNull
from pydgd.stats.multiple_testing import log_adjusted_p
from pydgd.stats.pooled_null import pooled_log_tails

N_GENES = 4_000


@pytest.fixture(scope="module")
def null() -> EmpiricalNull:
    """Two strata, both standard normal."""
    rng = np.random.default_rng(0)
    return EmpiricalNull.of(rng.standard_normal(200_000), rng.uniform(1, 100, 200_000))


def _tails(null: EmpiricalNull, t: np.ndarray, narrowing: np.ndarray):
    floors = np.random.default_rng(1).uniform(1, 100, len(t))
    return pooled_log_tails(null, t, floors, narrowing)


def test_p_is_the_share_of_healthy_genes_that_go_so_far(null):
    """Against the same average by hand, on both sides."""
    rng = np.random.default_rng(2)
    narrowing = rng.uniform(1, 4, N_GENES)
    t = rng.standard_normal(N_GENES) / narrowing
    tails = _tails(null, t, narrowing)
    some = np.array([0, 1, 2, 3])
    upper = norm.sf(np.outer(t[some], narrowing)).mean(axis=1)
    np.testing.assert_allclose(np.exp(tails.upper[some]), upper, rtol=0.03, atol=0.003)
    np.testing.assert_allclose(np.exp(tails.lower[some]), 1 - upper, rtol=0.03, atol=0.003)


def test_without_narrowing_it_is_the_null_itself(null):
    """Strata that are alike pool to what each of them says."""
    t = np.linspace(-3, 3, 301)
    tails = _tails(null, t, np.ones(301))
    np.testing.assert_allclose(np.exp(tails.upper), norm.sf(t), rtol=0.1, atol=0.003)


def test_genes_rank_by_the_narrowed_residual(null):
    """Whatever their stratum and narrowing."""
    rng = np.random.default_rng(3)
    t = rng.standard_normal(N_GENES)
    tails = _tails(null, t, rng.uniform(1, 5, N_GENES))
    assert spearmanr(t, tails.upper)[0] < -0.9999
    assert (np.diff(tails.lower[t.argsort()]) >= 0).all()


def test_what_is_all_of_a_tail_has_no_chance_beyond(null):
    """Infinite bounds, as the PIT of a count of 0 has."""
    t = np.array([-np.inf, 0.0, np.inf])
    tails = _tails(null, t, np.full(3, 2.0))
    assert tails.lower[0] == tails.upper[2] == -np.inf
    np.testing.assert_allclose([tails.upper[0], tails.lower[2]], 0, atol=1e-6)


def test_a_departed_sample_has_calls_and_they_are_right(null):
    """One gene in four departs fourfold: nearly all calls are these, though every gene's test is widened."""
    rng = np.random.default_rng(4)
    mu, r = np.full(N_GENES, 2_000.0), np.full(N_GENES, 30.0)
    changed = np.arange(N_GENES) < N_GENES // 4

    def counts(log_change: np.ndarray) -> np.ndarray:
        return rng.poisson(rng.gamma(r, mu * np.exp(log_change) / r)).astype(float)

    nothing = np.zeros(N_GENES)
    model = NullModel.of([(counts(nothing), Expected(mu, r, nothing)) for _ in range(30)])
    log_change = np.where(changed, rng.choice([-1.4, 1.4], N_GENES), 0.0)
    residuals = mid_p_residuals(counts(log_change), mu, r)
    lower, upper = model.log_tails(residuals, Expected(mu, r, nothing, departure=0.1))
    called = log_adjusted_p(np.minimum(0, np.log(2) + np.minimum(lower, upper))) < np.log(0.05)
    assert called[changed].mean() > 0.8
    assert called[~changed].sum() <= 0.06 * called.sum()
