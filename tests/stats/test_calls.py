# SPDX-License-Identifier: BSD-3-Clause
"""The one rule of what is called: tables, pictures and pages go by it."""

import numpy as np
import pandas as pd
import pytest

from pydgd.errors import ConfigError
from pydgd.plotting.genes import Calls
from pydgd.report.samples import Thresholds
from pydgd.stats import call_directions, check_thresholds
from pydgd.tl.calls import directions

NAN = float("nan")
OUT_OF_RANGE = [
    ("padj", 0.0),
    ("padj", 1.5),
    ("padj", NAN),
    ("log2fc", -1.0),
    ("log2fc", np.inf),
    ("log2fc", NAN),
]


def test_thresholds_belong_to_a_call_as_documented() -> None:
    """padj stays below its threshold, a change may be at its own; what is missing is not called."""
    change = [2.0, -2.0, 1.9, 2.0, NAN, 2.0, 0.0]
    adjusted_p = [0.01, 0.01, 0.01, 0.05, 0.01, NAN, 0.01]
    assert call_directions(change, adjusted_p, padj=0.05, log2fc=2.0).tolist() == [1, -1, 0, 0, 0, 0, 0]
    assert call_directions(change, adjusted_p, padj=1.0, log2fc=0.0).tolist() == [1, -1, 1, 1, 0, 0, 0]
    assert call_directions([], [], padj=0.05, log2fc=0.0).tolist() == []


def test_tables_and_pictures_agree() -> None:
    """Random genes, thresholds among their values."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "log2FoldChange": generator.integers(-4, 5, 500) / 2,
            "padj": generator.choice([0.01, 0.05, 0.5, NAN], 500),
        }
    )
    for padj, log2fc in ((0.05, 1.0), (0.06, 0.0), (1.0, 0.5)):
        expected = call_directions(table["log2FoldChange"], table["padj"], padj=padj, log2fc=log2fc)
        drawn = Calls.of(table, padj=padj, log2fc=log2fc)
        np.testing.assert_array_equal(directions(table, padj=padj, log2fc=log2fc), expected)
        np.testing.assert_array_equal(drawn.up.astype(int) - drawn.down, expected)


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_thresholds_out_of_range_are_refused(name: str, value: float) -> None:
    """By name, wherever they are given."""
    thresholds = {"padj": 0.05, "log2fc": 0.0, name: value}
    with pytest.raises(ConfigError, match=f"{name} is"):
        check_thresholds(**thresholds)
    with pytest.raises(ConfigError, match=f"{name} is"):
        Thresholds(**thresholds)
