# SPDX-License-Identifier: BSD-3-Clause
"""The mixture that a run starts from."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import Tensor

from pydgd.config import TrainingConfig, training_config
from pydgd.core.latent import COVARIANCE_TYPES, GRADIENT_COVARIANCE_TYPES, LatentPrior
from pydgd.training.priors import MOST_MERGED, REG_COVAR, expression_clusters, start_prior

ALL_TYPES = [("em", name) for name in COVARIANCE_TYPES] + [
    ("gradient", name) for name in GRADIENT_COVARIANCE_TYPES
]


@pytest.fixture(scope="module")
def z() -> Tensor:
    """Three clusters, one far from the origin, of unit variance overall."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(centre, 0.3, (40, 5)) for centre in (-2.0, 0.0, 6.0)])
    return torch.tensor((rows - rows.mean(axis=0)) / rows.std(axis=0), dtype=torch.float32)


def start(z: Tensor, config: TrainingConfig, n_components: int = 3) -> LatentPrior:
    """A mixture started at `z`."""
    return start_prior(
        config,
        z,
        torch.ones(z.shape[1]),
        n_components=n_components,
        generator=torch.Generator().manual_seed(0),
    )


@pytest.mark.parametrize(("prior", "covariance_type"), ALL_TYPES)
def test_start_is_as_likely_as_sklearns_fit(z: Tensor, prior: str, covariance_type: str) -> None:
    """Separated clusters: within 0.05 nats per sample of scikit-learn's mixture of the matching shape."""
    mixture = start(z, training_config(prior=prior, covariance_type=covariance_type))
    shape = {"full": "full", "tied": "tied", "diagonal": "diag"}.get(covariance_type, "spherical")
    oracle = SklearnMixture(3, covariance_type=shape, reg_covar=REG_COVAR, n_init=5, random_state=0)
    oracle.fit(z.numpy())
    tied_spread = {"tied_diagonal", "tied_spherical"}
    slack = 0.5 if covariance_type in tied_spread else 0.05
    assert mixture.log_prob(z).mean().item() == pytest.approx(oracle.score(z.numpy()), abs=slack)


@pytest.mark.parametrize(("prior", "covariance_type"), ALL_TYPES)
@pytest.mark.parametrize("n_components", [1, 4])
def test_start_is_finite_on_equal_rows(prior: str, covariance_type: str, n_components: int) -> None:
    """Samples that are all alike give a narrow mixture, not a singular one."""
    z = torch.full((6, 3), 0.5)
    mixture = start(z, training_config(prior=prior, covariance_type=covariance_type), n_components)
    assert mixture.log_prob(z).isfinite().all()
    assert mixture.log_hyperprior().isfinite()


@pytest.mark.parametrize("covariance_type", GRADIENT_COVARIANCE_TYPES)
def test_hyperpriors_fit_the_start(z: Tensor, covariance_type: str) -> None:
    """Far means are inside the ball, and the pull on a parameter is one that a few samples can hold."""
    mixture = start(10 * z, training_config(prior="gradient", covariance_type=covariance_type))
    assert mixture.config()["softball_radius"] > mixture.means.norm(dim=1).max()
    mixture.log_hyperprior().backward()
    gradients = [p.grad for p in mixture.parameters() if p.grad is not None]
    assert max(gradient.abs().max().item() for gradient in gradients) < 5.0


def test_prior_trained_by_gradient_rebuilds_from_its_config(z: Tensor) -> None:
    """Config and state are all of it: what the model file keeps."""
    mixture = start(z, training_config(prior="gradient"))
    again = type(mixture)(**mixture.config())
    again.load_state_dict(mixture.state_dict())
    assert torch.equal(again.log_prob(z), mixture.log_prob(z))
    assert torch.equal(again.log_hyperprior(), mixture.log_hyperprior())


def test_clusters_are_as_tight_as_those_of_many_starts() -> None:
    """Within 1 % of the best of 200 random starts, without a draw."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (400, 6)) + rng.normal(0, 2, (12, 6))[rng.integers(12, size=400)]
    z, ones = torch.tensor(rows), torch.ones(6)
    clusters = expression_clusters(z, ones, 12).numpy()
    spread = sum(((rows[clusters == i] - rows[clusters == i].mean(axis=0)) ** 2).sum() for i in range(12))
    assert spread < 1.01 * KMeans(12, n_init=200, random_state=0).fit(rows).inertia_
    assert torch.equal(expression_clusters(z, ones, 12), torch.tensor(clusters))


@pytest.mark.parametrize(("n", "n_components"), [(5, 5), (3 * MOST_MERGED, 4), (40, 1)])
def test_every_cluster_has_samples(n: int, n_components: int) -> None:
    """As many clusters as samples, more samples than the tree takes, and one cluster for all."""
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    clusters = expression_clusters(z, torch.ones(3), n_components)
    assert set(clusters.tolist()) == set(range(n_components))
