# SPDX-License-Identifier: BSD-3-Clause
"""Where expectation-maximisation starts: means picked from the rows, covariances from the nearest mean."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pydgd.core.latent.covariances import CovarianceType, row_counts
from pydgd.core.latent.em import MixtureParameters
from pydgd.core.latent.shards import ONE_SHARD, Shards, n_rows


def _random_row(z: Tensor, generator: torch.Generator) -> Tensor:
    return z[int(torch.randint(len(z), (1,), generator=generator, device=generator.device))]


def _squared_distance_to(z: Tensor, point: Tensor) -> Tensor:
    return (z - point).square().sum(dim=1)


def farthest_points(z: Tensor, n_components: int, generator: torch.Generator) -> Tensor:
    """Rows far from each other: a random one, then always the row farthest from those chosen.

    The random first row is replaced at the end by the row farthest from all others.

    Source:
        Gonzalez (1985), Theoretical Computer Science 38:293.
    """
    chosen = [_random_row(z, generator)]
    distances = _squared_distance_to(z, chosen[0])
    apart = torch.full_like(distances, torch.inf)  # from all chosen but the first
    for _ in range(n_components - 1):
        chosen.append(z[distances.argmax()])
        apart = torch.minimum(apart, _squared_distance_to(z, chosen[-1]))
        distances = torch.minimum(distances, apart)
    if n_components > 1:
        chosen[0] = z[apart.argmax()]
    return torch.stack(chosen)


def kmeans_plus_plus(z: Tensor, n_components: int, generator: torch.Generator) -> Tensor:
    """A random row, then rows drawn in proportion to the squared distance from those chosen.

    Source:
        Arthur & Vassilvitskii (2007), SODA, 1027.
    """
    chosen = [_random_row(z, generator)]
    distances = _squared_distance_to(z, chosen[0])
    for _ in range(n_components - 1):
        # Where every row is a copy of a chosen one, all are as good.
        chances = distances if bool(distances.sum() > 0) else torch.ones_like(distances)
        row = torch.multinomial(chances.to(generator.device), 1, generator=generator)
        chosen.append(z[int(row)])
        distances = torch.minimum(distances, _squared_distance_to(z, chosen[-1]))
    return torch.stack(chosen)


def random_points(z: Tensor, n_components: int, generator: torch.Generator) -> Tensor:
    """Different rows at random."""
    rows = torch.randperm(len(z), generator=generator, device=generator.device)
    return z[rows[:n_components].to(z.device)]


STARTS: dict[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {
    "farthest": farthest_points,
    "kmeans++": kmeans_plus_plus,
    "points": random_points,
}


def empirical_covariance(
    z: Tensor, means: Tensor, kind: CovarianceType, reg_covar: float, shards: Shards = ONE_SHARD
) -> Tensor:
    """Covariances within the clusters of rows nearest to each mean, about the clusters' averages.

    Separate covariances are unbiased (divided by the cluster's rows less one); a cluster of fewer than
    two rows gets the covariance of all rows. A tied covariance is the pooled scatter over all rows.

    Args:
        z: Rows, (N, D), float64.
        means: Cluster centres, (K, D).
        kind: Covariance type.
        reg_covar: Added to every variance.
        shards: Processes that have the other rows.

    Returns:
        Covariance in the shape of `kind`.
    """
    exact = torch.cdist(z, means, compute_mode="donot_use_mm_for_euclid_dist")
    return _within(z, one_hot(exact.argmin(dim=1), len(means)).to(z.dtype), kind, reg_covar, shards)


def _within(
    z: Tensor, members: Tensor, kind: CovarianceType, reg_covar: float, shards: Shards = ONE_SHARD
) -> Tensor:
    covariance = _scatter(z, members, kind, shards)
    if not kind.tied:
        counts = shards.total(members.sum(dim=0)).reshape(-1, *[1] * (covariance.ndim - 1))
        n = n_rows(z, shards)
        overall = _scatter(z, torch.ones_like(z[:, :1]), kind, shards) * (n / (n - 1).clamp_min(1))
        covariance = torch.where(counts > 1, covariance * counts / (counts - 1).clamp_min(1), overall)
    return covariance + reg_covar * kind.identity(members.shape[1], z.shape[1]).to(z.device)


def _scatter(z: Tensor, members: Tensor, kind: CovarianceType, shards: Shards) -> Tensor:
    averages = shards.total(members.T @ z) / row_counts(members, shards)[:, None]
    return kind.estimate(z, members, averages, shards)


def initial_parameters(
    z: Tensor,
    n_components: int,
    kind: CovarianceType,
    *,
    init: str,
    reg_covar: float,
    generator: torch.Generator,
) -> MixtureParameters:
    """Equal weights, means by the rule `init`, covariances of the rows nearest to each mean.

    Raises:
        ValueError: If `init` is not a known rule.
    """
    if init not in STARTS:
        raise ValueError(f"init must be one of {', '.join(STARTS)}; got {init!r}.")
    means = STARTS[init](z, n_components, generator)
    weights = torch.full((n_components,), 1 / n_components, dtype=z.dtype, device=z.device)
    return MixtureParameters(weights, means, empirical_covariance(z, means, kind, reg_covar))


def clustered_parameters(
    z: Tensor, n_components: int, kind: CovarianceType, *, clusters: Tensor, reg_covar: float
) -> MixtureParameters:
    """Weights, means and covariances of clusters of rows.

    Args:
        z: Rows, (N, D), float64.
        n_components: K.
        kind: Covariance type.
        clusters: Number of each row's cluster, below K, (N,).
        reg_covar: Added to every variance.

    Raises:
        ValueError: If there is not one number per row, or a cluster has no row.
    """
    if clusters.shape != z.shape[:1] or set(clusters.tolist()) != set(range(n_components)):
        raise ValueError(
            f"clusters must give each of {len(z)} rows one of {n_components} clusters, and use them all."
        )
    members = one_hot(clusters, n_components).to(z.dtype)
    sizes = members.sum(dim=0)
    means = members.T @ z / sizes[:, None]
    return MixtureParameters(sizes / len(z), means, _within(z, members, kind, reg_covar))
