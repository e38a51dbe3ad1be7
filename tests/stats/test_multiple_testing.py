# SPDX-License-Identifier: BSD-3-Clause
"""Adjusted p-values."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from pydgd.stats import ADJUSTMENTS, log_adjusted_p


@pytest.mark.parametrize("adjust", ADJUSTMENTS)
@pytest.mark.parametrize("n", [1, 2, 1000])
def test_adjusted_p_values_are_scipys(adjust: str, n: int) -> None:
    """Where p-values fit into float64, both procedures agree with scipy row by row, ties included."""
    p = np.random.default_rng(0).beta(0.5, 2, (3, n)).round(3) + 1e-12
    expected = np.minimum(false_discovery_control(np.minimum(p, 1), axis=1, method=adjust), 1)
    found = np.exp(log_adjusted_p(np.minimum(np.log(p), 0), adjust=adjust))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_no_hypothesis_is_allowed() -> None:
    """No gene, and no tested gene, give nothing and NaN."""
    assert log_adjusted_p(np.empty(0)).shape == (0,)
    assert np.isnan(log_adjusted_p([-1.0, -2.0], tested=np.zeros(2, dtype=bool))).all()


def test_p_values_that_float64_cannot_hold_keep_their_order_and_size() -> None:
    """ln p = -1e5 of three becomes -1e5 + ln 3."""
    found = log_adjusted_p([-1e5, -2e5, -1.0])
    np.testing.assert_allclose(found, [-1e5 + np.log(3 / 2), -2e5 + np.log(3), -1.0], rtol=1e-15)


def test_untested_hypotheses_neither_count_nor_get_a_value() -> None:
    """Left out by mask or NaN, they leave the others as if they were not there."""
    log_p = np.log([0.01, 0.2, 0.03, 0.9])
    tested = np.array([True, False, True, True])
    alone = log_adjusted_p(log_p[tested])
    for found in (log_adjusted_p(log_p, tested=tested), log_adjusted_p(np.where(tested, log_p, np.nan))):
        assert found[tested].tolist() == alone.tolist()
        assert np.isnan(found[1])


def test_a_single_number_is_a_family_of_one() -> None:
    """It comes back as it is, untested ones as NaN; without an axis as it came."""
    for adjust in ADJUSTMENTS:
        assert log_adjusted_p(-3.0, adjust=adjust) == pytest.approx(-3.0)
    assert log_adjusted_p(-3.0).shape == ()
    assert np.isnan(log_adjusted_p(np.nan))
    assert np.isnan(log_adjusted_p(-3.0, tested=np.array(False)))


def test_tested_broadcasts_both_ways() -> None:
    """One row of p-values under two masks, one mask for two rows, and whole rows left out."""
    log_p = np.log([0.01, 0.2, 0.03])
    tested = np.array([[True, False, True], [True, True, True]])
    by_row = [log_adjusted_p(log_p, tested=row) for row in tested]
    np.testing.assert_array_equal(log_adjusted_p(log_p, tested=tested), by_row)
    two = np.stack([log_p, log_p[::-1]])
    by_row = [log_adjusted_p(row, tested=tested[0]) for row in two]
    np.testing.assert_array_equal(log_adjusted_p(two, tested=tested[0]), by_row)
    rows = np.array([[True], [False]])
    np.testing.assert_array_equal(log_adjusted_p(two, tested=rows)[0], log_adjusted_p(log_p))
    assert np.isnan(log_adjusted_p(two, tested=rows)[1]).all()


def test_adjustment_keeps_the_order_of_p_values() -> None:
    """A smaller p-value never has a larger adjusted one, and none is adjusted downwards."""
    log_p = -np.random.default_rng(1).exponential(3, 500)
    adjusted = log_adjusted_p(log_p)
    assert (np.diff(adjusted[np.argsort(log_p)]) >= 0).all()
    assert (adjusted >= log_p).all()


def test_bad_arguments_are_refused() -> None:
    """The error names what is allowed."""
    with pytest.raises(ValueError, match="'holm'; allowed are 'bh', 'by'"):
        log_adjusted_p([-1.0], adjust="holm")
    with pytest.raises(ValueError, match=r"log_p has the value 0\.5"):
        log_adjusted_p([0.5])
    with pytest.raises(ValueError, match="tested is of type int64; allowed are bools"):
        log_adjusted_p([-1.0, -2.0], tested=np.array([0, 1]))


def test_a_p_value_may_be_one() -> None:
    """Its logarithm is 0; above, it is refused."""
    assert log_adjusted_p([0.0, np.log(0.01)]).tolist() == [0.0, pytest.approx(np.log(0.02))]
    with pytest.raises(ValueError, match=r"log_p has the value 0\.1"):
        log_adjusted_p([0.1, -1.0])
