# SPDX-License-Identifier: BSD-3-Clause
"""The training samples in the latent space: how far a query is from them, and what its components hold."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.checkpoints import ModelRecord
from pydgd.core.latent import LatentPrior

N_NEIGHBOURS = 5
"""One training sample may be an outlier or mislabelled: this many must be near."""

LEAST_SHARE = 0.05
"""Smaller shares of a component are not named."""

UNLABELLED = "no training sample"


class TrainingSamples:
    """Where the training samples are.

    Args:
        prior: The mixture they were trained with.
        representations: Their positions, (N, D).
        labels: What describes each of them (its tissue), or None.
    """

    def __init__(
        self,
        prior: LatentPrior,
        representations: Float[Tensor, "n latent"],
        labels: Sequence[str] | None = None,
    ) -> None:
        self._prior = prior
        self._whitening = _whitening(prior)
        self._places = representations.double().numpy() @ self._whitening.T
        self._labels = None if labels is None else np.array(labels)
        names, self._content = _components(prior, representations, labels)
        self._names = np.array(names)

    @classmethod
    def of(cls, record: ModelRecord) -> "TrainingSamples":
        """Those of a model.

        Args:
            record: The model with what is kept beside it.
        """
        return cls(record.model.prior, record.representations, record.labels)

    def distances(self, z: Float[Tensor, "n latent"]) -> Float[np.ndarray, " n"]:
        """Distance of each position to its fifth nearest training sample, (N,).

        The distance is Mahalanobis', by the mean covariance of the components: 1 is one standard deviation
        within a component. With fewer than five training samples it is that to the furthest, without any of
        them (a model that was imported) NaN.

        Args:
            z: Positions; each one's distance is found by itself, so that company does not change a bit.
        """
        return np.array([self._distance(row) for row in z.double().numpy()])

    def nearest_labels(self, z: Float[Tensor, "n latent"]) -> list[str] | None:
        """Labels of the five training samples that are nearest to each position; None without labels.

        Args:
            z: Positions.

        Returns:
            One text per position, such as ``"colon 4, rectum 1"``.
        """
        if self._labels is None:
            return None
        return [self._labels_near(row, self._labels) for row in z.double().numpy()]

    def nearest_components(self, z: Float[Tensor, "n latent"]) -> list[str]:
        """Labels of the training samples in the components that each position belongs to, with their shares.

        A component holds the training samples by their responsibilities, and counts by the position's own.
        Without labels the components themselves are named. Shares below 0.05 are left out.

        Args:
            z: Positions.

        Returns:
            One text per position, such as ``"kidney 0.93, liver 0.05"``.
        """
        return [self._composition(row) for row in torch.split(z.double(), 1)]

    def _squared_distances(self, row: np.ndarray) -> Float[np.ndarray, " n"]:
        return np.asarray(np.square(self._places - self._whitening @ row).sum(axis=1))

    def _distance(self, row: np.ndarray) -> float:
        squared = self._squared_distances(row)
        if not squared.size:
            return float("nan")
        nearest = min(N_NEIGHBOURS, len(squared)) - 1
        return float(np.sqrt(np.partition(squared, nearest)[nearest]))

    def _labels_near(self, row: np.ndarray, labels: np.ndarray) -> str:
        nearest = self._squared_distances(row).argsort(kind="stable")[:N_NEIGHBOURS]
        names, counts = np.unique(labels[nearest], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return ", ".join(f"{names[i]} {counts[i]}" for i in order)

    def _composition(self, row: Tensor) -> str:
        with torch.no_grad():
            shares = self._prior.responsibilities(row)[0].numpy() @ self._content
        # Of equal shares the first name comes first: names are sorted and so is this sort.
        order = np.argsort(-shares, kind="stable")
        return ", ".join(f"{self._names[i]} {shares[i]:.2f}" for i in order if shares[i] >= LEAST_SHARE)


def _whitening(prior: LatentPrior) -> Float[np.ndarray, "latent latent"]:
    """Inverse Cholesky factor of the mean covariance within a component."""
    with torch.no_grad():
        pooled = torch.einsum("k,kij->ij", prior.weights.double(), prior.covariances().double())
        return np.asarray(torch.linalg.inv(torch.linalg.cholesky(pooled)).numpy())


def _components(
    prior: LatentPrior, representations: Tensor, labels: Sequence[str] | None
) -> tuple[list[str], Float[np.ndarray, "components labels"]]:
    """Names, and the share of each in each component."""
    if labels is None:
        return [f"component {k}" for k in range(prior.n_components)], np.eye(prior.n_components)
    names, member_of = np.unique(np.asarray(labels), return_inverse=True)
    with torch.no_grad():
        responsibilities = prior.responsibilities(representations.double()).numpy()
    held = responsibilities.T @ np.eye(len(names))[member_of]
    # Less than a thousandth of a sample is the tail of another component's.
    empty = held.sum(axis=1, keepdims=True) < 1e-3
    shares = np.where(empty, 0.0, held / np.maximum(held.sum(axis=1, keepdims=True), 1e-300))
    return [*names.tolist(), UNLABELLED], np.hstack([shares, empty.astype(float)])
