# SPDX-License-Identifier: BSD-3-Clause
"""The first integer at which a condition holds."""

import numpy as np
import pytest

from pydgd.stats.integer_search import first_integer


@pytest.mark.parametrize("guess", [-3.0, 0.0, 2.5, 1e6])
@pytest.mark.parametrize("proposed", [-np.inf, 0.0, 7.0, np.inf, np.nan])
def test_every_target_is_found_from_any_guess_and_proposal(guess: float, proposed: float) -> None:
    """The answer depends neither on where the search begins nor on proposals that lead astray."""
    targets = np.array([0.0, 1, 2, 3, 4, 5, 1000, 2.0**40])

    def probe(values, places):
        return values >= targets[places], np.full_like(values, proposed)

    assert first_integer(probe, np.full(8, guess)).tolist() == targets.tolist()


def test_good_proposals_are_followed() -> None:
    """Newton's step on a square root ends in a few looks where bisection takes a hundred."""
    looks = []

    def probe(values, places):
        looks.append(values.size)
        missing = 1e12 - values**2
        return missing <= 0, values + missing / (2 * values + 1)

    assert first_integer(probe, np.array([2e6])).tolist() == [1e6]
    assert len(looks) < 10


def test_beyond_2_to_53_the_search_goes_from_float_to_float() -> None:
    """It ends, at the first float that reaches the target."""
    target = 2.0**70 + 2.0**20
    found = first_integer(lambda values, _: (values >= target, values), np.ones(1))
    assert found.tolist() == [target]


def test_nothing_to_search_is_allowed() -> None:
    """No element gives no integer."""
    assert first_integer(lambda values, _: (values > 0, values), np.empty(0)).shape == (0,)
