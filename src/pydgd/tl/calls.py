# SPDX-License-Identifier: BSD-3-Clause
"""Which genes of which samples a table of differential expression calls, and where its rows belong."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.errors import ConfigError, NamesError
from pydgd.stats import call_directions

DEFAULT_PADJ = 0.05
"""Adjusted p-value that a call stays below."""

Groups = pd.Series | Mapping[str, str] | None
"""Sample → group, for instance a column of `obs`; None is one group of all samples."""

ALL_SAMPLES = "all samples"


def check_columns(table: pd.DataFrame, names: Iterable[str]) -> None:
    """Refuse a table that lacks a column.

    Args:
        table: What a user gave.
        names: Columns that it must have.

    Raises:
        ConfigError: If one is missing.
    """
    missing = [name for name in names if name not in table]
    if missing:
        raise ConfigError(
            f"the table lacks the columns {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. "
            "Give what pydgd.differential_expression returns or `pydgd de` wrote, with all its rows"
        )


def directions(table: pd.DataFrame, *, padj: float, log2fc: float) -> NDArray[np.int8]:
    """Call of every row: 1 up, -1 down, 0 not called.

    Args:
        table: With log2FoldChange and padj.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Raises:
        ConfigError: If a column is missing or a threshold out of range.

    Example:
        >>> table = pd.DataFrame({"log2FoldChange": [3.0, -3.0, 3.0], "padj": [0.01, 0.01, 0.5]})
        >>> directions(table, padj=0.05, log2fc=1.0).tolist()
        [1, -1, 0]
    """
    check_columns(table, ("log2FoldChange", "padj"))
    change, adjusted_p = (table[name].to_numpy(dtype=float) for name in ("log2FoldChange", "padj"))
    return call_directions(change, adjusted_p, padj=padj, log2fc=log2fc)


def calls_of(table: pd.DataFrame, *, padj: float, log2fc: float) -> pd.DataFrame:
    """The tested rows with their calls.

    Args:
        table: What `pydgd.differential_expression` returns.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        Columns sample and gene (categorical, in the table's order), log2FoldChange, padj, call (1, -1 or 0),
        one row per tested gene and sample.

    Raises:
        ConfigError: If a column is missing or a threshold out of range.
        NamesError: If a name is missing, or a pair of sample and gene stands there twice.
    """
    check_columns(table, ("sample", "gene", "log2FoldChange", "padj"))
    frame = pd.DataFrame(
        {
            "sample": in_order(table["sample"]),
            "gene": in_order(table["gene"]),
            "log2FoldChange": table["log2FoldChange"].to_numpy(dtype=float),
            "padj": table["padj"].to_numpy(dtype=float),
            "call": directions(table, padj=padj, log2fc=log2fc),
        }
    )
    # Two integers compare in a tenth of the time of two names.
    pairs = frame["sample"].cat.codes.astype(np.int64) * max(1, frame["gene"].cat.categories.size)
    twice = (pairs + frame["gene"].cat.codes).duplicated()
    if twice.any():
        row = frame[twice.to_numpy()].iloc[0]
        raise NamesError(
            f"the table has sample {row['sample']!r} and gene {row['gene']!r} more than once; give each pair "
            "of sample and gene one row"
        )
    return frame[frame["padj"].notna()]


def in_order(names: pd.Series) -> pd.Categorical:
    """Names as categories in the order in which they first come, as text.

    Args:
        names: Of samples or genes, a column of a table.

    Raises:
        NamesError: If one is missing.

    Example:
        >>> in_order(pd.Series(["b", "a", "b"])).categories.tolist()
        ['b', 'a']
    """
    if names.isna().any():
        raise NamesError(
            f"{names.isna().sum():,} of {len(names):,} rows have no name in the column {names.name}; fill it "
            "in, or leave the rows out"
        )
    codes, found = pd.factorize(names)
    texts = pd.Index(found.astype(str))
    if not texts.is_unique:  # 7 and "7"
        codes, texts = pd.factorize(names.astype(str))
    return pd.Categorical.from_codes(codes, categories=texts)


def groups_of(samples: pd.Index, groups: Groups) -> pd.Series:
    """Group of each sample that is in one.

    Args:
        samples: Names of samples.
        groups: Sample → group; samples without one are left out.

    Returns:
        One text per sample, in the order of `samples`.

    Raises:
        NamesError: If no sample has a group, or a sample has two.

    Example:
        >>> groups_of(pd.Index(["S1", "S2", "S3"]), {"S1": "case", "S3": "case"}).index.tolist()
        ['S1', 'S3']
    """
    if groups is None:
        return pd.Series(ALL_SAMPLES, index=samples, name="group")
    given = pd.Series(groups, dtype=object).dropna()
    given.index = given.index.astype(str)
    if not given.index.is_unique:
        twice = given.index[given.index.duplicated()][0]
        raise NamesError(f"sample {twice!r} has more than one group; give each sample one")
    found = given.reindex(samples).dropna()
    if found.empty:
        raise NamesError(
            f"none of the {len(samples)} samples (first: {samples[:1].tolist()}) is among the "
            f"{len(given)} that have a group (first: {given.index[:1].tolist()}); give groups by sample name"
        )
    return found.astype(str).rename("group")
