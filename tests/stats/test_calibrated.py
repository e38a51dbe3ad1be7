# SPDX-License-Identifier: BSD-3-Clause
"""P-values read off healthy samples: right where the negative binomial is not."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy.stats import nbinom

from pydgd.stats import differential_expression_table, mid_p_residuals
from pydgd.stats.calibrated import Expected, NullModel, floor_of
from pydgd.stats.differential_expression import CALIBRATED_RULES

N_GENES = 2_000


def _sample(rng, *, r_true):
    """Counts that vary more than the model thinks, by r_true instead of 20."""
    mu = rng.lognormal(4, 1.5, N_GENES)
    return (
        nbinom.rvs(r_true, r_true / (r_true + mu), random_state=rng).astype(float),
        mu,
        np.full(N_GENES, 20.0),
    )


def _expected(sample):
    x, mu, r = sample
    return x, Expected(mu, r, np.zeros(len(mu)))


@pytest.fixture(scope="module")
def null():
    rng = np.random.default_rng(0)
    return NullModel.of([_expected(_sample(rng, r_true=5.0)) for _ in range(30)])


def _table(null, samples, **options):
    x, mu, r = (np.array(part) for part in zip(*samples, strict=True))
    names = [f"S{i}" for i in range(len(x))]
    return differential_expression_table(
        x, mu, r, sample_names=names, genes=[f"g{i}" for i in range(N_GENES)], null=null, **options
    )


def test_size_is_right_on_new_samples_where_the_model_is_wrong(null):
    rng = np.random.default_rng(1)
    table = _table(null, [_sample(rng, r_true=5.0) for _ in range(20)])
    bright = table["baseMean"] > 20
    assert (table["pvalue_nb"][bright] < 1e-3).mean() > 5e-3
    assert (table["pvalue"][bright] < 0.05).mean() == pytest.approx(0.05, rel=0.15)
    assert (table["pvalue"][bright] < 1e-3).mean() == pytest.approx(1e-3, rel=0.6)


def test_a_noisier_sample_calls_no_more(null):
    rng = np.random.default_rng(2)
    table = _table(null, [_sample(rng, r_true=2.0) for _ in range(10)])
    assert (table["pvalue"][table["baseMean"] > 20] < 0.01).mean() < 0.015


@pytest.mark.parametrize("rule", CALIBRATED_RULES)
def test_planted_genes_are_found(null, rule):
    x, mu, r = _sample(np.random.default_rng(3), r_true=5.0)
    bright = np.flatnonzero(mu > 100)[:20]
    x[bright] = np.rint(mu[bright] * (0.002 if rule == "down" else 12))
    table = _table(null, [(x, mu, r)], rule=rule)
    assert (table["padj"].to_numpy()[bright] < 0.05).mean() > 0.7
    assert set(table["direction"].to_numpy()[bright]) == {-1 if rule == "down" else 1}


def test_sides_add_up(null):
    samples = [_sample(np.random.default_rng(4), r_true=5.0)]
    up, down = (_table(null, samples, rule=rule)["pvalue"] for rule in ("up", "down"))
    assert (up + down).between(0.9, 1.1).mean() > 0.95


def test_columns_say_what_the_negative_binomial_says(null):
    samples = [_sample(np.random.default_rng(5), r_true=5.0)]
    calibrated, plain = _table(null, samples), _table(None, samples)
    np.testing.assert_array_equal(calibrated["pvalue_nb"], plain["pvalue"])
    np.testing.assert_array_equal(plain["pvalue_nb"], plain["pvalue"])
    assert calibrated["lfdr"].between(0, 1).all()


def test_other_rules_are_refused_by_name(null):
    with pytest.raises(ValueError, match=r"minimum-likelihood.*equal-tail mid-p, up, down"):
        _table(null, [_sample(np.random.default_rng(6), r_true=5.0)], rule="minimum-likelihood")


def test_a_sample_is_alone(null):
    rng = np.random.default_rng(7)
    samples = [_sample(rng, r_true=5.0) for _ in range(3)]
    together = _table(null, samples)["log_pvalue"].to_numpy().reshape(3, -1)
    np.testing.assert_array_equal(together[1], _table(null, samples[1:2])["log_pvalue"])


@pytest.mark.parametrize(
    ("mu", "r", "floor"),
    [(0.0, 1.0, 0.0), (2.0, np.inf, 2.0), (1.0, 1.0, np.log(2)), (1e-300, 1e-30, 0.0), (10.0, 1e30, 10.0)],
)
def test_floor_is_the_log_probability_of_no_reads(mu, r, floor):
    assert floor_of(np.array([mu]), np.array([r]))[0] == pytest.approx(floor, abs=1e-12)


def test_too_few_genes_are_refused():
    x, mu = np.full(30, 5.0), np.full(30, 5.0)
    with pytest.raises(ValueError, match="enough genes"):
        NullModel.of([_expected((x, mu, np.full(30, 5.0)))])


def test_residuals_of_all_zero_samples_are_finite(null):
    mu, r = np.full(N_GENES, 20.0), np.full(N_GENES, 5.0)
    x, expected = _expected((np.zeros(N_GENES), mu, r))
    tails = null.log_tails(mid_p_residuals(x, mu, r), expected)
    assert np.isfinite(tails.upper).all()
    assert np.isfinite(tails.lower).all()


def test_what_is_unsure_of_one_gene_widens_its_test(null):
    x, mu, r = _sample(np.random.default_rng(8), r_true=5.0)
    x[:3] = np.rint(mu[:3] * 9)
    more = {"log_mean_variance": np.r_[[[0.5] * 3 + [0.0] * (N_GENES - 3)]]}
    plain, wide = (_table(null, [(x, mu, r)], **options) for options in ({}, more))
    first = slice(0, 3)
    assert (wide["log_pvalue"][first] > plain["log_pvalue"][first]).all()
    assert (wide["lfcSE"][first] > plain["lfcSE"][first]).all()
    np.testing.assert_array_equal(wide["pvalue_nb"], plain["pvalue_nb"])


@pytest.mark.parametrize("departure", [-1.0, np.nan, np.inf, [0.1, 0.2]])
def test_impossible_departures_are_refused(null, departure):
    with pytest.raises(ValueError, match="departure has the shape"):
        _table(null, [_sample(np.random.default_rng(9), r_true=5.0)], departure=departure)


def test_the_null_model_does_not_change(null):
    with pytest.raises(FrozenInstanceError):
        null.usual = None
