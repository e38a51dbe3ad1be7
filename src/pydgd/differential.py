# SPDX-License-Identifier: BSD-3-Clause
"""Which genes of a sample differ from its closest normal."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from anndata import AnnData

from pydgd.data import align_to_genes, as_counts
from pydgd.data.blocks import AnyMatrix
from pydgd.inference import ClosestNormal
from pydgd.stats import differential_expression_table


def differential_expression(
    query: AnnData | pd.DataFrame | AnyMatrix,
    normal: ClosestNormal,
    *,
    sample_names: Iterable[str] | None = None,
    genes: Iterable[str] | None = None,
    calibrated: bool = True,
    **options: Any,  # noqa: ANN401  # those of differential_expression_table
) -> pd.DataFrame:
    """Test every gene of every sample against its closest normal; samples and genes are matched by name.

    Args:
        query: Counts, samples × genes; a NumPy array or SciPy sparse matrix needs both kinds of names.
        normal: What `DGD.closest_normal` found for these samples.
        sample_names: Names of the rows of an array.
        genes: Names of the columns of an array.
        calibrated: Read p-values off the residuals of healthy samples, where `normal` has them; else they are
            those of the negative binomial, which are too small on new samples.
        **options: `rule`, `adjust`, `level`, `gene_list`, `pseudocount`, `padj_below` … of
            `pydgd.stats.differential_expression_table`.

    Returns:
        One row per sample and model gene; log2FoldChange > 0 is up in the sample.

    Raises:
        NamesError: If a sample of the query has no closest normal in `normal`.

    Example:
        >>> from pydgd import DGD
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> normal = DGD.fit(cohort.normals, latent_dim=4, epochs=5).closest_normal(cohort.cases)
        >>> differential_expression(cohort.cases, normal).columns[:4].tolist()
        ['sample', 'gene', 'observed', 'baseMean']
    """
    adata = as_counts(query, sample_names=sample_names, genes=genes)
    rows = normal.rows_of(adata.obs_names)
    # How many genes must be shared was settled when the closest normal was found.
    aligned = align_to_genes(adata, normal.genes, min_shared=1 / len(normal.genes))
    return differential_expression_table(
        aligned.counts,
        normal.means[rows],
        normal.r if normal.r is None or normal.r.ndim == 1 else normal.r[rows],
        sample_names=aligned.sample_names,
        genes=normal.genes,
        measured=aligned.measured,
        log_mean_variance=None if normal.log_mean_variance is None else normal.log_mean_variance[rows],
        departure=0.0 if normal.departure is None else normal.departure[rows],
        null=normal.null if calibrated else None,
        **options,
    )
