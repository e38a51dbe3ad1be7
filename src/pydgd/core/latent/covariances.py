# SPDX-License-Identifier: BSD-3-Clause
"""The six shapes a mixture's covariances can have, one small object each.

===================  ===========  =================  ==============
name here            stored as    scikit-learn name  bulkdgd/tgmm
===================  ===========  =================  ==============
``full``             (K, D, D)    full               full
``tied``             (D, D)       tied               tied_full
``diagonal``         (K, D)       diag               diag
``spherical``        (K,)         spherical          spherical
``tied_diagonal``    (D,)         none               tied_diag
``tied_spherical``   ()           none               tied_spherical
===================  ===========  =================  ==============

Everything here is float64. Squared distances are expanded as |a|² - 2ab + |b|² about the centroid of
the means, which turns them into one matrix product: at unit spread and variance 1e-6 that costs 1e-9
nats per dimension, far below what any caller can see.
"""

import math
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from pydgd.core.latent.shards import ONE_SHARD, Shards, n_rows, totals

LOG_2PI = math.log(2 * math.pi)
VANISHED = 1e-10  # rows; a component with fewer has no statistics
BLOCK_NUMBERS = 2**21  # 16 MB of float64: the largest (rows, K, D) temporary of the full type


@runtime_checkable
class CovarianceType(Protocol):
    """What a covariance type answers; `covariance` is always in the type's own shape."""

    @property
    def tied(self) -> bool:
        """Whether all components share one covariance."""

    def identity(self, n_components: int, latent_dim: int) -> Tensor:
        """Unit covariances in this type's shape."""

    def log_density(self, z: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
        """Log of N(z_n; means_k, covariance_k) in nats, (N, K); differentiable in every argument."""

    def estimate(
        self, z: Tensor, responsibilities: Tensor, means: Tensor, shards: Shards = ONE_SHARD
    ) -> Tensor:
        """The maximum-likelihood covariance about `means`, which are the weighted means of all rows.

        `responsibilities` (N, K) have rows that sum to one.
        """

    def expand(self, covariance: Tensor, n_components: int, latent_dim: int) -> Tensor:
        """The covariance matrices, (K, D, D)."""

    def n_parameters(self, n_components: int, latent_dim: int) -> int:
        """How many numbers are free."""


def cholesky(covariance: Tensor) -> Tensor:
    """Lower Cholesky factors of (..., D, D), or a ValueError that says how to get them."""
    factors: Tensor
    factors, info = torch.linalg.cholesky_ex(covariance)
    if bool((info != 0).any()):
        spread = covariance.diagonal(dim1=-2, dim2=-1).max().item()
        raise ValueError(
            f"a covariance is not positive definite (largest variance {spread:.3g}); raise reg_covar, "
            f"for example to {max(1e-6, 1e-6 * spread):.1g}, or use covariance_type='diagonal'."
        )
    return factors


def row_counts(responsibilities: Tensor, shards: Shards) -> Tensor:
    """Expected rows per component, (K,), never zero: they divide."""
    return shards.total(responsibilities.sum(dim=0)).clamp_min(VANISHED)


def _whitening(covariance: Tensor) -> Tensor:
    """Inverse Cholesky factors W, (..., D, D): |W(z - mean)|² is the Mahalanobis distance."""
    unit = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    factors = cholesky(covariance)
    whitening: Tensor = torch.linalg.solve_triangular(factors, unit.expand_as(covariance), upper=False)
    return whitening


def _squared_distances(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """sum_d scale_kd (a_nd - b_kd)², (N, K), without an (N, K, D) temporary."""
    return a.square() @ scale.T - 2 * a @ (b * scale).T + (b.square() * scale).sum(dim=1)


@final
class _Full:
    """Each component has its own covariance matrix, (K, D, D)."""

    tied = False

    def identity(self, n_components: int, latent_dim: int) -> Tensor:
        return torch.eye(latent_dim, dtype=torch.float64).repeat(n_components, 1, 1)

    def log_density(self, z: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
        whitening = _whitening(covariance)
        offsets = (whitening @ means.unsqueeze(-1)).squeeze(-1)
        half_log_det = whitening.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        rows_per_block = max(1, BLOCK_NUMBERS // means.numel())
        squared = [
            (torch.einsum("nd,ked->nke", rows, whitening) - offsets).square().sum(dim=2)
            for rows in torch.split(z, rows_per_block)
        ]
        return half_log_det - 0.5 * (means.shape[1] * LOG_2PI + torch.cat(squared))

    def estimate(
        self, z: Tensor, responsibilities: Tensor, means: Tensor, shards: Shards = ONE_SHARD
    ) -> Tensor:
        scatters = []
        for k in range(len(means)):
            apart = z - means[k]
            scatters.append((apart * responsibilities[:, k : k + 1]).T @ apart)
        scatter, counts = totals(shards, torch.stack(scatters), responsibilities.sum(dim=0))
        return scatter / counts.clamp_min(VANISHED)[:, None, None]

    def expand(self, covariance: Tensor, n_components: int, latent_dim: int) -> Tensor:
        return covariance.expand(n_components, latent_dim, latent_dim)

    def n_parameters(self, n_components: int, latent_dim: int) -> int:
        return n_components * latent_dim * (latent_dim + 1) // 2


@final
class _Tied:
    """All components share one covariance matrix, (D, D)."""

    tied = True

    def identity(self, n_components: int, latent_dim: int) -> Tensor:  # noqa: ARG002  shape is shared
        return torch.eye(latent_dim, dtype=torch.float64)

    def log_density(self, z: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
        whitening = _whitening(covariance)
        centre = means.mean(dim=0).detach()
        unit = torch.ones_like(means)
        squared = _squared_distances((z - centre) @ whitening.T, (means - centre) @ whitening.T, unit)
        return whitening.diagonal().log().sum() - 0.5 * (means.shape[1] * LOG_2PI + squared)

    def estimate(
        self, z: Tensor, responsibilities: Tensor, means: Tensor, shards: Shards = ONE_SHARD
    ) -> Tensor:
        # About each row's expected mean, plus how far apart the means are that share a row. Both terms
        # are positive semidefinite, where "total less between" loses that to rounding.
        apart = z - responsibilities @ means
        n = z.new_tensor(float(len(z)))
        shared, within, n = totals(shards, responsibilities.T @ responsibilities, apart.T @ apart, n)
        shared.fill_diagonal_(0)
        centred = means - means.mean(dim=0)
        spread = centred.T @ (shared.sum(dim=1).diag() - shared) @ centred
        return (within + (spread + spread.T) / 2) / n

    def expand(self, covariance: Tensor, n_components: int, latent_dim: int) -> Tensor:
        return covariance.expand(n_components, latent_dim, latent_dim)

    def n_parameters(self, n_components: int, latent_dim: int) -> int:  # noqa: ARG002  shared by all
        return latent_dim * (latent_dim + 1) // 2


@final
class _Diagonal:
    """Each component has its own variance per dimension, (K, D)."""

    tied = False

    def identity(self, n_components: int, latent_dim: int) -> Tensor:
        return torch.ones(n_components, latent_dim, dtype=torch.float64)

    def log_density(self, z: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
        centre = means.mean(dim=0).detach()
        squared = _squared_distances(z - centre, means - centre, covariance.reciprocal())
        return -0.5 * (means.shape[1] * LOG_2PI + covariance.log().sum(dim=1) + squared)

    def estimate(
        self, z: Tensor, responsibilities: Tensor, means: Tensor, shards: Shards = ONE_SHARD
    ) -> Tensor:
        whole, n = totals(shards, z.sum(dim=0), z.new_tensor(float(len(z))))
        centre = whole / n
        spread = responsibilities.T @ (z - centre).square()
        spread, counts = totals(shards, spread, responsibilities.sum(dim=0))
        second = spread / counts.clamp_min(VANISHED)[:, None]
        return (second - (means - centre).square()).clamp_min(0)

    def expand(self, covariance: Tensor, n_components: int, latent_dim: int) -> Tensor:
        return covariance.expand(n_components, latent_dim).diag_embed()

    def n_parameters(self, n_components: int, latent_dim: int) -> int:
        return n_components * latent_dim


@final
class _Spherical:
    """Each component has one variance for all dimensions, (K,)."""

    tied = False

    def identity(self, n_components: int, latent_dim: int) -> Tensor:  # noqa: ARG002  one per component
        return torch.ones(n_components, dtype=torch.float64)

    def log_density(self, z: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
        return _Diagonal().log_density(z, means, covariance[:, None].expand_as(means))

    def estimate(
        self, z: Tensor, responsibilities: Tensor, means: Tensor, shards: Shards = ONE_SHARD
    ) -> Tensor:
        return _Diagonal().estimate(z, responsibilities, means, shards).mean(dim=1)

    def expand(self, covariance: Tensor, n_components: int, latent_dim: int) -> Tensor:
        return _Diagonal().expand(covariance[:, None], n_components, latent_dim)

    def n_parameters(self, n_components: int, latent_dim: int) -> int:  # noqa: ARG002  one per component
        return n_components


@final
class _Pooled:
    """All components share what `one` would give each of them: (D,) for diagonal, () for spherical."""

    tied = True

    def __init__(self, one: _Diagonal | _Spherical) -> None:
        self.one = one

    def identity(self, n_components: int, latent_dim: int) -> Tensor:  # noqa: ARG002  shape is shared
        return self.one.identity(1, latent_dim)[0]

    def log_density(self, z: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
        return self.one.log_density(z, means, covariance.expand(len(means), *covariance.shape))

    def estimate(
        self, z: Tensor, responsibilities: Tensor, means: Tensor, shards: Shards = ONE_SHARD
    ) -> Tensor:
        apart = self.one.estimate(z, responsibilities, means, shards)
        return shards.total(responsibilities.sum(dim=0)) @ apart / n_rows(z, shards)

    def expand(self, covariance: Tensor, n_components: int, latent_dim: int) -> Tensor:
        shared = covariance.expand(n_components, *covariance.shape)
        return self.one.expand(shared, n_components, latent_dim)

    def n_parameters(self, n_components: int, latent_dim: int) -> int:  # noqa: ARG002  shared by all
        return self.one.n_parameters(1, latent_dim)


COVARIANCE_TYPES: dict[str, CovarianceType] = {
    "full": _Full(),
    "tied": _Tied(),
    "diagonal": _Diagonal(),
    "spherical": _Spherical(),
    "tied_diagonal": _Pooled(_Diagonal()),
    "tied_spherical": _Pooled(_Spherical()),
}


def covariance_type_named(name: str, allowed: dict[str, CovarianceType]) -> CovarianceType:
    """The covariance type of that name.

    Raises:
        ValueError: If `name` is not among `allowed`.
    """
    if name not in allowed:
        raise ValueError(f"covariance_type must be one of {', '.join(allowed)}; got {name!r}.")
    return allowed[name]
