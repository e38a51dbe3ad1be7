# SPDX-License-Identifier: BSD-3-Clause
"""Empirical null: against the distribution that the residuals came from, edges, ties, damage."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from scipy.stats import genpareto, laplace, norm
from scipy.stats import t as student

from pydgd.stats.empirical_null import EmpiricalNull


def _null(residuals, floors=None):
    return EmpiricalNull.of(residuals, np.full(len(residuals), 30.0) if floors is None else floors)


def test_tails_are_those_of_the_residuals():
    null = _null(np.random.default_rng(0).laplace(size=400_000))
    z = np.array([-6.0, -1.0, 0.0, 1.0, 6.0])
    tails = null.log_tails(z, np.full(5, 30.0))
    np.testing.assert_allclose(tails.upper, laplace.logsf(z), atol=0.15)
    np.testing.assert_allclose(tails.lower, laplace.logcdf(z), atol=0.15)


def test_a_light_tail_is_taken_for_an_exponential_which_is_careful():
    upper = _null(np.random.default_rng(0).standard_normal(400_000)).log_tails(
        np.array([5.0]), np.full(1, 30.0)
    )
    assert norm.logsf(5) < upper.upper[0] < -10


def test_heavy_tails_are_followed_beyond_the_sample():
    rng = np.random.default_rng(1)
    null = _null(student.rvs(3, size=200_000, random_state=rng))
    far = null.log_tails(np.array([60.0]), np.array([30.0])).upper
    assert far == pytest.approx(student.logsf(60, 3), abs=0.7)


def test_sides_are_kept_apart():
    rng = np.random.default_rng(2)
    skewed = rng.exponential(size=100_000) - 1
    tails = _null(skewed).log_tails(np.array([3.0, -3.0]), np.full(2, 30.0))
    assert tails.upper[0] == pytest.approx(-4.0, abs=0.2)
    assert tails.lower[1] < -20


def test_strata_follow_the_floor():
    rng = np.random.default_rng(3)
    floors = rng.uniform(0, 10, 400_000)
    null = _null(rng.standard_normal(400_000) * np.where(floors < 5, 1.0, 3.0), floors)
    tails = null.log_tails(np.full(2, 3.0), np.array([1.0, 9.0])).upper
    np.testing.assert_allclose(tails, [norm.logsf(3), norm.logsf(1)], atol=0.2)


def test_p_values_of_the_sample_itself_are_uniform():
    values = np.random.default_rng(4).standard_normal(100_000)
    upper = np.exp(_null(values).log_tails(values, np.full(len(values), 30.0)).upper)
    for level in (0.5, 0.05, 1e-3):
        assert (upper <= level).mean() == pytest.approx(level, rel=0.25)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_residuals_have_finite_tails(value):
    tails = _null(np.full(5_000, value)).log_tails(np.array([-1e6, value, 1e6]), np.full(3, 30.0))
    assert np.isfinite(tails.lower).all()
    assert np.isfinite(tails.upper).all()


def test_extreme_residuals_have_finite_falling_tails():
    null = _null(np.random.default_rng(5).standard_normal(20_000))
    tails = null.log_tails(np.array([5.0, 50.0, 1e8]), np.array([0.0, 1e9, 1e-300]))
    assert np.isfinite(tails.upper).all()
    assert (np.diff(tails.upper) < 0).all()


def test_one_residual_in_company_is_the_same_as_alone():
    rng = np.random.default_rng(6)
    null = _null(rng.standard_normal(100_000), rng.uniform(0, 50, 100_000))
    z, floors = rng.standard_normal(50) * 4, rng.uniform(0, 50, 50)
    together = null.log_tails(z, floors).upper
    alone = [null.log_tails(z[i : i + 1], floors[i : i + 1]).upper[0] for i in range(50)]
    np.testing.assert_array_equal(together, alone)


def test_too_few_residuals_are_refused():
    with pytest.raises(ValueError, match="1,000 residuals, there are 999"):
        _null(np.zeros(999))


@pytest.mark.parametrize(
    "change",
    [
        {"log_survival": np.zeros(64)},
        {"tails": np.full((1, 2, 2), -1.0)},
        {"knots": np.full((1, 2, 64), np.nan)},
        {"tails": np.full((1, 2, 2), np.inf)},
        {"tails": np.full((1, 2, 2), 1e-300)},
    ],
    ids=["a survival that does not fall", "negative shape", "no numbers", "infinite scale", "no scale"],
)
def test_damaged_arrays_are_refused(change):
    null = _null(np.random.default_rng(7).standard_normal(2_000))
    with pytest.raises(ValueError, match="empirical null"):
        replace(null, **change)


def test_a_null_is_itself_alone_and_does_not_change():
    one, other = (EmpiricalNull.of(np.linspace(-4, 4, 20_000), np.full(20_000, 50.0)) for _ in range(2))
    assert one != other
    assert len({one, other}) == 2
    with pytest.raises(FrozenInstanceError):
        one.edges = other.edges


def test_beyond_the_last_knot_tails_are_generalised_paretos():
    """Of their shape and scale, by SciPy; between knots the logarithm is interpolated."""
    null = EmpiricalNull(
        edges=np.empty(0),
        log_survival=np.array([0.0, -1.0, -2.0]),
        knots=np.array([[[-1.0, 0.0, 1.0], [-1.0, 0.0, 3.0]]]),
        tails=np.array([[[0.4, 2.0], [0.0, 0.5]]]),
    )
    x = np.array([-9.0, -0.5, 0.25, 1.0, 1.3, 4.0, 50.0])
    between = np.interp(x, [-1, 0, 1], [0, -1, -2]) + genpareto.logsf(np.maximum(x - 1, 0), 0.4, scale=2.0)
    np.testing.assert_allclose(null.log_tails(x, np.full(7, 3.0)).upper, between, rtol=1e-12)
    between = np.interp(x, [-1, 0, 3], [0, -1, -2]) + genpareto.logsf(np.maximum(x - 3, 0), 0.0, scale=0.5)
    np.testing.assert_allclose(null.log_tails(-x, np.full(7, 3.0)).lower, between, rtol=1e-12)
