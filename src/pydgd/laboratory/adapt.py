# SPDX-License-Identifier: BSD-3-Clause
"""A model for another laboratory, from some of its samples."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.data import align_to_genes, as_counts
from pydgd.data.blocks import AnyMatrix
from pydgd.dgd import DGD
from pydgd.errors import TrainingError
from pydgd.inference import SearchOptions
from pydgd.laboratory.recalibrate import ENOUGH, recalibrated
from pydgd.laboratory.shift import FEWEST, SeenSamples, check_scaling, shifted


def adapt(
    model: DGD,
    reference: AnnData | pd.DataFrame | AnyMatrix,
    *,
    healthy: bool = True,
    sample_names: Iterable[str] | None = None,
    genes: Iterable[str] | None = None,
    min_shared: float = 0.5,
    options: SearchOptions | None = None,
) -> DGD:
    """The model as it would be for samples of another laboratory or protocol.

    Each gene's log mean is moved by what the reference samples have more or less of it than their closest
    normals, robustly and shrunk (`pydgd.stats.offsets`); the error of that enters the dispersion. From ten
    healthy samples on, what makes p-values hold is learnt anew as well, each sample by offsets of others.

    **What most reference samples share is taken for the laboratory's**: give samples of the organs to be
    asked about; never a cohort of one tumour, and not the sample that is asked.

    Args:
        model: Trained on samples of other laboratories, with means per total reads (``scaling="total"``).
        reference: Counts of at least three samples of the new one, samples × genes; a NumPy array or SciPy
            sparse matrix needs both kinds of names. Their order changes nothing.
        healthy: Whether they are; else (patients with unlike diseases) the null distribution of the first
            laboratory is kept, and p-values are too small where the new one is more variable.
        sample_names: Names of the rows of an array.
        genes: Names of the columns of an array.
        min_shared: Share of the model's genes that the samples must have; the others get no offset.
        options: How hard to search.

    Returns:
        A model that is used and saved like any other. The one given is not changed.

    Raises:
        ConfigError: If the model's scaling factors follow another rule.
        CountsError: If the counts are not counts.
        GeneMismatchError: If too few genes are shared.
        NamesError: If sample or gene names are missing or repeated.
        TrainingError: If there are fewer than three samples.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> model = DGD.fit(cohort.normals[::2], latent_dim=4, epochs=5)
        >>> adapt(model, cohort.normals[1::2][:5]).provenance["adapted_to"]["n_samples"]
        5
    """
    check_scaling(model)
    adata = as_counts(reference, sample_names=sample_names, genes=genes)
    adata = adata[adata.obs_names.argsort()]
    if adata.n_obs < FEWEST:
        raise TrainingError(
            f"offsets of another laboratory need at least {FEWEST} of its samples, got {adata.n_obs}; of "
            "fewer, a gene that changed in one sample looks like one that the laboratory reads otherwise"
        )
    aligned = align_to_genes(adata, model.genes, min_shared=min_shared)
    seen = SeenSamples(model, aligned, options)
    adapted = shifted(model, seen.offsets(np.arange(adata.n_obs)), n_samples=adata.n_obs)
    if not healthy or adata.n_obs < ENOUGH:
        return adapted
    return recalibrated(adapted, model, seen, aligned, options)
