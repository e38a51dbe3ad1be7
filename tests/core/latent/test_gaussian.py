# SPDX-License-Identifier: BSD-3-Clause
"""The EM mixture: edges, errors, and what it promises beyond the shared contract."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import Tensor

from pydgd.core.latent import COVARIANCE_TYPES, GaussianMixture
from pydgd.core.latent.starts import STARTS

TYPES = list(COVARIANCE_TYPES)


def rows(n: int, d: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(2))


EDGES = {
    "one row": (rows(1, 3), 1),
    "one component": (rows(40, 3), 1),
    "fewer rows than dimensions": (rows(6, 20), 2),
    "as many components as rows": (rows(7, 3), 7),
    "all rows zero": (torch.zeros(20, 4), 3),
    "all rows equal": (torch.full((10, 3), 1.7), 3),
    "each row three times": (rows(4, 3).repeat(3, 1), 6),
    "one dimension": (rows(30, 1), 3),
    "a constant dimension": (torch.cat([rows(30, 2), torch.zeros(30, 1)], 1), 3),
    "tiny spread": (rows(50, 3, 1e-8), 3),
    "huge spread": (rows(50, 3, 1e6), 3),
    "far from the origin": (rows(50, 3).double() + 1e6, 3),
    "one outlier": (torch.cat([rows(50, 3), torch.full((1, 3), 1e3)]), 3),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", TYPES)
def test_edges_fit_and_stay_finite(name: str, edge: str) -> None:
    """Fitting and refitting leave finite parameters, densities and precisions; weights sum to one."""
    z, k = EDGES[edge]
    mixture = GaussianMixture(k, z.shape[1], covariance_type=name).fit(z)
    mixture.update(z, max_iter=20)
    assert all(bool(buffer.isfinite().all()) for buffer in mixture.buffers())
    assert mixture.weights.sum().item() == pytest.approx(1)
    assert mixture.log_prob(z).isfinite().all()
    assert mixture.precisions(z).isfinite().all()


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("name", TYPES)
def test_separated_clusters_are_found(name: str, init: str, generator: torch.Generator) -> None:
    """Three clusters far apart: means within 0.1 of the truth and a share of rows each."""
    centres = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    which = torch.arange(300) % 3
    z = centres[which] + 0.2 * torch.randn(300, 2, generator=generator)
    mixtures = [
        GaussianMixture(3, 2, covariance_type=name).fit(z, init=init, generator=generator) for _ in range(4)
    ]
    best = max(mixtures, key=lambda mixture: mixture.lower_bound_)
    apart = torch.cdist(best.means.float(), centres)
    assert apart.min(dim=0).values.max() < 0.1
    np.testing.assert_allclose(best.weights, 1 / 3, atol=1e-3)


def test_fit_is_the_same_every_time(overlapping: Tensor) -> None:
    """No seed given means the same seed: two fits are bit-identical and global state is untouched."""
    before = torch.get_rng_state()
    one, two = (GaussianMixture(4, 3, covariance_type="full").fit(overlapping) for _ in range(2))
    assert torch.equal(one.means, two.means)
    assert torch.equal(torch.get_rng_state(), before)


def test_update_after_fit_stays_where_it_is(overlapping: Tensor) -> None:
    """A converged mixture is a fixed point of its own refit."""
    mixture = GaussianMixture(3, 3, covariance_type="tied", tol=1e-13).fit(overlapping)
    means = mixture.means.clone()
    mixture.update(overlapping, max_iter=10)
    torch.testing.assert_close(mixture.means, means, rtol=0, atol=1e-5)


def test_update_of_an_unfitted_mixture_fits_it(overlapping: Tensor) -> None:
    """Coinciding means cannot be told apart by EM, so the update starts afresh."""
    updated = GaussianMixture(3, 3)
    updated.update(overlapping, max_iter=1000)
    assert torch.equal(updated.means, GaussianMixture(3, 3).fit(overlapping).means)


def test_update_keeps_earlier_graphs_alive(overlapping: Tensor) -> None:
    """A loss built before a refit can still be walked back after it."""
    mixture = GaussianMixture(2, 3).fit(overlapping)
    z = overlapping[:5].clone().requires_grad_()
    loss = mixture.log_prob(z).sum()
    mixture.update(overlapping + 1, max_iter=5)
    loss.backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_fit_takes_rows_that_carry_a_gradient(overlapping: Tensor) -> None:
    """Representations are parameters; the mixture takes their values, not their graph."""
    mixture = GaussianMixture(2, 3).fit(torch.nn.Parameter(overlapping.float()))
    assert not mixture.means.requires_grad


def test_state_stays_float64_and_densities_follow_the_rows(overlapping: Tensor) -> None:
    """float32 rows get float32 densities that are the float64 ones, rounded."""
    mixture = GaussianMixture(3, 3, covariance_type="full").fit(overlapping.float())
    z = overlapping.float()
    assert {buffer.dtype for buffer in mixture.buffers()} == {torch.float64}
    assert mixture.log_prob(z).dtype == torch.float32
    assert torch.equal(mixture.log_prob(z), mixture.log_prob(z.double()).float())


@pytest.mark.parametrize("name", TYPES)
def test_unfitted_mixture_is_a_standard_normal(name: str) -> None:
    """Before any fit the density is N(0, I)."""
    z = rows(5, 3).double()
    expected = multivariate_normal(np.zeros(3), np.eye(3)).logpdf(z.numpy())
    np.testing.assert_allclose(GaussianMixture(4, 3, covariance_type=name).log_prob(z), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "theirs"), {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}.items()
)
def test_bic_agrees_with_scikit_learn(name: str, theirs: str, overlapping: Tensor) -> None:
    """Same parameters, same rows, same criterion."""
    mixture = GaussianMixture(3, 3, covariance_type=name, tol=1e-12).fit(overlapping)
    sklearn = SklearnMixture(
        3,
        covariance_type=theirs,
        weights_init=mixture.weights.numpy(),
        means_init=mixture.means.numpy(),
        precisions_init=np.linalg.inv(mixture.natural_covariances.numpy())
        if name in {"full", "tied"}
        else 1 / mixture.natural_covariances.numpy(),
        tol=1e-10,
    ).fit(overlapping.numpy())
    assert mixture.bic(overlapping) == pytest.approx(sklearn.bic(overlapping.numpy()), abs=1e-4)


def test_hyperprior_is_zero() -> None:
    """Maximum likelihood adds nothing to the loss."""
    assert GaussianMixture(3, 2).log_hyperprior().item() == 0


def test_fewer_rows_than_components_names_both_numbers() -> None:
    """The message has both numbers and the repair."""
    with pytest.raises(ValueError, match=r"z has 2 samples .* n_components=3; .* use n_components=2"):
        GaussianMixture(3, 4).fit(torch.zeros(2, 4))


def test_rows_that_are_not_finite_are_refused() -> None:
    """One NaN is found and counted."""
    z = torch.zeros(5, 2)
    z[3, 1] = torch.nan
    with pytest.raises(ValueError, match="1 of 5 rows"):
        GaussianMixture(2, 2).fit(z)


def test_zero_iterations_are_refused() -> None:
    """`max_iter` is at least one."""
    with pytest.raises(ValueError, match="max_iter must be at least 1, got 0"):
        GaussianMixture(2, 2).fit(torch.zeros(5, 2), max_iter=0)


def test_singular_covariance_without_regularisation_names_the_repair() -> None:
    """Rows in a plane with reg_covar 0 have no full covariance; the message says what to do."""
    z = torch.cat([rows(30, 2), torch.zeros(30, 1)], 1)
    with pytest.raises(ValueError, match="raise reg_covar"):
        GaussianMixture(2, 3, covariance_type="full", reg_covar=0.0).fit(z)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance_type": "diag"}, "covariance_type must be one of"),
        ({"reg_covar": -1e-6}, "reg_covar must be >= 0"),
        ({"reg_covar": float("nan")}, "reg_covar must be >= 0"),
        ({"tol": 0.0}, "tol must be > 0"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str) -> None:
    """Each message names the argument and its range."""
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, 2, **options)


def good_parameters() -> dict[str, Tensor]:
    return {
        "weights": torch.tensor([0.25, 0.75]),
        "means": torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]),
        "natural_covariances": torch.eye(3).repeat(2, 1, 1),
    }


def test_from_parameters_keeps_them() -> None:
    """The density is the one the parameters describe."""
    mixture = GaussianMixture.from_parameters(**good_parameters(), covariance_type="full", tol=0.01)
    expected = 0.25 * multivariate_normal.pdf(np.zeros(3), np.zeros(3)) + 0.75 * multivariate_normal.pdf(
        np.zeros(3), np.array([1.0, 2.0, 3.0])
    )
    assert mixture.log_prob(torch.zeros(1, 3).double()).exp().item() == pytest.approx(expected, rel=1e-12)
    assert mixture.config()["tol"] == 0.01


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("weights", torch.tensor([0.5, 0.2]), r"the sum 0\.7"),
        ("weights", torch.tensor([-0.5, 1.5]), r"the smallest is -0\.5"),
        ("means", torch.full((2, 3), torch.inf), "means must be finite"),
        ("natural_covariances", torch.ones(2, 3), r"must have shape \(2, 3, 3\), got \(2, 3\)"),
        ("natural_covariances", torch.ones(2, 3, 3), "not positive definite"),
        ("natural_covariances", torch.ones(2, 3, 3).triu() + torch.eye(3), "not symmetric"),
    ],
)
def test_from_parameters_refuses_what_is_no_mixture(name: str, values: Tensor, message: str) -> None:
    """Shapes, distributions, finiteness, symmetry and definiteness are checked by name."""
    given = good_parameters() | {name: values}
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_parameters(**given, covariance_type="full")


def test_a_weight_may_be_zero() -> None:
    """Such a component is there and holds no row."""
    mixture = GaussianMixture.from_parameters(
        torch.tensor([0.0, 1.0]), torch.zeros(2, 2), torch.ones(2, 2), covariance_type="diagonal"
    )
    assert mixture.weights.tolist() == [0.0, 1.0]
    assert mixture.predict(torch.zeros(3, 2)).tolist() == [1, 1, 1]


def test_a_fit_that_does_not_converge_ends() -> None:
    """After 1,000 iterations from scratch, 100 of a refit, or as many as are asked for."""
    mixture, z = GaussianMixture(2, 1, covariance_type="tied_spherical"), rows(6, 1)
    mixture.tol = -1.0
    assert mixture.fit(z).n_iter_ == 1000
    assert not mixture.converged_
    mixture.update(z)
    assert mixture.n_iter_ == 100
    assert mixture.fit(z, max_iter=7).n_iter_ == 7


def test_the_usual_generator_is_seeded_zero() -> None:
    """So that a fit can be had again."""
    z = rows(60, 3)
    usual = GaussianMixture(4, 3).fit(z, init="points", max_iter=1)
    again = GaussianMixture(4, 3).fit(
        z, init="points", max_iter=1, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(usual.means, again.means)


def test_two_means_that_coincide_are_told_apart_anew() -> None:
    """A refit of an unfitted mixture is a fit; one whose means differ goes on from where it is."""
    z = torch.cat([rows(30, 2), rows(30, 2) + 9])
    mixture = GaussianMixture(2, 2)
    mixture.update(z)
    torch.testing.assert_close(mixture.means, GaussianMixture(2, 2).fit(z).means)
    assert (mixture.means[0] - mixture.means[1]).norm() > 9
