# SPDX-License-Identifier: BSD-3-Clause
"""Residuals as samples × genes, and the genes that lie beyond a threshold in many samples."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.data import align_to_genes, as_counts
from pydgd.errors import ConfigError
from pydgd.inference import ClosestNormal
from pydgd.results import wide
from pydgd.stats import (
    deviance_residuals,
    mid_p_residuals,
    named_uniforms,
    pearson_residuals,
    randomised_quantile_residuals,
)

RESIDUALS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "mid-p": mid_p_residuals,
    "randomised": randomised_quantile_residuals,
    "pearson": pearson_residuals,
    "deviance": deviance_residuals,
}
"""Kind of residual → function of counts, expected reads and r."""


def residuals(
    data: AnnData | pd.DataFrame, normal: ClosestNormal | None = None, *, kind: str = "mid-p", seed: int = 0
) -> pd.DataFrame:
    """Residual of every gene of every sample: how far its reads are from those of the closest normal.

    Args:
        data: Counts, samples × genes, together with `normal`; or, without `normal`, an AnnData as
            `ClosestNormal.to_anndata` and `pydgd closest-normal` leave it, or the table of
            `pydgd.differential_expression`, whose ``stat`` is taken.
        normal: What `DGD.closest_normal` found for these samples.
        kind: ``mid-p``, a signed z-score; ``randomised``, normal if the model is true; ``pearson`` or
            ``deviance``.
        seed: Decides the ``randomised`` ones, with the names of sample and gene.

    Returns:
        Samples × genes of the model, in the order given; above 0 for too many reads; all finite, NaN for
        genes that were not measured.

    Raises:
        ConfigError: If the kind is unknown, or there is nothing to compare the counts with.
        NamesError: If a sample has no closest normal.

    Source:
        Dunn & Smyth (1996), Journal of Computational and Graphical Statistics 5:236.

    Example:
        >>> table = pd.DataFrame({"sample": ["T1", "T1"], "gene": ["A", "B"], "stat": [-0.5, 4.0]})
        >>> residuals(table)
              A    B
        T1 -0.5  4.0
    """
    if kind not in RESIDUALS:
        raise ConfigError(f"kind is {kind!r}; choose one of {', '.join(RESIDUALS)}")
    if normal is not None:
        return _against(as_counts(data), normal, kind, seed)
    if isinstance(data, AnnData):
        return _of_layers(data, kind, seed)
    if {"sample", "gene", "stat"} <= set(data.columns) and kind == "mid-p":
        return wide(data, "stat")
    raise ConfigError(
        f"there is nothing to compute {kind} residuals from: give counts with their closest normal, the "
        "AnnData of closest-normal, or (mid-p only) a table with sample, gene and stat"
    )


def _against(counts: AnnData, normal: ClosestNormal, kind: str, seed: int) -> pd.DataFrame:
    rows = normal.rows_of(counts.obs_names)
    aligned = align_to_genes(counts, normal.genes, min_shared=1 / len(normal.genes))
    r = np.full(len(normal.genes), np.inf) if normal.r is None else normal.r
    r = r[rows] if r.ndim == 2 else r
    values = np.full(aligned.counts.shape, np.nan)
    seen = aligned.measured
    names = (aligned.sample_names, np.array(aligned.genes, dtype=object)[seen])
    reads, means = aligned.counts[:, seen], normal.means[rows][:, seen]
    values[:, seen] = _residuals(kind, reads, means, r[..., seen], names=names, seed=seed)
    return pd.DataFrame(values, index=pd.Index(aligned.sample_names), columns=pd.Index(aligned.genes))


def _of_layers(adata: AnnData, kind: str, seed: int) -> pd.DataFrame:
    if "dgd_mean" not in adata.layers:
        raise ConfigError(
            "the AnnData has no layers['dgd_mean']; give what ClosestNormal.to_anndata returns or `pydgd "
            "closest-normal` wrote (without --no-means)"
        )
    counts = as_counts(adata)
    means = np.asarray(adata.layers["dgd_mean"])
    known = ~np.isnan(means).all(axis=0)
    if "dgd_r" in adata.layers:
        r = np.asarray(adata.layers["dgd_r"])[:, known]
    elif "dgd_r" in adata.var:
        r = adata.var["dgd_r"].to_numpy()[known]
    else:
        r = np.array(np.inf)
    reads = counts.X[:, known]
    reads = reads.toarray() if hasattr(reads, "toarray") else reads
    names = (counts.obs_names, counts.var_names[known])
    values = _residuals(kind, reads, means[:, known], r, names=names, seed=seed)
    return pd.DataFrame(values, index=names[0].copy(), columns=names[1].copy())


def _residuals(
    kind: str,
    counts: NDArray[np.generic],
    mu: NDArray[np.generic],
    r: NDArray[np.generic],
    *,
    names: tuple[Iterable[str], Iterable[str]],
    seed: int,
) -> NDArray[np.float64]:
    extra = {"uniforms": named_uniforms(*names, seed=seed)} if kind == "randomised" else {}
    return RESIDUALS[kind](counts, mu, r, **extra)


def genes_by_residual(residuals: pd.DataFrame, *, below: float = -1.0, above: float = 1.0) -> pd.DataFrame:
    """In how many samples each gene's residual lies beyond a threshold; the commonest first.

    Args:
        residuals: Samples × genes, as `residuals` gives them.
        below: A residual of at most this is too low.
        above: One of at least this is too high.

    Returns:
        One row per gene: ``gene``; ``n_measured`` samples; ``n_below``, ``n_above`` and ``n_beyond``, their
        sum; ``share`` beyond, of the measured; ``median`` residual. Genes with as many samples keep their
        order.

    Raises:
        ConfigError: If `below` is not smaller than `above`.

    Example:
        >>> z = pd.DataFrame({"A": [0.1, 2.0], "B": [-3.0, 2.0]}, index=["T1", "T2"])
        >>> genes_by_residual(z)[["gene", "n_below", "n_above", "share"]]
          gene  n_below  n_above  share
        0    B        1        1    1.0
        1    A        0        1    0.5
    """
    if not below < above:
        raise ConfigError(f"below is {below} and above {above}; below must be the smaller one")
    values = residuals.to_numpy(dtype=float)
    measured = (~np.isnan(values)).sum(axis=0)
    too_low, too_high = (values <= below).sum(axis=0), (values >= above).sum(axis=0)
    with np.errstate(invalid="ignore"):
        share = (too_low + too_high) / measured
    table = pd.DataFrame(
        {
            "gene": residuals.columns.astype(str),
            "n_measured": measured,
            "n_below": too_low,
            "n_above": too_high,
            "n_beyond": too_low + too_high,
            "share": share,
            "median": residuals.median(axis=0).to_numpy(),
        }
    )
    return table.sort_values("n_beyond", ascending=False, kind="stable", ignore_index=True)


def residual_recurrence(genes: pd.DataFrame) -> pd.DataFrame:
    """How many genes lie beyond the threshold in exactly so many samples, and which.

    Args:
        genes: What `genes_by_residual` returned.

    Returns:
        One row per ``side`` (below, above) and ``n_samples`` from 0 to the largest number measured:
        ``n_genes`` and ``genes``, their names with semicolons between. Genes measured in no sample are in
        none.

    Raises:
        ConfigError: If it is another table.

    Example:
        >>> z = pd.DataFrame({"A": [0.1, 2.0], "B": [-3.0, 2.0]}, index=["T1", "T2"])
        >>> table = residual_recurrence(genes_by_residual(z))
        >>> table[table["n_genes"] > 0].values.tolist()
        [['below', 0, 1, 'A'], ['below', 1, 1, 'B'], ['above', 1, 2, 'B;A']]
    """
    needed = ("gene", "n_measured", "n_below", "n_above")
    if missing := [name for name in needed if name not in genes]:
        raise ConfigError(f"the table lacks {', '.join(missing)}; give what genes_by_residual returned")
    genes = genes[genes["n_measured"] > 0]
    most = int(genes["n_measured"].max()) if len(genes) else 0
    parts = []
    for side in ("below", "above"):
        grouped = genes.groupby(f"n_{side}")["gene"].agg(list).reindex(range(most + 1))
        lists = [found if isinstance(found, list) else [] for found in grouped]
        parts.append(
            pd.DataFrame(
                {
                    "side": side,
                    "n_samples": range(most + 1),
                    "n_genes": [len(found) for found in lists],
                    "genes": [";".join(found) for found in lists],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
