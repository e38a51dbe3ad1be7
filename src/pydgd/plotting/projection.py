# SPDX-License-Identifier: BSD-3-Clause
"""Representations in the plane: axes fitted on the training samples, then the same axes for queries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA


@dataclass(frozen=True, eq=False)
class Plane:
    """Two axes in latent space.

    Attributes:
        centre: What is subtracted first, shape (D,).
        axes: Rows are the directions, shape (2, D); a row of zeros if there is no second direction.
        shares: Share of the training samples' variance along each, in [0, 1]; NaN if they have none.
        is_given: Whether the axes are columns of the points rather than fitted.
    """

    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    shares: NDArray[np.float64]
    is_given: bool = False

    @classmethod
    def pca(cls, points: NDArray[np.float64]) -> "Plane":
        """The two leading principal components.

        Args:
            points: Training representations, shape (N, D), N and D at least 1.

        Example:
            >>> Plane.pca(np.array([[0.0, 0.0], [2.0, 0.0]])).shares.round(3)
            array([1., 0.])
        """
        centre, axes, shares = points.mean(axis=0), np.zeros((2, points.shape[1])), np.full(2, np.nan)
        # scikit-learn divides by N - 1 and by the total variance.
        if np.ptp(points, axis=0).any():
            fitted = PCA(n_components=min(2, *points.shape), svd_solver="full").fit(points)
            n_found = len(fitted.components_)
            axes[:n_found], shares[:n_found] = fitted.components_, fitted.explained_variance_ratio_
        return cls(centre=centre, axes=axes, shares=shares)

    @classmethod
    def columns(cls, points: NDArray[np.float64]) -> "Plane":
        """The first two columns as they are, for points that are an embedding already.

        Args:
            points: Shape (N, D), N and D at least 1.

        Example:
            >>> Plane.columns(np.array([[3.0, 4.0, 9.0]])).project(np.array([[3.0, 4.0, 9.0]]))
            array([[3., 4.]])
        """
        n_dims = points.shape[1]
        return cls(np.zeros(n_dims), np.eye(2, n_dims), shares=np.full(2, np.nan), is_given=True)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places in the plane.

        Args:
            points: Representations, shape (N, D).

        Returns:
            Shape (N, 2).
        """
        return (points - self.centre) @ self.axes.T


METHODS = {"pca": Plane.pca, "columns": Plane.columns}
