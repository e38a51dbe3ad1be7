# SPDX-License-Identifier: BSD-3-Clause
"""Calibration, by artists."""

import numpy as np
import pandas as pd
import pytest

from pydgd.plotting import calibration, calibration_quantiles
from pydgd.stats import CalibrationReport

KINDS = ["calibrated", "negative binomial"]


def report_of(kinds: list[str], *, observed: float = 2.0, n_samples: int = 3) -> CalibrationReport:
    """A flat histogram of each kind, and p-values down to 10^-observed where 0.01 is the least expected."""
    edges = np.arange(21) / 20
    bins = [
        pd.DataFrame({"p_values": kind, "left": edges[:-1], "right": edges[1:], "n": 10, "density": 1.0 + i})
        for i, kind in enumerate(kinds)
    ]
    points = [
        pd.DataFrame({"p_values": kind, "genes": "bright", "observed": [0.0, 1.0, observed],
                      "expected": [0.0, 1.0, 2.0]})
        for kind in kinds
    ]  # fmt: skip
    nothing = pd.DataFrame()
    return CalibrationReport(
        n_samples=n_samples, n_genes=100, pit=pd.concat(bins), ks=nothing, sizes=nothing, calls=nothing,
        directions=pd.DataFrame({"p_values": kinds}), quantiles=pd.concat(points),
    )  # fmt: skip


@pytest.mark.parametrize("kinds", [KINDS, KINDS[1:]])
def test_each_kind_of_p_values_is_a_histogram(ax, kinds) -> None:
    """Twenty bins, named in the legend beside the line at 1, all inside the axes."""
    assert calibration(report_of(kinds), ax=ax) is ax
    assert ax.get_legend_handles_labels()[1] == [*kinds, "as it should be"]
    assert [len(patch.get_data().values) for patch in ax.patches] == [20] * len(kinds)
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > len(kinds)


def test_a_kind_has_its_colour_with_and_without_the_other(ax) -> None:
    """So that two reports can be compared."""
    calibration(report_of(KINDS), ax=ax)
    both = [patch.get_edgecolor() for patch in ax.patches]
    ax.clear()
    calibration(report_of(KINDS[1:]), ax=ax)
    assert [patch.get_edgecolor() for patch in ax.patches] == both[1:]


@pytest.mark.parametrize("kinds", [KINDS, KINDS[1:]])
def test_p_values_are_lines_beside_the_diagonal(ax, kinds) -> None:
    """Expected to the right, observed upwards."""
    assert calibration_quantiles(report_of(kinds), ax=ax) is ax
    assert ax.get_legend_handles_labels()[1] == [*kinds, "as it should be"]
    line = ax.get_legend_handles_labels()[0][0]
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0], [1, 1], [2, 2]])
    diagonal = ax.get_legend_handles_labels()[0][-1]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_p_values_far_too_small_are_triangles_at_the_edge(ax) -> None:
    """They do not press all others against the axis."""
    calibration_quantiles(report_of(KINDS[:1], observed=250.0), ax=ax)
    (triangles,) = [line for line in ax.lines if line.get_marker() == "^"]
    np.testing.assert_array_equal(triangles.get_xydata(), [[2.0, 5.0]])
    assert 5.0 < ax.get_ylim()[1] < 6.0


def test_genes_that_the_report_does_not_have_are_refused(ax) -> None:
    """The message says which there are."""
    with pytest.raises(ValueError, match="no tests of genes='dim'; there is 'bright'"):
        calibration_quantiles(report_of(KINDS), genes="dim", ax=ax)


@pytest.mark.parametrize("draw", [calibration, calibration_quantiles])
def test_without_axes_a_new_figure_is_made(draw) -> None:
    """As everywhere; the title says of how many samples."""
    one, more = (draw(report_of(KINDS, n_samples=n)) for n in (1, 1200))
    assert one.figure is not more.figure
    assert one.get_title().endswith("1 healthy sample")
    assert more.get_title().endswith("1,200 healthy samples")
