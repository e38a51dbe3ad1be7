# SPDX-License-Identifier: BSD-3-Clause
"""Observed against expected reads, by artists."""

import numpy as np
import pytest

from pydgd.plotting import observed_expected

from .conftest import table_of


@pytest.mark.parametrize("n_genes", [1, 10_000])
def test_every_measured_gene_is_one_point(ax, n_genes) -> None:
    """Expected reads to the right, observed ones upwards."""
    table = table_of(n_genes)
    assert observed_expected(table, ax=ax) is ax
    drawn = np.concatenate([found.get_offsets() for found in ax.collections])
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
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())


def test_genes_that_were_not_adjusted_for_are_drawn_as_unchanged(ax) -> None:
    """Their reads are known, whatever was tested."""
    observed_expected(table_of(20).assign(padj=np.nan), ax=ax)
    assert ax.get_legend_handles_labels()[1] == ["unchanged (20)", "down (0)", "up (0)"]


def test_genes_that_were_not_measured_are_left_out(ax) -> None:
    """No reads, no point; none at all is an error."""
    table = table_of(20)
    table.loc[:4, "observed"] = np.nan
    observed_expected(table, ax=ax)
    assert sum(len(found.get_offsets()) for found in ax.collections) == 15
    with pytest.raises(ValueError, match="nothing to plot"):
        observed_expected(table.assign(observed=np.nan), ax=ax)
