# SPDX-License-Identifier: BSD-3-Clause
"""Learning rates over a run."""

import numpy as np
import pytest

from pydgd.training.schedule import FIRST, LAST, RISE, SCHEDULES


@pytest.mark.parametrize(
    ("name", "first", "last"), [("one_cycle", FIRST, LAST), ("cosine", 1.0, LAST), ("constant", 1.0, 1.0)]
)
def test_ends(name: str, first: float, last: float) -> None:
    """A schedule starts and ends where its documentation says."""
    assert SCHEDULES[name](0.0) == pytest.approx(first)
    assert SCHEDULES[name](1.0) == pytest.approx(last)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_positive_and_reach_the_peak(name: str) -> None:
    """Never above the peak, never zero, and the peak is reached."""
    rates = np.array([SCHEDULES[name](share) for share in np.linspace(0, 1, 1001)])
    assert rates.min() > 0
    assert rates.max() == pytest.approx(1.0)


def test_one_cycle_rises_then_falls_without_a_jump() -> None:
    """The peak is at a tenth of the run and both sides meet there."""
    rates = np.array([SCHEDULES["one_cycle"](share) for share in np.linspace(0, 1, 1001)])
    peak = int(rates.argmax())
    assert peak == round(1000 * RISE)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert np.abs(np.diff(rates)).max() < 0.02


def test_cosine_is_the_formula() -> None:
    """Loshchilov & Hutter's equation 5."""
    for share in (0.1, 0.5, 0.9):
        expected = LAST + 0.5 * (1 - LAST) * (1 + np.cos(np.pi * share))
        assert SCHEDULES["cosine"](share) == pytest.approx(expected)
