# SPDX-License-Identifier: BSD-3-Clause
"""The volcano plot by its artists."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.text import Text

from pydgd.plotting import volcano

from .conftest import table_of


def points(ax) -> dict[str, np.ndarray]:
    """Positions of the points by the first word of their legend entry."""
    return {str(found.get_label()).split()[0]: np.asarray(found.get_offsets()) for found in ax.collections}


@pytest.mark.parametrize("n_genes", [1, 2, 10_000])
def test_every_tested_gene_is_one_point(ax, n_genes) -> None:
    """From one gene to ten thousand, each gene is drawn once, at its change and -log10 p."""
    table = table_of(n_genes)
    assert volcano(table, ax=ax) is ax
    drawn = np.concatenate(list(points(ax).values()))
    expected = np.column_stack([table["log2FoldChange"], -np.log10(table["pvalue"])])
    np.testing.assert_allclose(
        drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)], rtol=1e-9, atol=1e-12
    )


def test_p_values_too_small_for_a_float_are_drawn(ax) -> None:
    """ln p = -5,000 is 10^-2171; as a float it is 0 and its logarithm infinite."""
    table = pd.DataFrame(
        {"sample": "T1", "gene": ["A"], "log2FoldChange": [5.0], "padj": [2.3e-308], "log_pvalue": [-5000.0]}
    )
    volcano(table, ax=ax)
    assert points(ax)["up"][0, 1] == pytest.approx(5000.0 / np.log(10.0))
    assert ax.get_ylim()[1] > 5000.0 / np.log(10.0)


def test_colours_follow_both_cutoffs_and_the_direction(ax) -> None:
    """Up needs padj below and change at or above the cutoffs; the cutoffs may be moved."""
    table = pd.DataFrame(
        {
            "sample": "T1",
            "gene": ["up", "down", "small", "unsure", "at the cutoff"],
            "log2FoldChange": [2.0, -2.0, 0.9, 3.0, 1.5],
            "padj": [0.01, 0.01, 0.01, 0.2, 0.05],
            "log_pvalue": [-9.0, -9.0, -9.0, -1.0, -5.0],
        }
    )
    volcano(table, ax=ax)
    assert points(ax)["up"].tolist() == [[2.0, pytest.approx(9 / np.log(10))]]
    assert points(ax)["down"][:, 0].tolist() == [-2.0]
    assert sorted(points(ax)["unchanged"][:, 0]) == [0.9, 1.5, 3.0]
    drawn = {str(found.get_label()).split()[0]: found for found in ax.collections}
    up, down = drawn["up"], drawn["down"]
    assert not same_color(up.get_facecolor()[0], down.get_facecolor()[0])
    heights = [np.asarray(found.get_paths()[0].vertices)[0, 1] for found in (up, down)]
    assert heights[0] > 0 > heights[1], "triangles point up and down"
    other = volcano(table, padj=0.5, log2fc=0.0, ax=ax.figure.add_subplot())
    assert sorted(points(other)["up"][:, 0]) == [0.9, 1.5, 2.0, 3.0]


def test_the_surest_genes_of_both_directions_are_named(ax) -> None:
    """Ten names: the five smallest p of each direction."""
    table = table_of(2_000)
    volcano(table, ax=ax)
    called = table[(table["padj"] < 0.05) & (table["log2FoldChange"].abs() >= 1)]
    expected = [
        *called[called["log2FoldChange"] > 0].nsmallest(5, "log_pvalue")["gene"],
        *called[called["log2FoldChange"] < 0].nsmallest(5, "log_pvalue")["gene"],
    ]
    assert [text.get_text() for text in ax.texts] == expected


@pytest.mark.parametrize(("label_top", "n_names"), [(0, 0), (-1, 0), (1, 1), (7, 7), (100_000, None)])
def test_the_number_of_names_can_be_chosen(ax, label_top, n_names) -> None:
    """None, an odd number, or more than there are coloured genes."""
    table = table_of(300)
    volcano(table, label_top=label_top, ax=ax)
    called = ((table["padj"] < 0.05) & (table["log2FoldChange"].abs() >= 1)).sum()
    assert len(ax.texts) == (called if n_names is None else n_names)


def test_if_all_changes_are_down_all_names_are_theirs(ax) -> None:
    """Half of the names is kept for a direction only if it has genes."""
    table = table_of(2_000)
    table["log2FoldChange"] = -table["log2FoldChange"].abs()
    volcano(table, ax=ax)
    assert len(ax.texts) == 10


def test_names_do_not_overlap(ax) -> None:
    """Ten names at crowded points: no two boxes share more than a rounding of the letters' widths."""
    volcano(table_of(5_000), ax=ax)
    ax.figure.draw_without_rendering()
    # Of the letters alone; an annotation's own extent has the line to its point in it.
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    overlaps = [
        (a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :]
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 3 and min(a.y1, b.y1) - max(a.y0, b.y0) > 3
    ]  # fmt: skip
    assert overlaps == []


