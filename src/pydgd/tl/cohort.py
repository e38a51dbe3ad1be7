# SPDX-License-Identifier: BSD-3-Clause
"""Calls over a group of samples: which genes come back, and what the group has in common."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.errors import ConfigError, GeneMismatchError
from pydgd.stats import log_adjusted_p, to_p_value
from pydgd.tl.calls import DEFAULT_PADJ, Groups, calls_of, groups_of
from pydgd.tl.chance import log_chance_of_as_many
from pydgd.words import plural


def recurrence(
    table: pd.DataFrame, *, groups: Groups = None, padj: float = DEFAULT_PADJ, log2fc: float = 0.0
) -> pd.DataFrame:
    """In how many samples of a group each gene is called, and how surprising that is.

    Args:
        table: What `pydgd.differential_expression` returns.
        groups: Sample → group, such as a column of `obs`; samples without one are left out; None is one group
            of all samples.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        One row per group and gene that was tested there, the commonest call first: ``group``, ``gene``;
        ``n_samples`` in which it was tested; ``n_called``, ``n_up``, ``n_down``; ``share`` called;
        ``median_log2FoldChange`` over the samples tested; ``pvalue``, the chance of as many calls if each
        sample's calls fell on its tested genes at random; ``padj`` over the genes of the group. A small
        p-value says that the calls are no accident of single samples; it does not say whether disease, tissue
        or assay made them.

    Raises:
        ConfigError: If a column is missing, a threshold out of range, or no gene tested.
        NamesError: If a pair of sample and gene stands there twice, or no sample has a group.

    Source:
        Hong (2013), Computational Statistics & Data Analysis 59:41, for the Poisson binomial distribution.

    Example:
        >>> table = pd.DataFrame({"sample": ["T1", "T1", "T2", "T2"], "gene": ["A", "B"] * 2,
        ...                       "log2FoldChange": [2.0, 0.0, 3.0, 0.0], "padj": [0.01, 1.0, 0.01, 1.0]})
        >>> recurrence(table)[["gene", "n_samples", "n_called", "n_up", "share", "pvalue"]]
          gene  n_samples  n_called  n_up  share  pvalue
        0    A          2         2     2    1.0    0.25
        1    B          2         0     0    0.0    1.00
    """
    calls = _grouped(table, groups, padj=padj, log2fc=log2fc)
    parts = [_of_group(str(name), rows) for name, rows in calls.groupby("group", observed=True)]
    return pd.concat(parts, ignore_index=True)


def consensus(
    table: pd.DataFrame,
    *,
    groups: Groups = None,
    min_share: float = 0.5,
    min_samples: int = 2,
    padj: float = DEFAULT_PADJ,
    log2fc: float = 0.0,
) -> pd.DataFrame:
    """Genes that a group's samples agree about: called in one direction in enough of them.

    Args:
        table: What `pydgd.differential_expression` returns.
        groups: As for `recurrence`.
        min_share: Share of the samples tested in which the gene is called in that direction.
        min_samples: Fewest such samples.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        One row per group and gene: ``group``, ``gene``, ``direction`` (1 up, -1 down), ``n_samples`` tested,
        ``n_agree``, ``n_against`` (called the other way), ``share`` that agree, ``median_log2FoldChange``,
        ``pvalue`` and ``padj`` as `recurrence` has them; the largest share first, then the largest change.

    Raises:
        ConfigError: If a column is missing, an option out of range, or no gene tested.
        NamesError: If a pair of sample and gene stands there twice, or no sample has a group.
    """
    if not 0 < min_share <= 1 or min_samples < 1:
        raise ConfigError(
            f"min_share is {min_share} and min_samples {min_samples}; allowed are 0 < min_share <= 1 and at "
            "least 1 sample"
        )
    genes = recurrence(table, groups=groups, padj=padj, log2fc=log2fc)
    up = (genes["n_up"] >= genes["n_down"]).to_numpy()
    agree = np.where(up, genes["n_up"], genes["n_down"])
    found = pd.DataFrame(
        {
            "group": genes["group"],
            "gene": genes["gene"],
            "direction": np.where(up, 1, -1).astype(np.int8),
            "n_samples": genes["n_samples"],
            "n_agree": agree,
            "n_against": genes["n_called"] - agree,
            "share": agree / genes["n_samples"],
            "median_log2FoldChange": genes["median_log2FoldChange"],
            "pvalue": genes["pvalue"],
            "padj": genes["padj"],
        }
    )
    found = found[(found["share"] >= min_share) & (found["n_agree"] >= min_samples)]
    size = found["median_log2FoldChange"].abs()
    found = found.assign(_size=size).sort_values(
        ["group", "share", "_size"], ascending=[True, False, False], kind="stable", ignore_index=True
    )
    return found.drop(columns="_size")


def group_summary(
    table: pd.DataFrame, *, groups: Groups = None, padj: float = DEFAULT_PADJ, log2fc: float = 0.0
) -> pd.DataFrame:
    """How many genes are called in the samples of each group.

    Args:
        table: What `pydgd.differential_expression` returns.
        groups: As for `recurrence`.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        One row per group: ``group``, ``n_samples`` with a tested gene; ``n_called_median``,
        ``n_called_min``, ``n_called_max``, ``n_up_median``, ``n_down_median`` per sample; ``n_genes_tested``,
        ``n_genes_called`` in at least one sample, ``n_genes_recurrent`` in at least two, ``n_genes_half`` in
        at least half of those tested.

    Raises:
        ConfigError: If a column is missing, a threshold out of range, or no gene tested.
        NamesError: If a pair of sample and gene stands there twice, or no sample has a group.
    """
    calls = _grouped(table, groups, padj=padj, log2fc=log2fc)
    rows = []
    for name, part in calls.groupby("group", observed=True):
        call, samples = part["call"], part["sample"].cat.remove_unused_categories()
        n_called, n_up, n_down = (
            chosen.groupby(samples, observed=True).sum() for chosen in (call != 0, call > 0, call < 0)
        )
        genes = part["gene"].cat.remove_unused_categories()
        per_gene = (call != 0).groupby(genes, observed=True).agg(["sum", "size"])
        rows.append(
            {
                "group": str(name),
                "n_samples": len(n_called),
                "n_called_median": n_called.median(),
                "n_called_min": int(n_called.min()),
                "n_called_max": int(n_called.max()),
                "n_up_median": n_up.median(),
                "n_down_median": n_down.median(),
                "n_genes_tested": len(per_gene),
                "n_genes_called": int((per_gene["sum"] >= 1).sum()),
                "n_genes_recurrent": int((per_gene["sum"] >= 2).sum()),
                "n_genes_half": int((2 * per_gene["sum"] >= per_gene["size"]).sum()),
            }
        )
    return pd.DataFrame(rows)


def call_matrix(
    table: pd.DataFrame,
    *,
    genes: list[str] | None = None,
    top: int | None = None,
    padj: float = DEFAULT_PADJ,
    log2fc: float = 0.0,
) -> pd.DataFrame:
    """Calls as a matrix, for a heatmap.

    Args:
        table: What `pydgd.differential_expression` returns.
        genes: Which genes, in this order, those that the table lacks as not tested; by default all, those
            called most often first.
        top: Only so many of them; None for all.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.

    Returns:
        Samples × genes: 1 up, -1 down, 0 not called, NaN not tested. `pydgd.wide` gives any other column.

    Raises:
        ConfigError: If a column is missing, a threshold out of range or `top` below 1.
        NamesError: If a pair of sample and gene stands there twice.
        GeneMismatchError: If none of `genes` is in the table.
    """
    if top is not None and top < 1:
        raise ConfigError(f"top is {top}; give at least 1 gene, or None for all")
    calls = calls_of(table, padj=padj, log2fc=log2fc)
    samples, names = calls["sample"].cat, calls["gene"].cat
    values = np.full((len(samples.categories), len(names.categories)), np.nan)
    values[samples.codes, names.codes] = calls["call"]
    matrix = pd.DataFrame(values, index=pd.Index(samples.categories), columns=pd.Index(names.categories))
    if genes is None:
        n_called = np.nansum(np.abs(values), axis=0)
        chosen = matrix.iloc[:, np.argsort(-n_called, kind="stable")]
    else:
        wanted = pd.Index([str(gene) for gene in genes])
        if not wanted.isin(matrix.columns).any():
            raise GeneMismatchError(
                f"none of the {plural(len(wanted), 'gene')} (first: {wanted[:1].tolist()}) is in the table "
                f"(first: {matrix.columns[:1].tolist()}); give names of the same kind"
            )
        chosen = matrix.reindex(columns=wanted)
    return chosen if top is None else chosen.iloc[:, :top]


def _grouped(table: pd.DataFrame, groups: Groups, *, padj: float, log2fc: float) -> pd.DataFrame:
    """Tested rows of the samples that have a group, with it."""
    calls = calls_of(table, padj=padj, log2fc=log2fc)
    samples = calls["sample"].cat.categories
    known = groups_of(samples, groups)
    # Groups in the order of their names, so that the order of samples does not matter.
    of_sample = pd.Categorical(known.reindex(samples), categories=sorted(set(known)))
    calls = calls.assign(group=of_sample.take(calls["sample"].cat.codes.to_numpy()))
    calls = calls[calls["group"].notna()]
    if calls.empty:
        raise ConfigError(
            "no gene was tested: padj is missing in all rows of the samples; give what "
            "pydgd.differential_expression returns for them, with all its rows"
        )
    return calls


def _of_group(group: str, calls: pd.DataFrame) -> pd.DataFrame:
    genes = calls["gene"].cat.remove_unused_categories()
    samples = calls["sample"].cat.remove_unused_categories()
    call = np.zeros((len(samples.cat.categories), len(genes.cat.categories)), dtype=np.int8)
    tested = np.zeros(call.shape, dtype=bool)
    places = (samples.cat.codes.to_numpy(), genes.cat.codes.to_numpy())
    call[places], tested[places] = calls["call"], True
    n_called, n_tested = np.abs(call).sum(axis=0, dtype=np.int64), tested.sum(axis=0)
    log_p = _log_chance(call, tested, n_called)
    changes = calls.groupby(genes, observed=True)["log2FoldChange"]
    table = pd.DataFrame(
        {
            "group": group,
            "gene": genes.cat.categories.astype(str),
            "n_samples": n_tested,
            "n_called": n_called,
            "n_up": (call > 0).sum(axis=0),
            "n_down": (call < 0).sum(axis=0),
            "share": n_called / n_tested,
            "median_log2FoldChange": changes.median().to_numpy(),
            "pvalue": to_p_value(log_p),
            "padj": to_p_value(log_adjusted_p(log_p)),
        }
    )
    return table.sort_values(["n_called", "pvalue"], ascending=[False, True], kind="stable")


def _log_chance(
    call: NDArray[np.int8], tested: NDArray[np.bool_], n_called: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Natural log of the chance of as many calls or more, of each gene."""
    rates = np.abs(call).sum(axis=1) / tested.sum(axis=1)
    # Most genes were tested in the same samples, and there are few counts.
    patterns = np.packbits(tested, axis=0).astype(np.int64)
    _, first, which = np.unique(
        np.vstack([patterns, n_called]), axis=1, return_index=True, return_inverse=True
    )
    return log_chance_of_as_many(tested[:, first].T * rates, n_called[first])[which.ravel()]
