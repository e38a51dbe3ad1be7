# SPDX-License-Identifier: BSD-3-Clause
"""Initial means and covariances."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pydgd.core.latent import COVARIANCE_TYPES
from pydgd.core.latent.starts import STARTS, clustered_parameters, empirical_covariance, initial_parameters


@pytest.mark.parametrize("name", STARTS)
def test_means_are_different_rows(name: str, overlapping: Tensor, generator: torch.Generator) -> None:
    """Every rule picks rows of the data, none twice."""
    means = STARTS[name](overlapping, 5, generator)
    rows = [(overlapping == mean).all(1).nonzero().item() for mean in means]
    assert len(set(rows)) == 5


@pytest.mark.parametrize("name", STARTS)
def test_same_seed_gives_the_same_means_and_leaves_the_global_state(name: str, overlapping: Tensor) -> None:
    """Two generators with one seed agree; torch's own generator does not move."""
    before = torch.get_rng_state()
    first, second = (STARTS[name](overlapping, 4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("n_components", [1, 3])
def test_equal_rows_are_no_obstacle(name: str, n_components: int, generator: torch.Generator) -> None:
    """Rows that are all the same give means that are all the same."""
    z = torch.ones(3, 2, dtype=torch.float64)
    assert torch.equal(STARTS[name](z, n_components, generator), z[:n_components])


@pytest.mark.parametrize("seed", range(5))
def test_farthest_points_are_the_corners(seed: int) -> None:
    """Of a cloud and three far corners the corners are chosen, whatever row comes first."""
    corners = torch.tensor([[50.0, 0.0], [-50.0, 0.0], [0.0, 80.0]], dtype=torch.float64)
    cloud = torch.randn(40, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    means = STARTS["farthest"](torch.cat([cloud, corners]), 3, torch.Generator().manual_seed(seed))
    assert {tuple(mean) for mean in means.tolist()} == {tuple(corner) for corner in corners.tolist()}


def test_kmeans_plus_plus_draws_in_proportion_to_squared_distance() -> None:
    """From rows 0, 1 and 3: given 0 came first, 3 follows with probability 9/10."""
    z = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    pairs = [STARTS["kmeans++"](z, 2, torch.Generator().manual_seed(seed)) for seed in range(3000)]
    after_zero = [pair[1].item() for pair in pairs if pair[0].item() == 0]
    share = sum(second == 3 for second in after_zero) / len(after_zero)
    assert share == pytest.approx(0.9, abs=4 * (0.09 / len(after_zero)) ** 0.5)


@pytest.mark.parametrize("name", ["full", "diagonal", "spherical"])
def test_separate_covariances_are_unbiased_within_the_nearest_cluster(name: str, overlapping: Tensor) -> None:
    """Equal to numpy's covariance of the rows nearest to each mean, plus reg_covar."""
    kind, means = COVARIANCE_TYPES[name], overlapping[[0, 40, 90]]
    nearest = (overlapping[:, None] - means).square().sum(2).argmin(1)
    full = np.stack([np.cov(overlapping[nearest == k].numpy().T) for k in range(3)])
    diagonal = np.einsum("kdd->kd", full)
    expected = {"full": full + 0.1 * np.eye(3), "diagonal": diagonal + 0.1}.get(name, diagonal.mean(1) + 0.1)
    np.testing.assert_allclose(empirical_covariance(overlapping, means, kind, 0.1), expected, rtol=1e-10)


@pytest.mark.parametrize("name", ["tied", "tied_diagonal", "tied_spherical"])
def test_tied_covariance_is_the_pooled_scatter(name: str, overlapping: Tensor) -> None:
    """Scatter about the clusters' averages over all rows, plus reg_covar."""
    kind, means = COVARIANCE_TYPES[name], overlapping[[0, 40, 90]]
    nearest = (overlapping[:, None] - means).square().sum(2).argmin(1)
    apart = torch.cat([overlapping[nearest == k] - overlapping[nearest == k].mean(0) for k in range(3)])
    pooled = (apart.T @ apart / len(overlapping)).numpy()
    expected = {"tied": pooled + 0.1 * np.eye(3), "tied_diagonal": np.diag(pooled) + 0.1}.get(
        name, np.trace(pooled) / 3 + 0.1
    )
    np.testing.assert_allclose(empirical_covariance(overlapping, means, kind, 0.1), expected, rtol=1e-10)


def test_cluster_of_one_row_takes_the_covariance_of_all(overlapping: Tensor) -> None:
    """A lone row has no spread of its own; an empty cluster has none either."""
    lone = torch.full((1, 3), 100.0, dtype=torch.float64)
    z = torch.cat([overlapping, lone])
    means = torch.cat([overlapping[:1], lone, lone])  # ties go to the first: the third stays empty
    covariance = empirical_covariance(z, means, COVARIANCE_TYPES["full"], 0.0)
    for k in (1, 2):
        np.testing.assert_allclose(covariance[k], np.cov(z.numpy().T), rtol=1e-10)


def test_unknown_rule_lists_those_allowed(overlapping: Tensor, generator: torch.Generator) -> None:
    """A misspelt rule is answered with the list."""
    with pytest.raises(ValueError, match=r"farthest, kmeans\+\+, points; got 'maxdist'"):
        initial_parameters(
            overlapping, 2, COVARIANCE_TYPES["full"], init="maxdist", reg_covar=1e-6, generator=generator
        )


@pytest.mark.parametrize("name", STARTS)
def test_as_many_means_as_rows_are_all_rows(name: str) -> None:
    """No row is taken twice while another is left."""
    z = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)
    for seed in range(20):
        means = STARTS[name](z, 4, torch.Generator().manual_seed(seed))
        assert sorted(means[:, 0].tolist()) == [0.0, 1.0, 3.0, 7.0]


def test_cluster_of_two_rows_has_its_own_covariance() -> None:
    """Two rows have a spread."""
    z = torch.tensor([[0.0], [2.0], [50.0], [53.0], [56.0]], dtype=torch.float64)
    covariance = empirical_covariance(z, z[[0, 3]], COVARIANCE_TYPES["full"], 0.0)
    assert covariance.flatten().tolist() == pytest.approx([2.0, 9.0])


def test_clusters_give_weights_means_and_covariances() -> None:
    """Shares of the rows, their averages and numpy's covariances."""
    z = torch.randn(9, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    clusters = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1])
    found = clustered_parameters(z, 2, COVARIANCE_TYPES["full"], clusters=clusters, reg_covar=0.5)
    assert found.weights.tolist() == pytest.approx([4 / 9, 5 / 9])
    for k, part in enumerate((z[:4], z[4:])):
        np.testing.assert_allclose(found.means[k], part.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.covariance[k], np.cov(part.numpy().T) + 0.5 * np.eye(2), rtol=1e-10)


@pytest.mark.parametrize("clusters", [[0, 1], [0, 0, 0], [0, 1, 2], [-1, 0, 1]])
def test_clusters_that_do_not_fit_are_refused(clusters: list[int]) -> None:
    """One number per row, all of them used."""
    with pytest.raises(ValueError, match="each of 3 rows one of 2 clusters, and use them all"):
        clustered_parameters(
            torch.zeros(3, 2, dtype=torch.float64), 2, COVARIANCE_TYPES["full"],
            clusters=torch.tensor(clusters), reg_covar=0.1,
        )  # fmt: skip