def test_a_dollar_sign_in_a_name_is_text(ax) -> None:
    """matplotlib would read mathematics between two of them, and fail."""
    table = table_of(3).assign(gene=["a$b$", "$\\frac$", "c"], log2FoldChange=5.0, padj=0.0, log_pvalue=-9.0)
    volcano(table.assign(sample="$1$"), ax=ax)
    ax.figure.draw_without_rendering()
    assert ax.get_title() == r"\$1\$"


def test_untested_genes_are_left_out(ax) -> None:
    """A gene without padj has no place in the plot."""
    table = table_of(10)
    table.loc[3:5, ["padj", "log_pvalue"]] = np.nan
    volcano(table, ax=ax)
    assert sum(map(len, points(ax).values())) == 7


@pytest.mark.parametrize(("n_genes", "rasterised"), [(2_000, False), (2_001, True)])
def test_many_points_are_rasterised(ax, n_genes, rasterised) -> None:
    """A PDF with more than two thousand vector points opens slowly."""
    volcano(table_of(n_genes), ax=ax)
    assert {found.get_rasterized() for found in ax.collections} == {rasterised}


def test_several_samples_need_a_choice(ax) -> None:
    """One is drawn if it is named; categorical sample names work."""
    table = pd.concat([table_of(20), table_of(30, sample="T2")]).astype({"sample": "category"})
    volcano(table, sample="T2", ax=ax)
    assert sum(map(len, points(ax).values())) == 30
    assert ax.get_title() == "T2"
    with pytest.raises(ValueError, match=r"several samples: 'T1', 'T2'; say which"):
        volcano(table, ax=ax)
    with pytest.raises(ValueError, match=r"no sample 'T3'.*'T1', 'T2'"):
        volcano(table, sample="T3", ax=ax)


@pytest.mark.parametrize(
    "thresholds", [{"padj": 0.0}, {"padj": 2.0}, {"padj": np.nan}, {"log2fc": -1.0}, {"log2fc": np.inf}]
)
def test_thresholds_that_no_call_could_mean_are_refused(ax, thresholds) -> None:
    """Rather than a picture without calls, or of nothing but calls."""
    with pytest.raises(ValueError, match=next(iter(thresholds))):
        volcano(table_of(20), **thresholds, ax=ax)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: table.iloc[:0], "the table is empty"),
        (lambda table: table.drop(columns="log_pvalue"), "lacks the columns log_pvalue"),
        (lambda table: table.assign(padj=np.nan), "nothing to plot: no gene of sample 'T1'"),
    ],
)
def test_nothing_to_draw_is_an_error(ax, spoil, words) -> None:
    """Rather than empty Axes."""
    with pytest.raises(ValueError, match=words):
        volcano(spoil(table_of(5)), sample="T1" if len(spoil(table_of(5))) else None, ax=ax)


def test_without_ax_a_new_pyplot_figure_is_made() -> None:
    """So that a notebook shows it; one call, one figure."""
    from matplotlib import pyplot as plt

    made = volcano(table_of(5))
    assert plt.get_fignums() == [made.figure.number]


def test_given_ax_leaves_pyplot_and_settings_alone(ax) -> None:
    """No figure is opened and no rcParams change."""
    from matplotlib import pyplot as plt

    before = dict(mpl.rcParams)
    volcano(table_of(5), ax=ax)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_the_legend_keeps_to_the_emptier_corner(ax) -> None:
    """Names and points of the higher side are not covered."""
    table = table_of(500)
    right = table["log2FoldChange"] > 0
    volcano(table[right | (table["log_pvalue"] > -2)], ax=ax)
    assert ax.get_legend()._get_loc() == 2
    flipped = table.assign(log2FoldChange=-table["log2FoldChange"])[right | (table["log_pvalue"] > -2)]
    assert volcano(flipped, ax=ax.figure.add_subplot()).get_legend()._get_loc() == 1
