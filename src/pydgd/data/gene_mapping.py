# SPDX-License-Identifier: BSD-3-Clause
"""`map_genes`: counts under other names of their genes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from anndata import AnnData

from pydgd.data.blocks import LazyRows, row_blocks
from pydgd.data.gene_plan import plan_genes, sum_type
from pydgd.data.gene_report import GeneReport
from pydgd.data.gene_table import GeneTable
from pydgd.data.rows import CountRows
from pydgd.errors import ConfigError, CountsError


def map_genes(
    adata: AnnData,
    *,
    to: str | Iterable[str] | AnnData,
    table: GeneTable | None = None,
    duplicates: str = "sum",
    layer: str | None = None,
) -> tuple[AnnData, GeneReport]:
    """Give counts the gene names of a model, of other data, or of one kind.

    Names are found as `pydgd.data.match_names` does, by `table`, then by what `var` of `to` and of `adata`
    say. A gene that could mean several is left out and reported, not guessed.

    Args:
        adata: Counts, samples × genes, in memory; dense or sparse.
        to: The wanted names (a model's ``genes``), other data whose genes are wanted, or a kind:
            ``"ensembl"`` (without version), ``"symbol"`` or ``"entrez"``.
        table: Which names mean the same gene. Without one, only versions, ``_PAR_Y`` and capitals can differ,
            and what `var` says.
        duplicates: What is done if several genes turn out to be one: ``"sum"`` their reads or ``"refuse"``.
        layer: Take the counts from this layer instead of X.

    Returns:
        New counts with `obs`, `obsm` and `uns` as before, genes in the order of `to` (wanted genes that the
        data lack are left out) and ``var["source_genes"]``; and the report.

    Raises:
        GeneMismatchError: If no gene is found, or the data are of another species.
        NamesError: If `duplicates` is ``"refuse"`` and several genes turn out to be one.
        ConfigError: If an option is none, or the layer does not exist.

    Example:
        >>> import pandas as pd
        >>> genes = ["ENSG00000141510.17", "ENSG00000146648.18"]
        >>> data = AnnData(np.array([[3, 1]]), var=pd.DataFrame(index=genes))
        >>> mapped, report = map_genes(data, to=["ENSG00000141510"])
        >>> mapped.to_df().to_dict("list"), report.n_lost
        ({'ENSG00000141510': [3]}, 1)
    """
    plan = plan_genes(adata.var, to=to, table=table, duplicates=duplicates)
    counts = _counts(adata, layer)
    report = plan.report(np.asarray(counts.sum(axis=0), dtype=np.float64).ravel())
    renamed = AnnData(
        plan.apply(counts),
        obs=adata.obs.copy(),
        var=plan.var(),
        obsm={key: value.copy() for key, value in adata.obsm.items()},
        uns=dict(adata.uns),
    )
    return renamed, report


def map_rows(
    counts: CountRows,
    *,
    to: str | Iterable[str] | AnnData,
    table: GeneTable | None = None,
    duplicates: str = "sum",
) -> tuple[CountRows, GeneReport]:
    """As `map_genes`, for counts that need not fit in memory; they are renamed as they are read.

    Args:
        counts: Checked counts.
        to: The wanted names, other data, or a kind.
        table: Which names mean the same gene.
        duplicates: ``"sum"`` or ``"refuse"``.

    Raises:
        PyDGDError: As `map_genes` does.
    """
    plan = plan_genes(counts.var, to=to, table=table, duplicates=duplicates)
    reads = np.zeros(counts.n_vars)
    for _, block in row_blocks(counts.matrix):
        reads += block.sum(axis=0, dtype=np.float64)
    matrix = LazyRows(
        lambda rows: plan.apply(
            counts.matrix[rows] if isinstance(rows, slice) else counts.matrix.take(rows)[:]
        ),
        (counts.n_obs, len(plan.targets)),
        sum_type(np.dtype(counts.matrix.dtype)),
    )
    return CountRows(matrix, counts.obs, plan.var()), plan.report(reads)


def _counts(adata: AnnData, layer: str | None) -> Any:  # noqa: ANN401  # array or sparse
    if layer is None and adata.X is None:
        raise CountsError("there are no counts in X; name the layer that holds them")
    if layer is None:
        return adata.X
    if layer not in adata.layers:
        there = ", ".join(map(repr, adata.layers)) or "none"
        raise ConfigError(f"there is no layer {layer!r}; there is {there}")
    return adata.layers[layer]
