# SPDX-License-Identifier: BSD-3-Clause
"""The MA plot by its artists."""

import numpy as np
import pytest

from pydgd.plotting import ma

from .conftest import table_of


@pytest.mark.parametrize("n_genes", [1, 10_000])
def test_every_tested_gene_is_one_point(ax, n_genes) -> None:
    """Expected reads to the right, log2 fold change upwards; many points are pixels."""
    table = table_of(n_genes)
    assert ma(table, ax=ax) is ax
    drawn = np.concatenate([found.get_offsets() for found in ax.collections])
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, table[["baseMean", "log2FoldChange"]].to_numpy()))
    assert {found.get_rasterized() for found in ax.collections} == {n_genes > 2_000}


def test_limits_hold_all_genes_and_the_line_of_no_change(ax) -> None:
    """Also genes of which nothing is expected."""
    table = table_of(200)
    table.loc[0, "baseMean"] = 0.0
    ma(table, ax=ax)
    assert ax.get_xlim()[0] < 0 < table["baseMean"].max() < ax.get_xlim()[1]
    assert ax.get_ylim()[0] < table["log2FoldChange"].min() < table["log2FoldChange"].max() < ax.get_ylim()[1]
    assert [line.get_ydata()[0] for line in ax.lines] == [0.0]
    assert ax.get_xscale() == "symlog"


def test_the_surest_genes_are_named(ax) -> None:
    """As many as asked for, half of either direction."""
    table = table_of(2_000)
    ma(table, label_top=6, ax=ax)
    called = table[(table["padj"] < 0.05) & (table["log2FoldChange"].abs() >= 1)]
    expected = [
        *called[called["log2FoldChange"] > 0].nsmallest(3, "log_pvalue")["gene"],
        *called[called["log2FoldChange"] < 0].nsmallest(3, "log_pvalue")["gene"],
    ]
    assert sorted(text.get_text() for text in ax.texts) == sorted(expected)


def test_a_table_without_means_is_an_error(ax) -> None:
    """The message names the column."""
    with pytest.raises(ValueError, match="lacks the columns baseMean"):
        ma(table_of(5).drop(columns="baseMean"), ax=ax)
