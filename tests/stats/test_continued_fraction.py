# SPDX-License-Identifier: BSD-3-Clause
"""Continued fractions."""

import numpy as np
import pytest

from pydgd.stats.continued_fraction import continued_fraction


def _tangent(n, x):
    # tan x = x / (1 - x²/(3 - x²/(5 - …)))
    return -x * x, np.full_like(x, 2 * n + 1)


def test_no_element_is_allowed() -> None:
    """An empty block gives an empty result."""
    assert continued_fraction(_tangent, np.empty(0), (np.empty(0),)).shape == (0,)


def test_lamberts_fraction_gives_the_tangent() -> None:
    """Elements that need five terms and fifty are evaluated together."""
    x = np.array([1e-6, 0.5, 1.5, 20.0])
    assert x / continued_fraction(_tangent, np.ones(4), (x,)) == pytest.approx(np.tan(x), rel=1e-13)


def test_value_does_not_depend_on_neighbours() -> None:
    """Alone or in company, an element is the same to the last bit."""
    x = np.linspace(0.1, 30, 50)
    together = continued_fraction(_tangent, np.ones(50), (x,))
    alone = [continued_fraction(_tangent, np.ones(1), (x[i : i + 1],))[0] for i in range(50)]
    assert together.tolist() == alone
