# SPDX-License-Identifier: BSD-3-Clause
"""OUTRIDER's two views of a cohort's calls: by sample and by gene."""

import numpy as np
import pandas as pd

from pydgd.tl.calls import DEFAULT_PADJ, calls_of

_COUNTS = ["n_tested", "n_called", "n_up", "n_down"]


def aberrant_samples(table: pd.DataFrame, *, padj: float = DEFAULT_PADJ, log2fc: float = 0.0) -> pd.DataFrame:
    """How many genes are called in each sample; the sample with most first.

    Args:
        table: What `pydgd.differential_expression` returns.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        One row per sample: ``rank``, ``sample``, ``n_tested`` genes, ``n_called``, ``n_up``, ``n_down``,
        ``share`` called of the tested, and ``fold_of_median``, the sample's calls over the median sample's
        (NaN if that has none). Samples with as many calls share the best rank and keep their order.

    Raises:
        ConfigError: If a column is missing or a threshold out of range.
        NamesError: If a pair of sample and gene stands there twice.

    Source:
        Brechtmann et al. (2018), American Journal of Human Genetics 103:907.

    Example:
        >>> table = pd.DataFrame({"sample": ["T1", "T2"], "gene": "A", "log2FoldChange": [0.1, 4.0],
        ...                       "padj": [0.9, 1e-6]})
        >>> aberrant_samples(table)[["rank", "sample", "n_called", "share"]]
           rank sample  n_called  share
        0     1     T2         1    1.0
        1     2     T1         0    0.0
    """
    counts = _counts(calls_of(table, padj=padj, log2fc=log2fc), "sample")
    usual = counts["n_called"].median()
    counts["fold_of_median"] = counts["n_called"] / usual if usual > 0 else np.nan
    return _ranked(counts, "sample")


def aberrant_genes(table: pd.DataFrame, *, padj: float = DEFAULT_PADJ, log2fc: float = 0.0) -> pd.DataFrame:
    """In how many samples each gene is called; the gene called most often first.

    A gene that is called in many unrelated samples more likely tells of the assay or of the model than of the
    samples; one that is called in a single sample is what a search for rare disease looks for.

    Args:
        table: What `pydgd.differential_expression` returns.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        One row per gene: ``rank``, ``gene``, ``n_tested`` samples, ``n_called``, ``n_up``, ``n_down``,
        ``share`` called of the tested, ``smallest_padj`` and ``sample``, the one that has it (None if the
        gene was tested in none). Genes with as many calls share the best rank and keep their order.

    Raises:
        ConfigError: If a column is missing or a threshold out of range.
        NamesError: If a pair of sample and gene stands there twice.

    Source:
        Brechtmann et al. (2018), American Journal of Human Genetics 103:907.

    Example:
        >>> table = pd.DataFrame({"sample": "T1", "gene": ["A", "B"], "log2FoldChange": [0.1, 4.0],
        ...                       "padj": [0.9, 1e-6]})
        >>> aberrant_genes(table)[["rank", "gene", "n_called", "sample"]]
           rank gene  n_called sample
        0     1    B         1     T1
        1     2    A         0     T1
    """
    calls = calls_of(table, padj=padj, log2fc=log2fc)
    counts = _counts(calls, "gene")
    least = calls.loc[calls.groupby("gene", observed=True)["padj"].idxmin(), ["gene", "padj", "sample"]]
    least = least.assign(sample=least["sample"].astype(object)).set_index("gene")
    counts["smallest_padj"] = least["padj"].reindex(counts.index)
    counts["sample"] = least["sample"].reindex(counts.index).where(counts["n_tested"] > 0, None)
    return _ranked(counts, "gene")


def _counts(calls: pd.DataFrame, by: str) -> pd.DataFrame:
    """Tested, called, up and down, and the share called, per sample or gene; also of those never tested."""
    each = pd.DataFrame(
        {
            by: calls[by],
            "n_tested": 1,
            "n_called": calls["call"] != 0,
            "n_up": calls["call"] > 0,
            "n_down": calls["call"] < 0,
        }
    )
    counts = each.groupby(by, observed=False, sort=False)[_COUNTS].sum().astype(np.int64)
    # In the table's order: groupby puts categories that have no row last.
    counts = counts.reindex(calls[by].cat.categories)
    counts["share"] = counts["n_called"] / counts["n_tested"].where(counts["n_tested"] > 0)
    return counts


def _ranked(counts: pd.DataFrame, name: str) -> pd.DataFrame:
    counts = counts.sort_values("n_called", ascending=False, kind="stable")
    rank = counts["n_called"].rank(method="min", ascending=False).astype(np.int64)
    counts.insert(0, "rank", rank)
    counts.insert(1, name, counts.index.astype(str))
    return counts.reset_index(drop=True)
