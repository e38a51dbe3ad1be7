# SPDX-License-Identifier: BSD-3-Clause
"""Distances to the training samples and the labels of components, against SciPy and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from pydgd.core.latent import GaussianMixture, GradientMixture, LatentPrior
from pydgd.inference.neighbours import TrainingSamples

COVARIANCES = ["tied", "full", "diagonal", "spherical"]


def clusters(n: int = 20) -> torch.Tensor:
    """Three far apart, each of n positions with correlated coordinates."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3 * n, 3, generator=generator) @ torch.tensor([[1.0, 0.6, 0], [0, 1, 0.3], [0, 0, 0.4]])
    return z + torch.tensor([[0.0, 0, 0], [12, 0, 0], [0, 12, 0]]).repeat_interleave(n, dim=0)


def mixture(z: torch.Tensor, covariance_type: str = "tied") -> LatentPrior:
    """Fitted to them."""
    prior = GaussianMixture(3, 3, covariance_type=covariance_type, reg_covar=1e-3)
    return prior.fit(z, generator=torch.Generator().manual_seed(1))


def nearest_neighbours(prior: LatentPrior) -> NearestNeighbors:
    """Five, by the inverse of the components' mean covariance."""
    weights, covariances = prior.weights.detach().double(), prior.covariances().detach().double()
    precision = np.linalg.inv((weights[:, None, None] * covariances).sum(dim=0).numpy())
    return NearestNeighbors(n_neighbors=5, metric="mahalanobis", metric_params={"VI": precision})


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_distance_is_that_of_the_fifth_nearest_neighbour(covariance_type: str) -> None:
    """scikit-learn, with the components' mean covariance."""
    z = clusters()
    prior = mixture(z, covariance_type)
    oracle = nearest_neighbours(prior)
    queries = torch.randn(9, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 5
    expected = oracle.fit(z.double().numpy()).kneighbors(queries.numpy())[0][:, -1]
    found = TrainingSamples(prior, z).distances(queries)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_one_odd_training_sample_is_not_near() -> None:
    """One that is right there, far from all others, does not make a query near."""
    z = torch.cat([clusters(), torch.tensor([[40.0, 40.0, 40.0]])])
    training = TrainingSamples(mixture(clusters()), z)
    far, near = training.distances(torch.stack([z[-1], z[0]]).double())
    assert far > 10 * near


def test_few_training_samples_are_all_that_there_are() -> None:
    """Of three the furthest counts."""
    z = clusters()
    few = TrainingSamples(mixture(z), z[:3])
    query = z[3:4].double()
    nearest = [TrainingSamples(mixture(z), z[i : i + 1]).distances(query)[0] for i in range(3)]
    assert few.distances(query)[0] == pytest.approx(max(nearest))


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_company_changes_no_bit(covariance_type: str) -> None:
    """Alone, together and in another order."""
    z = clusters()
    training = TrainingSamples(mixture(z, covariance_type), z, list("abc" * 20))
    queries = 4 * torch.randn(13, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    together, texts = training.distances(queries), training.nearest_components(queries)
    labels = training.nearest_labels(queries)
    assert labels is not None
    assert training.distances(queries.flip(0))[::-1].tobytes() == together.tobytes()
    for i in range(len(queries)):
        assert training.distances(queries[i : i + 1]).tobytes() == together[[i]].tobytes()
        assert training.nearest_components(queries[i : i + 1]) == texts[i : i + 1]
        assert training.nearest_labels(queries[i : i + 1]) == labels[i : i + 1]


def test_labels_of_the_five_nearest_are_counted() -> None:
    """Most first, then by name; there are none without labels."""
    z, prior = clusters(), mixture(clusters())
    nearest = nearest_neighbours(prior).fit(z.double().numpy()).kneighbors(z[:1].double().numpy())[1][0]
    labels = np.full(60, "far away", dtype=object)
    labels[nearest] = ["lung", "kidney", "liver", "kidney", "liver"]
    training = TrainingSamples(prior, z, labels.tolist())
    assert training.nearest_labels(z[:1].double()) == ["kidney 2, liver 2, lung 1"]
    assert TrainingSamples(prior, z).nearest_labels(z[:1].double()) is None


def test_components_are_named_by_the_labels_they_hold() -> None:
    """Shares of the labels in a component; between two components both speak."""
    z = clusters()
    labels = ["liver"] * 20 + ["kidney"] * 15 + ["bladder"] * 5 + ["lung"] * 20
    prior = mixture(z)
    training = TrainingSamples(prior, z, labels)
    texts = training.nearest_components(torch.stack([z[:20].mean(0), z[20:40].mean(0)]).double())
    assert texts == ["liver 1.00", "kidney 0.75, bladder 0.25"]
    # Where the first and the third component are equally likely.
    ends = prior.predict(z[[0, 40]])
    middle = prior.means.detach().double()[ends].mean(dim=0, keepdim=True)
    shares = dict(part.rsplit(" ", 1) for part in training.nearest_components(middle)[0].split(", "))
    expected = prior.responsibilities(middle)[0][ends]
    assert [float(shares[name]) for name in ("liver", "lung")] == pytest.approx(expected.tolist(), abs=0.006)


def test_equal_shares_are_in_the_order_of_names() -> None:
    """So that texts compare."""
    z = clusters()
    training = TrainingSamples(mixture(z), z, ["b", "a"] * 30)
    assert training.nearest_components(z[:1].double()) == ["a 0.50, b 0.50"]


def test_without_labels_components_have_numbers() -> None:
    """Those of dgd_component."""
    z = clusters()
    prior = mixture(z)
    expected = [f"component {k} 1.00" for k in prior.predict(z[[0, 30, 50]]).tolist()]
    assert TrainingSamples(prior, z).nearest_components(z[[0, 30, 50]].double()) == expected


def test_component_without_training_samples_says_so() -> None:
    """It has no label to give."""
    prior = GradientMixture(2, 3, component_sd=0.5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        prior.means.copy_(torch.tensor([[0.0, 0, 0], [50, 0, 0]]))
    training = TrainingSamples(prior, torch.zeros(4, 3), ["liver"] * 4)
    assert training.nearest_components(prior.means.detach().double()) == [
        "liver 1.00",
        "no training sample 1.00",
    ]


def test_without_training_samples_there_is_no_distance() -> None:
    """As in a model that was imported without them."""
    z = clusters()
    training = TrainingSamples(mixture(z), z[:0])
    assert np.isnan(training.distances(z[:2].double())).all()
