# SPDX-License-Identifier: BSD-3-Clause
"""Dispersion plots by their artists."""

import numpy as np
import pandas as pd
import pytest

from pydgd.plotting import dispersion_mean, r_values
from pydgd.plotting.local import local_median

from .conftest import table_of


@pytest.mark.parametrize("n_genes", [1, 10_000])
def test_every_gene_is_one_point(ax, n_genes) -> None:
    """Mean reads to the right, 1/r upwards, both logarithmic."""
    table = table_of(n_genes).assign(r=np.linspace(1.0, 9.0, n_genes))
    assert dispersion_mean(table, ax=ax) is ax
    drawn = ax.collections[0].get_offsets()
    np.testing.assert_allclose(drawn, np.column_stack([table["baseMean"], 1 / table["r"]]))
    assert ax.collections[0].get_rasterized() == (n_genes > 2_000)
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_several_samples_are_averaged(ax) -> None:
    """One point per gene."""
    table = pd.DataFrame({"gene": ["A", "B", "A"], "baseMean": [10.0, 5.0, 30.0], "r": [1.0, 2.0, 3.0]})
    dispersion_mean(table, ax=ax)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[20.0, 0.5], [5.0, 0.5]])


def test_a_poisson_model_has_no_dispersion(ax) -> None:
    """The message says so."""
    with pytest.raises(ValueError, match="Poisson model has no dispersion"):
        dispersion_mean(table_of(5).assign(r=np.inf), ax=ax)
    with pytest.raises(ValueError, match="Poisson"):
        r_values(np.array([np.inf]), ax=ax)


@pytest.mark.parametrize("n", [1, 3, 101, 5_000])
def test_the_local_median_is_that_of_the_nearest_genes(n) -> None:
    """Of a quantity that rises with the mean it rises, and stays within the values."""
    mean = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    place, median = local_median(mean, 2 * mean)
    assert (np.diff(place) > 0).all()
    assert (np.diff(median) >= 0).all()
    half = max(51, n // 60 + 1)
    inner = (place > half) & (place < n - half)
    np.testing.assert_allclose(median[inner], 2 * place[inner], atol=1.0)


@pytest.mark.parametrize("n_genes", [1, 10_000])
@pytest.mark.parametrize("kind", ["histogram", "violin", "box"])
def test_groups_stand_side_by_side_with_their_sizes(ax, kind, n_genes) -> None:
    """On a logarithmic axis; the missing and the infinite are not counted."""
    r = np.random.default_rng(0).lognormal(size=(n_genes, 2))
    frame = pd.DataFrame(r, columns=["healthy", "of $5"])
    frame.loc[n_genes] = [np.nan, np.inf]
    assert r_values(frame, kind=kind, ax=ax) is ax
    entries = [f"healthy ({n_genes:,})", rf"of \$5 ({n_genes:,})"]
    if kind == "histogram":
        assert ax.get_legend_handles_labels()[1] == entries
        assert [patch.get_data().values.sum() for patch in ax.patches] == [n_genes, n_genes]
    else:
        assert [tick.get_text() for tick in ax.get_xticklabels()] == entries
        low, high = ax.get_ylim()
        assert low <= np.log10(r).min() <= np.log10(r).max() <= high
    ax.figure.draw_without_rendering()


def test_an_unknown_kind_is_an_error(ax) -> None:
    """The message lists those that there are."""
    with pytest.raises(ValueError, match="kind='pie' is unknown; choose one of 'histogram'"):
        r_values(np.ones(3), kind="pie", ax=ax)
