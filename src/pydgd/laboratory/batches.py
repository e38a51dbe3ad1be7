# SPDX-License-Identifier: BSD-3-Clause
"""Closest normals of samples of other laboratories, each helped by the others of its batch."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.data import align_to_genes, as_counts
from pydgd.dgd import DGD
from pydgd.errors import ConfigError
from pydgd.inference import ClosestNormal, SearchOptions
from pydgd.laboratory.shift import FEWEST, SeenSamples, check_scaling, shifted

_log = logging.getLogger(__name__)


def closest_normal_by_batch(
    model: DGD,
    query: AnnData,
    *,
    batch_key: str,
    point: str = "posterior",
    min_shared: float = 0.5,
    options: SearchOptions | None = None,
) -> ClosestNormal:
    """Closest normals of samples of other laboratories, each by a model that is adapted to its neighbours.

    A sample's offsets come from the other samples of its batch, so that none hides its own changes; what most
    of them share stays hidden (see `adapt`, which is better where healthy samples are at hand). A sample with
    fewer than three neighbours is asked as it stands. An answer depends on the batch, and on nothing else.

    Args:
        model: As in `adapt`.
        query: Counts, samples × genes.
        batch_key: Column of `obs` that names each sample's laboratory or protocol; a sample without one is
            asked as it stands.
        point: As in `DGD.closest_normal`.
        min_shared: Share of the model's genes that the query must have.
        options: How hard to search.

    Returns:
        As `DGD.closest_normal`, with ``dgd_n_neighbours`` in the fit table: 0 where no offset was taken.

    Raises:
        ConfigError: If `batch_key` is no column of `obs`, or as in `adapt`.
        CountsError: If the counts are not counts.
        GeneMismatchError: If too few genes are shared.
        NamesError: If sample or gene names are missing or repeated.

    Example:
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> query = cohort.cases[:5].copy()
        >>> query.obs["study"] = "ours"
        >>> model = DGD.fit(cohort.normals, latent_dim=4, epochs=5)
        >>> closest_normal_by_batch(model, query, batch_key="study").fit["dgd_n_neighbours"].tolist()
        [4, 4, 4, 4, 4]
    """
    check_scaling(model)
    if batch_key not in query.obs:
        raise ConfigError(
            f"batch_key {batch_key!r} is not a column of obs; there are {', '.join(query.obs.columns)}"
        )
    counts = as_counts(query)
    seen = SeenSamples(model, align_to_genes(counts, model.genes, min_shared=min_shared), options)
    batch = query.obs[batch_key].astype("string")
    _warn_of_small_batches(batch)
    parts = []
    for i, name in enumerate(batch):
        same = (batch == name).fillna(value=False).to_numpy(dtype=bool)
        others = np.setdiff1d(np.flatnonzero(same), [i])
        # By name: sums of floats depend on their order.
        others = others[np.argsort(query.obs_names[others])]
        n_others = len(others) if len(others) >= FEWEST else 0
        own = shifted(model, seen.offsets(others), n_samples=n_others) if n_others else model
        part = own.closest_normal(counts[i : i + 1], point=point, min_shared=min_shared, options=options)
        parts.append(replace(part, fit=part.fit.assign(dgd_n_neighbours=n_others)))
    return _joined(
        parts, {**parts[0].provenance, "model_sha256": model.record.content_hash, "batch_key": batch_key}
    )


def _warn_of_small_batches(batch: "pd.Series[str]") -> None:
    sizes = batch.value_counts()
    small = sizes.index[sizes <= FEWEST]
    if len(small):
        _log.warning(
            "%d of %d batches have fewer than %d samples and are asked without offsets (first: %r)",
            len(small),
            len(sizes),
            FEWEST + 1,
            small[0],
        )


def _joined(parts: list[ClosestNormal], provenance: dict[str, Any]) -> ClosestNormal:
    """One closest normal of samples that were found one by one, each with dispersions of its own."""

    def together(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    names = ("representations", "means", "scaling_factors", "component", "departure", "log_mean_variance")
    columns: dict[str, Any] = {name: together(name) for name in (*names, "most_probable")}
    return replace(
        parts[0],
        sample_names=tuple(part.sample_names[0] for part in parts),
        r=None if parts[0].r is None else np.stack([part.dispersions(0) for part in parts]),
        fit=pd.concat([part.fit for part in parts]),
        provenance=provenance,
        **columns,
    )
