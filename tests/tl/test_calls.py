# SPDX-License-Identifier: BSD-3-Clause
"""Which rows are calls, and groups of samples."""

import numpy as np
import pandas as pd
import pytest

from pydgd.errors import ConfigError, NamesError
from pydgd.tl.calls import ALL_SAMPLES, calls_of, directions, groups_of

NAN = float("nan")


def table(**columns: list[object]) -> pd.DataFrame:
    known = {"sample": ["S1"] * 3, "gene": ["A", "B", "C"], "log2FoldChange": [2.0, -2.0, 0.5]}
    return pd.DataFrame({**known, "padj": [0.01, 0.01, 0.01], **columns})


def test_a_call_passes_both_thresholds() -> None:
    """Below padj, at or beyond log2fc; its sign is that of the change."""
    assert directions(table(), padj=0.05, log2fc=2.0).tolist() == [1, -1, 0]
    assert directions(table(), padj=0.01, log2fc=0.0).tolist() == [0, 0, 0]


def test_a_gene_without_padj_is_neither_tested_nor_called() -> None:
    """It leaves the tested rows."""
    frame = calls_of(table(padj=[NAN, 0.01, 0.9]), padj=0.05, log2fc=0.0)
    assert frame["gene"].tolist() == ["B", "C"]
    assert frame["call"].tolist() == [-1, 0]
    assert frame["gene"].cat.categories.tolist() == ["A", "B", "C"]


def test_a_missing_column_is_named() -> None:
    """With where the table comes from."""
    with pytest.raises(ConfigError, match=r"lacks the columns padj;.*pydgd\.differential_expression"):
        calls_of(table().drop(columns="padj"), padj=0.05, log2fc=0.0)


def test_a_pair_that_stands_there_twice_is_named() -> None:
    """It would be counted twice."""
    with pytest.raises(NamesError, match="sample 'S1' and gene 'A' more than once"):
        calls_of(table(gene=["A", "A", "B"]), padj=0.05, log2fc=0.0)


def test_a_row_without_a_name_is_refused() -> None:
    """Rather than counted for another sample."""
    for column in ("sample", "gene"):
        with pytest.raises(NamesError, match=f"1 of 3 rows have no name in the column {column}"):
            calls_of(table(**{column: ["A", None, "B"]}), padj=0.05, log2fc=0.0)


def test_numbers_and_texts_name_the_same() -> None:
    """Names are compared as text."""
    frame = calls_of(table(sample=[7, "7", "8"]), padj=0.05, log2fc=0.0)
    assert frame["sample"].tolist() == ["7", "7", "8"]


def test_groups_go_by_name() -> None:
    """Samples without a group are left out; None is one group."""
    samples = pd.Index(["S1", "S2"])
    assert groups_of(samples, {"S2": "case", "S9": "case"}).to_dict() == {"S2": "case"}
    assert groups_of(samples, pd.Series([np.nan, "x"], index=["S1", "S2"])).to_dict() == {"S2": "x"}
    assert set(groups_of(samples, None)) == {ALL_SAMPLES}
    with pytest.raises(NamesError, match="none of the 2 samples"):
        groups_of(samples, {"T1": "case"})
    with pytest.raises(NamesError, match="'S1' has more than one group"):
        groups_of(samples, pd.Series(["a", "b"], index=["S1", "S1"]))
