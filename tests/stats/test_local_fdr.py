# SPDX-License-Identifier: BSD-3-Clause
"""Local false discovery rate."""

import numpy as np
import pytest

from pydgd.stats.local_fdr import local_fdr


def test_it_is_the_share_of_unchanged_genes_at_that_p_value():
    rng = np.random.default_rng(0)
    p, unchanged = np.r_[rng.random(18_000), rng.beta(0.2, 20, 2_000)], np.arange(20_000) < 18_000
    rates = local_fdr(p)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6)):
        within = (rates >= low) & (rates < high)
        assert unchanged[within].mean() == pytest.approx(rates[within].mean(), abs=0.06)


def test_uniform_p_values_are_all_unchanged():
    assert local_fdr(np.random.default_rng(1).random(5_000)).mean() > 0.95


@pytest.mark.parametrize("p", [[], [1.0], [2.3e-308], [2.3e-308] * 5, [1.0] * 5, [0.2, 0.2, 1.0]])
def test_few_and_equal_p_values(p):
    rates = local_fdr(np.array(p))
    assert rates.shape == (len(p),)
    assert ((rates >= 0) & (rates <= 1)).all()


def test_it_does_not_fall_with_p_nor_depend_on_order():
    p = np.random.default_rng(2).random(300) ** 3
    rates = local_fdr(p)
    assert (np.diff(rates[p.argsort()]) >= 0).all()
    order = np.random.default_rng(3).permutation(300)
    np.testing.assert_array_equal(local_fdr(p[order]), rates[order])
