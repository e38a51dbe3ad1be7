# SPDX-License-Identifier: BSD-3-Clause
"""Continued fractions."""

import numpy as np
import pytest

from pydgd.errors import ConvergenceError
from pydgd.stats import continued_fraction as module
from pydgd.stats import tails
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


def test_what_does_not_settle_is_nan() -> None:
    """1 - 2/(1 - 2/(1 - …)) wanders for ever; its neighbour 2 + 1/2/(2 + …) keeps its value."""

    def terms(n, a):
        return a, np.where(a < 0, 1.0, 2.0)

    a = np.array([-2.0, 0.5])
    found = continued_fraction(terms, np.array([1.0, 2.0]), (a,))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1 + np.sqrt(1.5), rel=1e-14)


def test_a_tail_that_does_not_settle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a p-value from half a fraction: the error names the count, its mean and r."""
    monkeypatch.setattr(module, "_MOST_TERMS", 6)
    with pytest.raises(
        ConvergenceError, match=r"1 counts has not settled.*9\.0 reads at mean 4\.0 and r = 50"
    ):
        tails([0, 9], 4.0, 50.0)
