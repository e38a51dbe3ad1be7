# SPDX-License-Identifier: BSD-3-Clause
"""Healthy samples with what is known of them, and which of their genes are modelled."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Bool
from numpy.typing import NDArray

from pydgd.config import TrainingConfig
from pydgd.data import AlignedCounts, align_to_genes, detected_genes
from pydgd.data.blocks import Matrix
from pydgd.errors import ConfigError, NamesError, TrainingError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Samples:
    """Healthy samples with what is known of them.

    Attributes:
        counts: In the model's gene order, all genes measured.
        groups: Group (donor) of each.
        labels: What describes each (its tissue), or None.
    """

    counts: AlignedCounts
    groups: Sequence[str]
    labels: Sequence[str] | None

    @classmethod
    def of(cls, adata: AnnData, genes: Sequence[str], config: TrainingConfig) -> "Samples":
        """Samples sorted by name, so that their order changes nothing.

        Args:
            adata: Checked counts.
            genes: Of the model; all must be there.
            config: Says which columns hold groups and labels.

        Raises:
            ConfigError: If such a column is not there.
            GeneMismatchError: If genes are missing.
        """
        adata = adata[adata.obs_names.argsort()]
        labels = sample_labels(adata.obs, config)
        return cls(
            align_to_genes(adata, genes, min_shared=1.0),
            sample_groups(adata.obs, config),
            None if labels is None else labels.tolist(),
        )

    def taken(self, rows: NDArray[np.intp]) -> "Samples":
        """Some of the samples.

        Args:
            rows: Their numbers.
        """
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return Samples(self.counts.taken(rows), [self.groups[row] for row in rows], labels)

    def check_new(self, known: Iterable[str]) -> None:
        """Refuse samples that a model has learnt already.

        Args:
            known: Names of these.

        Raises:
            NamesError: If one is among them.
        """
        if seen := sorted(set(self.counts.sample_names) & set(known)):
            raise NamesError(
                f"{len(seen)} of {len(self.groups)} new samples are among those that the model knows (first: "
                f"{seen[0]!r}); leave them out"
            )


def sorted_and_modelled(adata: AnnData, config: TrainingConfig) -> AnnData:
    """Samples and modelled genes, both sorted by name, so that their order changes nothing.

    Args:
        adata: Checked counts.
        config: Options of the run.

    Raises:
        TrainingError: If fewer than two genes have reads.
    """
    adata = adata[adata.obs_names.argsort(), adata.var_names.argsort()]
    return adata[:, modelled_genes(adata.X, config)]


def modelled_genes(counts: Matrix, config: TrainingConfig) -> Bool[np.ndarray, " genes"]:
    """Genes that are seen in enough samples.

    Args:
        counts: Samples × genes.
        config: Options of the run.

    Raises:
        TrainingError: If fewer than two genes have reads.
    """
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


def sample_groups(obs: pd.DataFrame, config: TrainingConfig) -> list[str]:
    """Donor of each sample, or its own name.

    Args:
        obs: Labels of the samples.
        config: Says which column it is.

    Raises:
        ConfigError: If it is not there.
    """
    groups = _column(obs, config.group_key, usual="donor", option="group_key")
    # A sample of unknown group is a group of its own: together, the unknown would be one large group.
    return list(obs.index if groups is None else groups.fillna(obs.index.to_series()))


def sample_labels(obs: pd.DataFrame, config: TrainingConfig) -> NDArray[np.object_] | None:
    """Tissue of each sample, ``unknown`` where it is missing; None if no column tells.

    Args:
        obs: Labels of the samples.
        config: Says which column it is.

    Raises:
        ConfigError: If it is not there.
    """
    labels = _column(obs, config.label_key, usual="tissue", option="label_key")
    return None if labels is None else labels.fillna("unknown").to_numpy()


def _column(obs: pd.DataFrame, name: str | None, *, usual: str, option: str) -> pd.Series | None:
    """A column of `obs` as text, missing values as they are."""
    if name is not None and name not in obs:
        raise ConfigError(f"{option} {name!r} is not a column of obs; there are {', '.join(obs.columns)}")
    found = name or (usual if usual in obs else None)
    if found is None:
        return None
    return pd.Series([np.nan if pd.isna(value) else str(value) for value in obs[found]], obs.index)
