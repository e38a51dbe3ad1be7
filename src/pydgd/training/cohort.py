# SPDX-License-Identifier: BSD-3-Clause
"""Healthy samples made ready for training: genes chosen, depths known, some samples held out."""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from pydgd.config import TrainingConfig
from pydgd.data import (
    AlignedCounts,
    CountRows,
    align_to_genes,
    detected_genes,
    match_genes,
    scaling_factors,
    typical_profile,
)
from pydgd.data.blocks import LazyRows, Matrix
from pydgd.errors import ConfigError, TrainingError
from pydgd.training.counts import CountsInMemory, CountsOnDisk, TrainingCounts
from pydgd.training.validation import split_groups

_log = logging.getLogger(__name__)

# Share of the median depth below which a training sample is most likely a failed library.
SHALLOW = 0.01


@dataclass(frozen=True, eq=False)
class Cohort:
    """What a training run is made of.

    Attributes:
        training: Counts of the samples to train on.
        sample_names: Theirs.
        labels: Theirs, such as tissues; None if unknown.
        held_out: The other samples.
        held_out_factors: Their scaling factors.
        genes: Names of the modelled genes, sorted.
        profile: Typical mean of every gene.
    """

    training: TrainingCounts
    sample_names: tuple[str, ...]
    labels: tuple[str, ...] | None
    held_out: AlignedCounts
    held_out_factors: Float[np.ndarray, " held_out"]
    genes: tuple[str, ...]
    profile: Float[np.ndarray, " genes"]

    @property
    def watched(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Counts and scaling factors of the samples held out; None if there are none."""
        return (self.held_out.counts, self.held_out_factors) if len(self.held_out_factors) else None


def cohort_in_memory(adata: AnnData, config: TrainingConfig) -> Cohort:
    """Counts in memory; samples and genes are sorted by name, so that their order changes nothing.

    Args:
        adata: Checked counts.
        config: Options of the run.

    Raises:
        ConfigError: If a column that an option names is not there.
        CountsError: If a sample has too few reads for a scaling factor.
        TrainingError: If fewer than two genes have reads.
    """
    adata = adata[adata.obs_names.argsort(), adata.var_names.argsort()]
    adata = adata[:, modelled_genes(adata.X, config)]
    aligned = align_to_genes(adata, list(adata.var_names))
    profile, factors = _depths(aligned.counts, config, aligned.sample_names)
    _warn_of_shallow_samples(aligned.counts.sum(axis=1), aligned.sample_names)
    train, held_out = _split(adata.obs, config)
    training = CountsInMemory(
        torch.as_tensor(aligned.counts[train], dtype=torch.float32),
        torch.as_tensor(factors[train], dtype=torch.float32),
    )
    rest = AlignedCounts(
        counts=aligned.counts[held_out],
        measured=aligned.measured,
        sample_names=tuple(adata.obs_names[held_out]),
        genes=aligned.genes,
        n_dropped=0,
    )
    return _cohort(training, rest, adata.obs, config, train, factors[held_out], profile)


def cohort_on_disk(counts: CountRows, config: TrainingConfig) -> Cohort:
    """Counts that stay in their file, in its order of samples; they are read six times before training.

    Args:
        counts: Checked counts.
        config: Options of the run.

    Raises:
        ConfigError: If a column that an option names is not there.
        CountsError: If a sample has too few reads for a scaling factor.
        TrainingError: If fewer than two genes have reads.
    """
    order = counts.var.index.argsort()
    columns = order[modelled_genes(counts.matrix, config)[order]]
    names = tuple(counts.var.index[columns])
    matrix = counts.matrix.mapped(
        lambda block, _rows: block[:, columns], n_columns=len(columns), dtype=counts.matrix.dtype
    )
    sample_names = tuple(counts.obs.index)
    profile, factors = _depths(matrix, config, sample_names)
    train, held_out = _split(counts.obs, config)
    # Of the file's own rows: where samples were chosen, those between them are read over.
    rows = np.arange(len(counts.obs)) if matrix.rows is None else matrix.rows
    whole = LazyRows(matrix.fetch, (int(rows[-1]) + 1, len(columns)), matrix.dtype, rounds=matrix.rounds)
    training = CountsOnDisk(whole, rows[train], torch.as_tensor(factors[train], dtype=torch.float32))
    known = counts.take(held_out)
    rest = match_genes(known.labels, names).align(known.read(0, known.n_obs))
    return _cohort(training, rest, counts.obs, config, train, factors[held_out], profile)


def _cohort(
    training: TrainingCounts,
    rest: AlignedCounts,
    obs: pd.DataFrame,
    config: TrainingConfig,
    train: NDArray[np.intp],
    held_out_factors: NDArray[np.float64],
    profile: NDArray[np.float64],
) -> Cohort:
    labels = sample_labels(obs, config)
    return Cohort(
        training=training,
        sample_names=tuple(obs.index[train]),
        labels=None if labels is None else tuple(labels[train]),
        held_out=rest,
        held_out_factors=held_out_factors,
        genes=rest.genes,
        profile=profile,
    )


def _depths(
    counts: Matrix, config: TrainingConfig, sample_names: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Typical profile, and scaling factor of every sample."""
    profile = typical_profile(counts, rule=config.scaling, sample_names=sample_names)
    factors = scaling_factors(counts, rule=config.scaling, profile=profile, sample_names=sample_names)
    return profile, factors


def _split(obs: pd.DataFrame, config: TrainingConfig) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return split_groups(sample_groups(obs, config), share=config.validation, seed=config.validation_seed)


def modelled_genes(counts: Matrix, config: TrainingConfig) -> Bool[np.ndarray, " genes"]:
    """Genes that are seen in enough samples."""
    seen = detected_genes(counts, min_share=config.min_detected)
    n_samples, n_genes = counts.shape
    if seen.sum() < 2:
        raise TrainingError(
            f"training needs at least 2 genes: {seen.sum()} of {n_genes:,} has reads in more than "
            f"{config.min_detected:.0%} of the {n_samples} samples; lower min_detected or check the counts"
        )
    _log.info(
        "modelling %d of %d genes, those seen in more than %.0f %% of the samples",
        seen.sum(),
        n_genes,
        100 * config.min_detected,
    )
    return seen


def _warn_of_shallow_samples(reads: np.ndarray, sample_names: tuple[str, ...]) -> None:
    shallow = np.flatnonzero(reads < SHALLOW * np.median(reads))
    if shallow.size:
        _log.warning(
            "%d samples have less than %.0f %% of the median reads (first: %r, %d reads); leave them out?",
            shallow.size,
            100 * SHALLOW,
            sample_names[shallow[0]],
            reads[shallow[0]],
        )


def _column(obs: pd.DataFrame, name: str | None, *, usual: str, option: str) -> pd.Series | None:
    """A column of `obs` as text, missing values as they are."""
    if name is not None and name not in obs:
        raise ConfigError(f"{option} {name!r} is not a column of obs; there are {', '.join(obs.columns)}")
    found = name or (usual if usual in obs else None)
    if found is None:
        return None
    return pd.Series([np.nan if pd.isna(value) else str(value) for value in obs[found]], obs.index)


def sample_groups(obs: pd.DataFrame, config: TrainingConfig) -> list[str]:
    """Donor of each sample, or its own name."""
    groups = _column(obs, config.group_key, usual="donor", option="group_key")
    # A sample of unknown group is a group of its own: together, the unknown would be one large group.
    return list(obs.index if groups is None else groups.fillna(obs.index.to_series()))


def sample_labels(obs: pd.DataFrame, config: TrainingConfig) -> NDArray[np.object_] | None:
    """Tissue of each sample, ``unknown`` where it is missing; None if no column tells."""
    labels = _column(obs, config.label_key, usual="tissue", option="label_key")
    return None if labels is None else labels.fillna("unknown").to_numpy()
