# SPDX-License-Identifier: BSD-3-Clause
"""Which genes could be called."""

import numpy as np
import pytest

from pydgd.stats import RULES, eligible_down, eligible_up, log_p_value


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "up"])
@pytest.mark.parametrize("level", [0.05, 1e-6])
def test_eligible_down_is_what_no_read_would_reach(rule: str, level: float) -> None:
    """True exactly where the p-value of a count of 0 is at most the level."""
    mu = np.array([0.0, 0.5, 3.0, 4.0, 40.0, 1e6])[:, None]
    r = [0.1, 2.0, np.inf]
    reached = log_p_value(0, mu, r, rule=rule)[0] <= np.log(level)
    assert (eligible_down(mu, r, level=level, rule=rule) == reached).all()


def test_an_absent_gene_is_eligible_up_only() -> None:
    """At mean 0 nothing can be missing; a single read is worth a call."""
    assert not eligible_down(0.0, 2.0, level=0.05)
    assert eligible_up(0.0, 2.0, level=0.05)
    assert log_p_value(1, 0.0, 2.0)[0] < np.log(0.05)


def test_one_sided_rules_call_one_side_only() -> None:
    """Under "up" no gene is eligible down, under "down" none is eligible up."""
    assert not eligible_down(1e6, None, level=0.05, rule="up")
    assert not eligible_up(1e6, None, level=0.05, rule="down")
    assert eligible_up([1.0, 2.0], [[1.0], [2.0]], level=0.05).shape == (2, 2)


@pytest.mark.parametrize("eligible", [eligible_down, eligible_up])
def test_settings_out_of_range_are_refused(eligible) -> None:
    """A level is a probability above 0, a rule one of the table's."""
    with pytest.raises(ValueError, match=r"level is 0\.0"):
        eligible(1.0, level=0.0)
    with pytest.raises(ValueError, match="rule is 'both'"):
        eligible(1.0, level=0.05, rule="both")
