# SPDX-License-Identifier: BSD-3-Clause
"""The heatmap of residuals by its image and labels."""

import numpy as np
import pandas as pd
import pytest

from pydgd.plotting import residual_heatmap


def residuals(n_samples: int, n_genes: int, *, seed: int = 0) -> pd.DataFrame:
    z = np.random.default_rng(seed).normal(size=(n_samples, n_genes))
    return pd.DataFrame(z, [f"S{i}" for i in range(n_samples)], [f"G{i}" for i in range(n_genes)])


def shown(ax) -> pd.DataFrame:
    names = ([tick.get_text() for tick in axis.get_ticklabels()] for axis in (ax.yaxis, ax.xaxis))
    return pd.DataFrame(np.asarray(ax.images[0].get_array()), *names)


def test_each_cell_stands_under_its_names(ax) -> None:
    """Whatever the order that puts like beside like."""
    z = residuals(12, 8)
    residual_heatmap(z, ax=ax)
    pd.testing.assert_frame_equal(shown(ax).loc[z.index, z.columns], z)
    residual_heatmap(z, ordered=False, ax=(other := ax.figure.add_subplot()))
    pd.testing.assert_frame_equal(shown(other), z)


def test_the_largest_genes_are_shown_within_the_limit(ax) -> None:
    """By mean absolute residual; colours end at the same residual in every picture."""
    z = residuals(20, 30)
    z["G7"] *= 20
    z["G3"] *= -10
    residual_heatmap(z, n_genes=2, limit=4.0, ax=ax)
    assert sorted(shown(ax).columns) == ["G3", "G7"]
    assert ax.images[0].get_clim() == (-4.0, 4.0)
    assert ax.figure.axes[-1].get_ylabel() == "residual (z)"


def test_like_samples_stand_side_by_side(ax) -> None:
    """Two groups of samples that were mixed come apart."""
    z = residuals(20, 10) / 10
    z.iloc[::2] += 3
    residual_heatmap(z, ax=ax)
    odd = [int(name[1:]) % 2 for name in shown(ax).index]
    assert odd in ([0] * 10 + [1] * 10, [1] * 10 + [0] * 10)


def test_a_table_of_tests_is_taken_by_its_residuals(ax) -> None:
    """Its column stat; a gene without any is left out."""
    table = pd.DataFrame(
        {"sample": ["T1", "T1", "T2", "T2"], "gene": ["A", "B"] * 2, "stat": [1.0, np.nan, -2.0, np.nan]}
    )
    residual_heatmap(table, ordered=False, ax=ax)
    assert shown(ax).to_dict() == {"A": {"T1": 1.0, "T2": -2.0}}


def test_many_names_are_a_number(ax) -> None:
    """Ten thousand samples in a moment, missing residuals included."""
    z = residuals(10_000, 60)
    z.iloc[0, 0] = np.nan
    residual_heatmap(z, ax=ax)
    assert ax.get_ylabel() == "10,000 samples"
    assert not ax.get_yticklabels()
    assert len(ax.get_xticklabels()) == 50


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_the_smallest_heatmaps_work(ax, shape) -> None:
    """One sample, one gene."""
    residual_heatmap(residuals(*shape), ax=ax)
    ax.figure.draw_without_rendering()
    assert shown(ax).shape == shape


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"residuals": pd.DataFrame({"A": [np.nan]})}, "1 samples x 1 genes, none with a residual"),
        ({"residuals": pd.DataFrame({"A": ["x"]})}, "must be numbers"),
        ({"n_genes": 0}, "n_genes >= 1"),
        ({"limit": 0.0}, "limit > 0"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(ax, change, words) -> None:
    """The message says what is wanted."""
    with pytest.raises(ValueError, match=words):
        residual_heatmap(**{"residuals": residuals(3, 3), "ax": ax, **change})
