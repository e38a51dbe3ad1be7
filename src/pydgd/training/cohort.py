# SPDX-License-Identifier: BSD-3-Clause
"""Healthy samples made ready for training: genes chosen, depths known, some samples held out."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from jaxtyping import Float
from numpy.typing import NDArray

from pydgd.config import TrainingConfig
from pydgd.data import (
    AlignedCounts,
    CountRows,
    align_to_genes,
    as_counts,
    count_rows,
    match_genes,
    scaling_factors,
    typical_profile,
)
from pydgd.data.blocks import LazyRows, Matrix
from pydgd.data.memory import check_memory
from pydgd.errors import TooLargeError
from pydgd.training.counts import CountsInMemory, CountsOnDisk, TrainingCounts
from pydgd.training.samples import modelled_genes, sample_groups, sample_labels, sorted_and_modelled
from pydgd.training.validation import split_groups
from pydgd.words import plural

_log = logging.getLogger(__name__)

# Share of the median depth below which a training sample is most likely a failed library.
SHALLOW = 0.01

WORKING_BYTES = 11
"""Bytes that training takes at least for every count of a modelled gene, besides the count as it was given.

4 aligned, 4 of the training samples, and what selecting these takes; measured on 80,000 samples of 1,000
genes: 11.5 (float32), 12.0 (int64) and 15.4 (CSR)."""

_STREAM = (
    "read them part by part (pydgd train --stream; in Python an AnnData opened with backed='r', or "
    "pydgd.data.open_counts), or give fewer samples"
)


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


def cohort_of(
    data: object,
    config: TrainingConfig,
    *,
    sample_names: Iterable[str] | None = None,
    genes: Iterable[str] | None = None,
) -> Cohort:
    """Counts of any kind; those that stay in their file are read in its order.

    Args:
        data: What `pydgd.data.as_counts` takes, a backed AnnData, or `CountRows`.
        config: Options of the run.
        sample_names: Names of the rows of an array.
        genes: Names of the columns of an array.

    Raises:
        PyDGDError: As `as_counts`, `cohort_in_memory` and `cohort_on_disk` do.
    """
    if isinstance(data, CountRows) or (isinstance(data, AnnData) and data.isbacked):
        return cohort_on_disk(count_rows(data), config)
    return cohort_in_memory(as_counts(data, sample_names=sample_names, genes=genes), config)


def cohort_in_memory(adata: AnnData, config: TrainingConfig) -> Cohort:
    """Counts in memory; samples and genes are sorted by name, so that their order changes nothing.

    Args:
        adata: Checked counts.
        config: Options of the run.

    Raises:
        ConfigError: If a column that an option names is not there.
        CountsError: If a sample has too few reads for a scaling factor.
        TooLargeError: If memory does not hold them as training needs them.
        TrainingError: If fewer than two genes have reads.
    """
    adata = sorted_and_modelled(adata, config)
    _check_memory(WORKING_BYTES * adata.n_obs * adata.n_vars, *adata.shape)
    aligned = align_to_genes(adata, list(adata.var_names))
    profile, factors = _depths(aligned.counts, config, aligned.sample_names)
    _warn_of_shallow_samples(aligned.counts.sum(axis=1), aligned.sample_names)
    train, held_out = _split(adata.obs, config)
    training = CountsInMemory(
        torch.as_tensor(aligned.counts[train], dtype=torch.float32),
        torch.as_tensor(factors[train], dtype=torch.float32),
    )
    rest = aligned.taken(held_out)
    return _cohort(training, rest, adata.obs, config, train, factors[held_out], profile)


def check_fits(counts: CountRows, config: TrainingConfig, *, n_processes: int = 1) -> None:
    """Refuse now what could not be trained on in memory, before it is read into it.

    Args:
        counts: Still in their file; read once more, if need be, to see how many genes are modelled.
        config: Options of the run.
        n_processes: Of this machine, each of which holds all counts.

    Raises:
        TooLargeError: If memory does not hold them as training needs them.
        TrainingError: If fewer than two genes have reads.
    """
    with suppress(TooLargeError):
        # What has room even if all genes are modelled need not be read once more.
        _check_working_memory(counts, counts.n_vars, n_processes)
        return
    _check_working_memory(counts, int(modelled_genes(counts.matrix, config).sum()), n_processes)


def in_memory_bytes(counts: CountRows, *, n_genes: int, n_processes: int) -> float:
    """What training in memory takes at least, with the counts as they are read.

    Args:
        counts: Still in their file.
        n_genes: That are modelled.
        n_processes: As in `check_fits`.
    """
    return n_processes * counts.n_obs * (counts.matrix.row_bytes + WORKING_BYTES * n_genes)


def _check_working_memory(counts: CountRows, n_genes: int, n_processes: int) -> None:
    needed = in_memory_bytes(counts, n_genes=n_genes, n_processes=n_processes)
    _check_memory(needed, counts.n_obs, n_genes, counts.matrix.source)


def _check_memory(n_bytes: int | float, n_samples: int, n_genes: int, source: str = "") -> None:
    what = f"training in memory on {plural(n_samples, 'sample')} x {plural(n_genes, 'modelled gene')}"
    check_memory(n_bytes, f"{source}: {what}" if source else what, _STREAM)


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
