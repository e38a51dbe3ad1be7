# SPDX-License-Identifier: BSD-3-Clause
"""P-values by rule."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, nbinom

from pydgd.stats import DEFAULT_RULE, RULES, log_p_value, quantile, sf, to_p_value


def _by_enumeration(n_counts: int, mu: float, r: float, rule: str) -> np.ndarray:
    """The definition for the counts below a number, summed over twenty thousand outcomes."""
    f = nbinom.pmf(np.arange(20_000), r, r / (r + mu))
    lower, upper, f_k = f.cumsum()[:n_counts], f[::-1].cumsum()[::-1][:n_counts], f[:n_counts]
    return {
        "equal-tail mid-p": lambda: np.minimum(1, 2 * np.minimum(lower - f_k / 2, upper - f_k / 2)),
        "equal-tail": lambda: np.minimum(1, 2 * np.minimum(lower, upper)),
        "minimum-likelihood": lambda: np.array([f[f <= one * (1 + 1e-7)].sum() for one in f_k]),
        "up": lambda: upper - f_k / 2,
        "down": lambda: lower - f_k / 2,
    }[rule]()


@pytest.mark.parametrize("rule", RULES)
def test_no_read_where_none_is_expected_is_unremarkable(rule: str) -> None:
    """At k = 0 and mean 0 every two-sided p is 1; one-sided mid-p is a half."""
    log_p, direction = log_p_value(0, 0.0, 2.0, rule=rule)
    assert np.exp(log_p) == pytest.approx(0.5 if rule in ("up", "down") else 1)
    assert direction == -1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("mu", "r"), [(0.3, 0.5), (0.3, 50.0), (5.0, 1.0), (5.0, 3.0), (50.0, 2.0), (20.0, 1e4)]
)
def test_rules_agree_with_their_definition(rule: str, mu: float, r: float) -> None:
    """Each rule equals its sum over all outcomes, for every count from 0 to far above the mean."""
    n_counts = int(10 * mu) + 5
    expected = _by_enumeration(n_counts, mu, r, rule)
    log_p, _ = log_p_value(list(range(n_counts)), mu, r, rule=rule)
    np.testing.assert_allclose(np.exp(log_p), expected, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("k", "mu", "r"),
    [
        (0.0, 3.0, 2.0),
        (0.0, 900.0, np.inf),
        (5.0, 0.01, 0.1),
        (90.0, 100.0, 7.0),
        (130.0, 100.0, np.inf),
        (3e3, 1e6, 4.0),
        (1.002e6, 1e6, 1e5),
        (1e7, 1e3, 3.0),
        (1e8, 0.9e8, 1e10),
    ],
)
def test_rules_agree_with_mpmath(oracle, rule: str, k: float, mu: float, r: float) -> None:
    """Each rule by its definition at twenty-five digits, to 1e-11 max(1, |ln p|), from no read to 1e8."""
    exact = float(oracle.log_p(k, mu, r, rule))
    log_p, _ = log_p_value(k, mu, r, rule=rule)
    assert float(log_p) == pytest.approx(exact, abs=1e-11 * max(1, abs(exact)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**8), st.floats(1e-8, 1e8), st.floats(1e-30, 1e30) | st.just(np.inf))
def test_one_sided_rules_are_complements_and_monotone(k: int, mu: float, r: float) -> None:
    """Up and down add up to 1; one read more is better evidence for up and worse for down."""
    (up, down), (up_next, down_next) = (
        [float(log_p_value(count, mu, r, rule=rule)[0]) for rule in ("up", "down")] for count in (k, k + 1)
    )
    assert np.exp(up) + np.exp(down) == pytest.approx(1, rel=1e-14)
    assert up_next <= up
    assert down <= down_next
    assert log_p_value(k, mu, r)[0] == pytest.approx(min(np.log(2) + min(up, down), 0), rel=1e-14, abs=1e-15)


def test_equally_probable_outcomes_are_tied() -> None:
    """A Poisson count at an integer mean is as probable as the one below: both are the mode, and p is 1."""
    log_p, _ = log_p_value([6, 7, 8], 7.0, rule="minimum-likelihood")
    assert log_p.tolist()[:2] == [0, 0]
    assert log_p[2] < 0


def test_minimum_likelihood_agrees_with_the_exact_binomial_test() -> None:
    """At r = 1e12 and few reads the distribution is Poisson, as is a binomial of a million rare trials."""
    for k in (0, 1, 3, 12, 25):
        expected = binomtest(k, 10**9, 8e-9).pvalue
        log_p, _ = log_p_value(k, 8.0, 1e12, rule="minimum-likelihood")
        assert np.exp(log_p) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("r", [1e-30, 1.5, 1e30, np.inf])
def test_no_p_value_is_zero_or_nan(rule: str, r: float) -> None:
    """From no read to a hundred million, at means from 0 to 1e8, ln p is finite and at most 0."""
    counts = np.array([0, 1, 50, 10**5, 10**8])[:, None]
    log_p, direction = log_p_value(counts, [0.0, 1e-8, 1.0, 1e4, 1e8], r, rule=rule)
    assert np.isfinite(log_p).all()
    assert (log_p <= 0).all()
    assert np.isin(direction, (-1, 1)).all()
    assert (to_p_value(log_p) >= 2.3e-308).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(1e-6, 1e6), st.floats(1e-3, 1e6))
def test_minimum_likelihood_lies_between_one_tail_and_both(k: int, mu: float, r: float) -> None:
    """It adds something to the count's own tail, and at most everything else."""
    log_p = log_p_value(k, mu, r, rule="minimum-likelihood")[0]
    own = min(log_p_value(k, mu, r, rule="equal-tail")[0] - np.log(2), 0)
    assert own - 1e-9 * max(1, abs(own)) <= log_p <= 0


