# SPDX-License-Identifier: BSD-3-Clause
"""The option --only."""

import pandas as pd
import pytest

from pydgd.cli.filters import COLUMNS, Condition, rows_that_meet
from pydgd.errors import ConfigError
from pydgd.stats import differential_expression_table


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("padj<0.1", [0]),
        ("padj <= 0.1", [0, 1]),
        ("padj>0.1", [2]),
        (" padj >= 1e-1 ", [1, 2]),
        ("direction>-1", [0, 3]),
    ],
)
def test_rows_that_meet_a_bound_are_kept(text: str, kept: list[int]) -> None:
    """A missing value meets none."""
    table = pd.DataFrame({"padj": [0.05, 0.1, 0.2, float("nan")], "direction": [1, -1, -1, 0]})
    assert rows_that_meet(table, [Condition.parse(text)]).index.tolist() == kept


def test_all_bounds_must_hold() -> None:
    """And without any, all rows stay."""
    table = pd.DataFrame({"padj": [0.05, 0.1, 0.2], "stat": [3.0, -3.0, 1.0]})
    both = [Condition.parse("padj<0.15"), Condition.parse("stat>0")]
    assert rows_that_meet(table, both).index.tolist() == [0]
    assert rows_that_meet(table, []) is table


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("padj", "write a column"),
        ("padj=0.1", "write a column"),
        ("", "write a column"),
        ("q<0.1", "no column 'q'; there is observed, baseMean"),
        ("padj<low", "'low' is not a number"),
        ("padj<nan", "'nan' is not a number"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, words: str) -> None:
    """With what is allowed."""
    with pytest.raises(ConfigError, match=words):
        Condition.parse(text)


def test_columns_are_the_numbers_of_the_table() -> None:
    """All that are neither names nor flags."""
    table = differential_expression_table([[1, 2]], [[1.0, 2.0]], sample_names=["T1"], genes=["A", "B"])
    numbers = table.select_dtypes("number").columns
    assert set(COLUMNS) == set(numbers)
