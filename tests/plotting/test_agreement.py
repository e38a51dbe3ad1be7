# SPDX-License-Identifier: BSD-3-Clause
"""Observed against expected reads, by artists."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from scipy.stats import nbinom

from pydgd.plotting import observed_expected

from .conftest import table_of


@pytest.mark.parametrize("n_genes", [1, 10_000])
def test_every_measured_gene_is_one_point(ax, n_genes) -> None:
    """Expected reads to the right, observed ones upwards."""
    table = table_of(n_genes)
    assert observed_expected(table, ax=ax) is ax
    drawn = np.concatenate(
        [found.get_offsets() for found in ax.collections if isinstance(found, PathCollection)]
    )
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, table[["baseMean", "observed"]].to_numpy()))


def test_genes_without_reads_are_inside_the_axes(ax) -> None:
    """Zero has a place although the axes are logarithmic above one read."""
    observed_expected(table_of(50).assign(observed=0.0), ax=ax)
    assert ax.get_ylim()[0] < 0 < ax.get_ylim()[1]
    assert ax.get_yscale() == ax.get_xscale() == "symlog"


def test_both_axes_span_the_same_and_the_diagonal(ax) -> None:
    """A gene as in the healthy sample lies on the line from corner to corner."""
    observed_expected(table_of(50), ax=ax)
    assert ax.get_xlim() == ax.get_ylim()
    line = next(line for line in ax.lines if line.get_linestyle() == "-")
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())


def test_genes_that_were_not_adjusted_for_are_drawn_as_unchanged(ax) -> None:
    """Their reads are known, whatever was tested."""
    observed_expected(table_of(20).assign(padj=np.nan), ax=ax)
    assert ax.get_legend_handles_labels()[1][1:] == ["unchanged (20)", "down (0)", "up (0)"]


def test_genes_that_were_not_measured_are_left_out(ax) -> None:
    """No reads, no point; none at all is an error."""
    table = table_of(20)
    table.loc[:4, "observed"] = np.nan
    observed_expected(table, band=None, ax=ax)
    assert sum(len(found.get_offsets()) for found in ax.collections) == 15
    with pytest.raises(ValueError, match="nothing to plot"):
        observed_expected(table.assign(observed=np.nan), ax=ax)


def test_the_band_holds_the_central_reads(ax) -> None:
    """Its edges are SciPy's quantiles at the dispersion that all genes share."""
    observed_expected(table_of(300), band=0.8, ax=ax)
    lower, upper = (line.get_xydata() for line in ax.lines if line.get_linestyle() == ":")
    for edge, p in ((lower, 0.1), (upper, 0.9)):
        np.testing.assert_array_equal(edge[:, 1], nbinom.ppf(p, 5.0, 5.0 / (5.0 + edge[:, 0])))
    assert ax.get_legend_handles_labels()[1][0] == "80 % of healthy reads"


def test_without_a_band_no_dispersion_is_needed(ax) -> None:
    """A table may have lost its r."""
    observed_expected(table_of(20).drop(columns="r"), band=None, ax=ax)
    assert not [found for found in ax.collections if isinstance(found, PolyCollection)]


def test_a_band_of_more_than_everything_is_an_error(ax) -> None:
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="allowed is 0 < band < 1"):
        observed_expected(table_of(20), band=1.5, ax=ax)
