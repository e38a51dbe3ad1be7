# SPDX-License-Identifier: BSD-3-Clause
"""The first integer at which a condition holds."""

import numpy as np
import pytest

from pydgd.stats.integer_search import first_integer


@pytest.mark.parametrize("guess", [1.0, 2.5, 1e6])
def test_every_target_is_found_from_any_guess(guess: float) -> None:
    """The answer does not depend on where the search begins."""
    targets = np.array([1.0, 2, 3, 4, 5, 1000, 2.0**40])
    found = first_integer(lambda values, places: values >= targets[places], np.full(7, guess))
    assert found.tolist() == targets.tolist()


def test_nothing_to_search_is_allowed() -> None:
    """No element gives no integer."""
    assert first_integer(lambda values, _: values > 0, np.empty(0)).shape == (0,)
