# SPDX-License-Identifier: BSD-3-Clause
"""One answer of several models, such as those of other seeds or with other donors held out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.errors import ConfigError
from pydgd.stats.arguments import FloatArray
from pydgd.stats.local_fdr import local_fdr
from pydgd.stats.multiple_testing import log_adjusted_p
from pydgd.stats.two_sided import to_p_value

_MEANS = ("log2FoldChange", "stat", "log_pvalue")
_GEOMETRIC = ("baseMean", "r", "pvalue_nb")
_KEYS = ["sample", "gene"]


def combined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put together the tables of several models for the same samples.

    Fold changes, residuals and ln p are averaged, `baseMean` and r in logs; `lfcSE` has the variance between
    the models as well. So `pvalue` is the geometric mean of theirs: what each of them says where they agree,
    and never smaller than the smallest. `padj` and `lfdr` are made of it anew.

    Args:
        tables: Of `differential_expression`, all genes of all samples; rows are matched by sample and gene.

    Returns:
        A table of the same columns, in the first one's order.

    Raises:
        ConfigError: If there is no table, or they are not of the same samples and genes, whole, tested alike.

    Source:
        Vovk & Wang (2020), Biometrika 107:791: averages of p-values that depend on each other.

    Example:
        >>> from pydgd import DGD, differential_expression
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> models = [DGD.fit(cohort.normals, latent_dim=4, epochs=5, seed=seed) for seed in range(2)]
        >>> tables = [differential_expression(cohort.cases, m.closest_normal(cohort.cases)) for m in models]
        >>> from pydgd.tl import combined
        >>> together = combined(tables)
        >>> len(together) == len(tables[0]), bool((together["pvalue"] <= 1).all())
        (True, True)
    """
    if not tables:
        raise ConfigError("no table to combine; give those of two models or more")
    rows = [_in_order(table, tables[0], number) for number, table in enumerate(tables, start=1)]
    result = rows[0].copy()
    for name in _MEANS:
        result[name] = _stacked(rows, name).mean(axis=0)
    with np.errstate(divide="ignore"):
        for name in _GEOMETRIC:
            result[name] = np.exp(np.log(_stacked(rows, name)).mean(axis=0))
    between = _stacked(rows, "log2FoldChange").var(axis=0)
    result["lfcSE"] = np.sqrt(np.square(_stacked(rows, "lfcSE")).mean(axis=0) + between)
    result["direction"] = _direction(_stacked(rows, "direction"), result["stat"].to_numpy())
    for name in ("eligible_down", "eligible_up"):
        result[name] = np.asarray(_stacked(rows, name).all(axis=0))
    return _tested(result, adjust=tables[0].attrs.get("adjust", "bh"))


def _direction(directions: FloatArray, residual: FloatArray) -> NDArray[np.int8]:
    """That of most models; of a tie the mean residual's. 0 where nothing was measured."""
    votes = directions.sum(axis=0) + 0.5 * np.sign(np.nan_to_num(residual))
    return np.asarray(np.sign(votes), dtype=np.int8)


def _tested(table: pd.DataFrame, *, adjust: str) -> pd.DataFrame:
    """Everything that follows from ln p, sample by sample."""
    table["pvalue"] = to_p_value(table["log_pvalue"].to_numpy())
    padj, lfdr = np.full(len(table), np.nan), np.full(len(table), np.nan)
    is_tested = table["untested_reason"].isna().to_numpy()
    for places in table.groupby("sample", observed=True).indices.values():
        log_p, tested = table["log_pvalue"].to_numpy()[places], is_tested[places]
        padj[places] = to_p_value(log_adjusted_p(log_p, adjust=adjust, tested=tested))
        lfdr[places[tested]] = local_fdr(to_p_value(log_p[tested]))
    table["padj"], table["lfdr"] = padj, lfdr
    return table


def _in_order(table: pd.DataFrame, first: pd.DataFrame, number: int) -> pd.DataFrame:
    """Rows of a table in the order of the first one's."""
    _check(table, first, number)
    if table[_KEYS].astype(str).equals(first[_KEYS].astype(str)):
        return table.reset_index(drop=True)
    wanted = pd.MultiIndex.from_frame(first[_KEYS].astype(str))
    return table.iloc[pd.MultiIndex.from_frame(table[_KEYS].astype(str)).get_indexer(wanted)].reset_index(
        drop=True
    )


def _check(table: pd.DataFrame, first: pd.DataFrame, number: int) -> None:
    lacking = sorted(set(first.columns) - set(table.columns))
    if lacking:
        raise ConfigError(
            f"table {number} lacks the column {lacking[0]!r} of the first; combine tables of one version"
        )
    if table.attrs != first.attrs:
        raise ConfigError(
            f"table {number} was tested with {table.attrs}, the first with {first.attrs}; test alike"
        )
    here, there = (pd.MultiIndex.from_frame(t[_KEYS].astype(str)) for t in (table, first))
    if not (here.is_unique and there.is_unique and len(here) == len(there) and here.isin(there).all()):
        raise ConfigError(
            f"table {number} has {len(here):,} rows, not those of the same samples and genes as the first's "
            f"{len(there):,}; combine whole tables of the same samples, of models with the same genes"
        )
    if first.attrs.get("padj_below") is not None:
        raise ConfigError("tables with padj_below lack genes that another model calls; combine whole tables")


def _stacked(tables: Sequence[pd.DataFrame], name: str) -> FloatArray:
    return np.stack([table[name].to_numpy(dtype=np.float64) for table in tables])
