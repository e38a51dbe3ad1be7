# SPDX-License-Identifier: BSD-3-Clause
"""Scaling factors."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from pydgd.data.scaling import SCALING_RULES, scaling_factors, typical_profile
from pydgd.errors import ConfigError, CountsError

RULES = list(SCALING_RULES)
UNITS = {"mean": 1, "median": 1, "total": 2000}  # of s, in mean reads per gene of `cohort`


def cohort(n_samples=30, n_genes=2000, seed=0):
    """Poisson counts around known s times a known profile of mean 1."""
    rng = np.random.default_rng(seed)
    profile = np.exp(rng.normal(0, 2, n_genes))
    profile /= profile.mean()
    s = np.exp(rng.normal(5, 0.5, n_samples))
    return rng.poisson(s[:, None] * profile), s, profile


def test_the_mean_rule_is_the_mean_count():
    """Exactly, in float64, with or without a profile, from any container."""
    counts, _, profile = cohort()
    for matrix in (counts, sparse.csr_matrix(counts), counts.astype(np.float32), np.asfortranarray(counts)):
        assert np.array_equal(scaling_factors(matrix), counts.sum(1) / 2000)
    full = np.ones(2000, dtype=bool)
    assert np.array_equal(scaling_factors(counts, profile=profile, measured=full), counts.sum(1) / 2000)
    assert scaling_factors(counts.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("rule", RULES)
def test_the_known_depth_is_found(rule):
    """Poisson noise aside: 2 % for the mean, 3 % for the median."""
    counts, s, profile = cohort()
    assert scaling_factors(counts, rule=rule, profile=profile) == pytest.approx(UNITS[rule] * s, rel=0.03)


@pytest.mark.parametrize("rule", RULES)
def test_a_panel_gives_the_depth_of_the_whole_sample(rule):
    """Bright, dim or mixed genes: s is in the units of all genes, not of the panel's own mean."""
    counts, s, profile = cohort()
    order = np.argsort(profile)
    for chosen in (order[-200:], order[1000:1400], np.arange(0, 2000, 10)):
        measured = np.zeros(2000, dtype=bool)
        measured[chosen] = True
        found = scaling_factors(np.where(measured, counts, 0), rule=rule, profile=profile, measured=measured)
        assert found == pytest.approx(UNITS[rule] * s, rel=0.15)
        assert np.mean(found / s) / UNITS[rule] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rule", RULES)
def test_unmeasured_genes_do_not_count(rule):
    """Whatever stands in their columns."""
    counts, _, profile = cohort()
    measured = np.arange(2000) % 2 == 0
    noise = np.where(measured, counts, 10**6)
    given = {"rule": rule, "profile": profile, "measured": measured}
    assert np.array_equal(scaling_factors(counts, **given), scaling_factors(noise, **given))


@pytest.mark.parametrize("rule", RULES)
def test_depth_scales_the_factor_and_the_profiles_scale_does_not(rule):
    """Twice the reads, twice the s; a profile of any scale is brought to mean 1."""
    counts, _, profile = cohort()
    measured = np.arange(2000) < 1500
    given = {"rule": rule, "measured": measured}
    s = scaling_factors(counts, profile=profile, **given)
    assert scaling_factors(2 * counts, profile=profile, **given) == pytest.approx(2 * s)
    assert scaling_factors(counts, profile=7 * profile, **given) == pytest.approx(s)


@pytest.mark.parametrize("rule", RULES)
def test_a_samples_factor_does_not_depend_on_its_neighbours(rule):
    """Bit for bit, alone or among others."""
    counts, _, profile = cohort()
    together = scaling_factors(counts, rule=rule, profile=profile)
    alone = [scaling_factors(counts[[i]], rule=rule, profile=profile)[0] for i in range(len(counts))]
    assert together.tolist() == alone


def test_the_median_withstands_a_few_very_bright_genes():
    """As mitochondrial genes do in life: the mean rule moves fivefold, the median by 3 % at most."""
    counts, s, profile = cohort()
    bright = counts.copy()
    bright[:, :5] = 4 * counts.sum(1, keepdims=True) // 5
    assert scaling_factors(bright, profile=profile) == pytest.approx(5 * s, rel=0.05)
    assert scaling_factors(bright, rule="median", profile=profile) == pytest.approx(s, rel=0.03)