def test_direction_is_up_for_too_many_reads() -> None:
    """+1 above the median, -1 below, under every rule."""
    for rule in RULES:
        assert log_p_value([0, 10, 400], [50.0, 50.0, 50.0], 3.0, rule=rule)[1].tolist() == [-1, -1, 1]


@pytest.mark.parametrize("mean", [0.5, 3.0, 100.0])
def test_mid_p_has_its_nominal_size_on_average(mean: float) -> None:
    """Under the null, E[p] is what uniform p would give: 1/2 for each side, to four standard errors."""
    counts = np.random.default_rng(0).negative_binomial(2.0, 2 / (2 + mean), 20_000)
    one_sided = to_p_value(log_p_value(counts, mean, 2.0, rule="up")[0])
    assert one_sided.mean() == pytest.approx(0.5, abs=4 * 0.29 / np.sqrt(20_000))


@pytest.mark.parametrize("level", [0.05, 1e-3])
def test_size_under_the_null_is_the_level(level: float) -> None:
    """At a mean of 1,000 the share of p <= level is the level, to four standard errors, half on each side."""
    n = 200_000
    counts = np.random.default_rng(1).negative_binomial(3.0, 3 / 1003, n)
    log_p, direction = log_p_value(counts, 1000.0, 3.0)
    called = log_p <= np.log(level)
    assert called.mean() == pytest.approx(level, abs=4 * np.sqrt(level / n))
    assert (called & (direction > 0)).mean() == pytest.approx(level / 2, abs=4 * np.sqrt(level / 2 / n))


@pytest.mark.parametrize(("model", "has_r"), [("nb", True), ("poisson", False)])
@pytest.mark.parametrize(("column", "pseudocount"), [("p_resNone_pc0", 0), ("p_resNone", 1)])
def test_minimum_likelihood_agrees_with_the_peer(
    shared: Path, model: str, has_r: bool, column: str, pseudocount: int
) -> None:
    """bulkdgd sums up to the 0.99999 quantile T only: its p is ours but for the outcomes from T on."""
    table = pd.read_csv(shared / "peer/artifacts/reference/dea_reference.csv", index_col=0)
    counts = table["obs"].to_numpy() + pseudocount
    mu = table["obs"].mean() * table["pred_mean"].to_numpy() + pseudocount
    r = table["r"].to_numpy() if has_r else None
    ours = to_p_value(log_p_value(counts, mu, r, rule="minimum-likelihood")[0])
    left_out = sf(quantile(0.99999, mu, r) - 1, mu, r)
    gap = ours - table[f"{model}_{column}"].to_numpy() * (1 - left_out)
    assert (gap >= -1e-12).all()
    assert (gap <= left_out + 1e-12).all()


def test_p_value_leaves_log_space_without_becoming_zero() -> None:
    """exp, with a floor that float64 still holds in full precision."""
    assert to_p_value([0.0, -1.0, -1e9]).tolist() == [1, np.exp(-1), 2.3e-308]


def test_unknown_rule_is_refused() -> None:
    """The error lists the rules."""
    with pytest.raises(ValueError, match=f"'two-sided'; allowed are '{DEFAULT_RULE}'"):
        log_p_value(1, 1.0, rule="two-sided")


def test_the_likeliest_count_has_a_p_value_of_one() -> None:
    """By minimum likelihood: nothing is likelier, so everything is at most as likely."""
    k = np.array([0.0, 4.0, 9.0])
    log_p, _ = log_p_value(k, k + 0.5, None, rule="minimum-likelihood")
    assert log_p.tolist() == [0.0, 0.0, 0.0]
