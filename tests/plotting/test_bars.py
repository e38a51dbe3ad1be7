# SPDX-License-Identifier: BSD-3-Clause
"""Bars of gene sets and of recurrent genes by their lengths and names."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from pydgd.plotting import enrichment_bars, recurrence
from pydgd.plotting.bars import count_calls
from pydgd.plotting.palette import NEITHER, UP

from .conftest import table_of


def sets(n: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": "T1",
            "gene_set": [f"SET_{i}" for i in range(n)],
            "padj": 10.0 ** -np.arange(n),
            "n_overlap": 2,
            "n_genes": 1_500,
            "e_score": np.arange(n) / 2,
        }
    )


def names(ax) -> list[str]:
    return [tick.get_text() for tick in ax.get_yticklabels()]


def test_bars_are_as_long_as_the_sets_are_sure(ax) -> None:
    """The surest on top, those beyond the threshold in colour, overlap written beside."""
    assert enrichment_bars(sets(), ax=ax) is ax
    assert names(ax) == ["SET 2", "SET 1", "SET 0"]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [2.0, 1.0, 0.0], atol=1e-12)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert [same_color(bar.get_facecolor(), UP) for bar in ax.patches] == [True, False, False]
    assert same_color(ax.patches[1].get_facecolor(), NEITHER)
    assert {text.get_text() for text in ax.texts} == {"2 of 1,500"}


def test_another_column_can_be_the_length(ax) -> None:
    """And only so many sets are shown; ten thousand are no burden."""
    enrichment_bars(sets(300), value="e_score", top=4, ax=ax)
    assert names(ax) == ["SET 299", "SET 298", "SET 297", "SET 296"]
    assert ax.get_xlabel() == r"e_score"
    assert ax.patches[0].get_width() == 149.5


def test_a_p_value_of_0_has_a_finite_bar(ax) -> None:
    """And long names take several lines."""
    table = sets(1).assign(padj=0.0, gene_set="A_" + "VERY_LONG_" * 8 + "NAME")
    enrichment_bars(table, ax=ax)
    assert 300 < ax.patches[0].get_width() < 310
    assert "\n" in names(ax)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table": sets().drop(columns="padj")}, "lacks the columns padj"),
        (
            {"table": pd.concat([sets(), sets().assign(sample="T2")])},
            r"has 2 samples; say which with sample=\.\.\., e.g. 'T1'",
        ),
        ({"sample": "T9"}, "no sample 'T9' in the table; there is T1"),
        ({"table": sets().assign(padj=np.nan)}, "no gene set has a value"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(ax, change, words) -> None:
    """The message says what there is."""
    with pytest.raises(ValueError, match=words):
        enrichment_bars(**{"table": sets(), "ax": ax, **change})


def test_recurrent_genes_go_up_to_the_right_and_down_to_the_left(ax) -> None:
    """The commonest on top; limits are the same on both sides."""
    table = pd.DataFrame(
        {"gene": ["A", "B", "C", "D"], "n_up": [1, 0, 5, 0], "n_down": [2, 2, 0, 0], "n_tested": 9}
    )
    assert recurrence(table, ax=ax) is ax
    assert names(ax) == ["C", "A", "B"]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == [5, 1, 0, 0, -2, -2]
    low, high = ax.get_xlim()
    assert -low == high > 5
    assert ax.get_xlabel().endswith("of 9")


def test_calls_are_counted_in_a_table_of_tests(ax) -> None:
    """As pandas counts them."""
    table = pd.concat([table_of(500, sample=f"T{i}", seed=i) for i in range(4)])
    counted = count_calls(table).set_index("gene")
    called = (table["padj"] < 0.05) & (table["log2FoldChange"].abs() >= 1)
    up = table[called & (table["log2FoldChange"] > 0)].groupby("gene").size()
    pd.testing.assert_series_equal(
        counted["n_up"][counted["n_up"] > 0], up, check_like=True, check_names=False
    )
    assert set(counted["n_tested"]) == {4}
    recurrence(table, top=7, ax=ax)
    assert len(names(ax)) == 7


def test_no_call_at_all_is_an_error(ax) -> None:
    """The message says what to try."""
    with pytest.raises(ValueError, match="no gene is called in any sample; try a larger padj"):
        recurrence(table_of(10).assign(padj=1.0), ax=ax)


def test_a_group_is_chosen_by_name(ax) -> None:
    """As the table of a cohort has them; it may call its samples n_samples."""
    table = pd.DataFrame({"group": ["a", "b"], "gene": "A", "n_up": [1, 3], "n_down": 0, "n_samples": [5, 7]})
    recurrence(table, group="b", ax=ax)
    assert ax.patches[0].get_width() == 3
    assert (ax.get_title(), ax.get_xlabel()[-4:]) == ("b", "of 7")
    with pytest.raises(ValueError, match="the table has 2 groups; say which with group="):
        recurrence(table, ax=ax)