@pytest.mark.parametrize("rule", RULES)
def test_the_typical_profile_is_the_shape_of_the_cohort(rule):
    """Mean 1, and the known profile within Poisson noise; dense and sparse alike."""
    counts, _, profile = cohort(n_samples=400)
    found = typical_profile(counts, rule=rule)
    assert found.mean() == pytest.approx(1)
    bright = profile > 0.1
    assert found[bright] == pytest.approx(profile[bright], rel=0.1)
    assert typical_profile(sparse.csc_matrix(counts), rule=rule) == pytest.approx(found)


def test_the_profile_of_the_mean_rule_is_the_mean_of_scaled_counts():
    """mean(counts / s), whose mean over genes is 1 by construction."""
    counts, *_ = cohort()
    assert typical_profile(counts) == pytest.approx((counts / counts.mean(1, keepdims=True)).mean(0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rule": "geometric"}, "scaling rule 'geometric' is unknown; choose from mean, total, median"),
        ({"rule": "median"}, "'median' over 2,000 of 2,000 genes needs a profile"),
        ({"measured": np.arange(2000) < 5}, "'mean' over 5 of 2,000 genes needs a profile"),
        ({"rule": "median", "profile": np.full(2000, np.nan)}, "profile must be finite"),
        ({"rule": "median", "profile": -np.ones(2000)}, "profile must be finite, not negative"),
        (
            {"measured": np.arange(2000) < 5, "profile": (np.arange(2000) >= 5) * 1.0},
            "positive for some measured gene",
        ),
        (
            {"measured": np.zeros(2000, dtype=bool), "profile": np.ones(2000)},
            "positive for some measured gene",
        ),
    ],
)
def test_a_rule_without_what_it_needs_is_refused(given, message):
    """With the repair."""
    with pytest.raises(ConfigError, match=message):
        scaling_factors(cohort()[0], **given)


@pytest.mark.parametrize("rule", RULES)
def test_a_sample_without_a_factor_is_named(rule):
    """By its name, or its number where names are not given; never 0 or NaN."""
    counts, _, profile = cohort(n_samples=3)
    counts[1] = 0
    with pytest.raises(CountsError, match=r"1 samples have too few reads .*first: sample 'B'"):
        scaling_factors(counts, rule=rule, profile=profile, sample_names=["A", "B", "C"])
    with pytest.raises(CountsError, match="first: sample number 2"):
        scaling_factors(counts, rule=rule, profile=profile)


@pytest.mark.parametrize("rule", RULES)
def test_a_profile_names_the_sample_without_a_factor(rule):
    """As the factors do."""
    counts = cohort(n_samples=3)[0]
    counts[1] = 0
    with pytest.raises(CountsError, match="first: sample 'B'"):
        typical_profile(counts, rule=rule, sample_names=iter("ABC"))


def test_the_median_of_a_shallow_sample_proposes_the_mean():
    """Half of the bright genes silent: the mean rule still works."""
    counts = np.zeros((1, 9), dtype=int)
    counts[0, 0] = 5
    with pytest.raises(CountsError, match="or use the rule 'mean'"):
        scaling_factors(counts, rule="median", profile=np.ones(9))
    assert scaling_factors(counts)[0] == pytest.approx(5 / 9)


def test_panels_of_real_samples(shared):
    """From 500 random genes, log2 s has a standard error below 0.4 (mean) and 0.07 (median)."""
    normals = anndata.read_h5ad(shared / "data" / "normals.h5ad")
    counts = normals.X[::4]
    counts = counts[:, (counts > 0).mean(0) > 0.2]
    measured = np.zeros(counts.shape[1], dtype=bool)
    measured[np.random.default_rng(0).choice(measured.size, 500, replace=False)] = True
    for rule, bound in (("mean", 0.4), ("median", 0.07)):
        profile = typical_profile(counts, rule=rule)
        whole = scaling_factors(counts, rule=rule, profile=profile)
        panel = scaling_factors(counts, rule=rule, profile=profile, measured=measured)
        assert np.std(np.log2(panel / whole)) < bound


def test_the_total_rule_counts_reads():
    """All reads of the sample, within the last bit."""
    counts, *_ = cohort()
    assert scaling_factors(counts, rule="total") == pytest.approx(counts.sum(1), rel=1e-15)


def test_an_unknown_rule_has_no_profile():
    """Refused as the factors are."""
    with pytest.raises(ConfigError, match="'upper' is unknown"):
        typical_profile(cohort()[0], rule="upper")
