# SPDX-License-Identifier: BSD-3-Clause
"""The joint density of counts and representations."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp
from torch import Tensor

from pydgd.core.decoder import Decoder
from pydgd.core.latent import GaussianMixture, GradientMixture, LatentPrior
from pydgd.core.model import JointModel

N, G, D, K = 7, 30, 3, 2
WEIGHTS, MEANS = np.array([0.3, 0.7]), np.array([[0.5, -1.0, 0.0], [-0.4, 0.2, 1.0]])
COVARIANCES = np.array([np.diag([0.5, 1.0, 2.0]), [[1.0, 0.3, 0.0], [0.3, 0.8, 0.1], [0.0, 0.1, 0.6]]])


def mixture() -> GaussianMixture:
    """Two components with full covariances."""
    return GaussianMixture.from_parameters(
        *map(torch.tensor, (WEIGHTS, MEANS, COVARIANCES)), covariance_type="full"
    )


def decoder(name: str, widths: tuple[int, ...]) -> Decoder:
    """A decoder whose weights are drawn from a seed of its own."""
    options = {"output_dim": G, **({"r_init": 3.0} if name == "nb_feature_dispersion" else {})}
    made = Decoder(D, widths, ["tanh"] * len(widths), name, options)
    made.reset_parameters(generator=torch.Generator().manual_seed(4))
    return made


def make_model(
    name: str = "poisson", widths: tuple[int, ...] = (), prior: LatentPrior | None = None
) -> JointModel:
    """A joint model of known parameters."""
    genes = [f"g{i}" for i in range(G)]
    return JointModel(genes, decoder(name, widths), prior or mixture(), "mean", torch.ones(G))


def data() -> tuple[Tensor, Tensor, Tensor]:
    """Counts, with zeros and large ones, positions and scaling factors."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.lognormal(2, 2, (N, G))).astype(np.float32)
    z, s = rng.normal(size=(N, D)).astype(np.float32), rng.uniform(5, 500, N).astype(np.float32)
    return torch.tensor(counts), torch.tensor(z), torch.tensor(s)


@torch.no_grad()
def scipy_log_joint(
    model: JointModel, counts: Tensor, z: Tensor, s: Tensor, *, genes: np.ndarray
) -> np.ndarray:
    """The same density in float64, with nothing of PyDGD but the decoder's weights."""
    double = copy.deepcopy(model.decoder).double()
    module, hidden = double.output_module, double.trunk(z.double())
    k, mu = (
        counts.double().numpy(),
        np.logaddexp(0, module.layer_means(hidden).numpy()) * s.double().numpy()[:, None],
    )
    if module.name == "poisson":
        masses = stats.poisson.logpmf(k, mu)
    else:
        log_r = module.log_r if module.name == "nb_feature_dispersion" else module.layer_log_r(hidden)
        r = log_r.exp().numpy()
        masses = stats.nbinom.logpmf(k, r, r / (r + mu))
    densities = [stats.multivariate_normal(m, c).logpdf(z) for m, c in zip(MEANS, COVARIANCES, strict=True)]
    return masses[:, genes].sum(axis=1) + logsumexp(np.stack(densities, axis=1) + np.log(WEIGHTS), axis=1)


@pytest.mark.parametrize("widths", [(), (8,)])
@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_log_joint_agrees_with_scipy(name: str, widths: tuple[int, ...]) -> None:
    """Negative binomial or Poisson masses plus a normal mixture, to the digits of the float32 decoder."""
    model, (counts, z, s) = make_model(name, widths), data()
    found = model.log_joint(counts, z, s)
    assert found.dtype == torch.float64
    expected = scipy_log_joint(model, counts, z, s, genes=np.arange(G))
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_masked_genes_do_not_count(name: str) -> None:
    """The density is that of the measured genes alone, whatever stands in the others' places."""
    model, (counts, z, s) = make_model(name), data()
    mask = torch.arange(G) % 3 != 0
    counts[:, ~mask] = 1e6
    found = model.log_joint(counts, z, s, mask=mask).detach()
    expected = scipy_log_joint(model, counts, z, s, genes=np.flatnonzero(mask))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_log_joint_is_differentiable_in_z_and_parameters() -> None:
    """Gradients reach representations, decoder and a gradient-trained prior."""
    model, (counts, z, s) = make_model(prior=GradientMixture(K, D)), data()
    model.log_joint(counts, z.requires_grad_(), s).sum().backward()
    for parameter in (z, *model.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


def test_state_holds_decoder_prior_and_profile() -> None:
    """What a model file must keep is in the state; the profile given is copied."""
    profile = torch.ones(G)
    model = JointModel([f"g{i}" for i in range(G)], decoder("poisson", ()), mixture(), "mean", profile)
    profile.zero_()
    assert {name.split(".")[0] for name in model.state_dict()} == {"decoder", "prior", "profile"}
    assert model.profile.sum() == G


@pytest.mark.parametrize(("n_genes", "n_profile"), [(G - 1, G), (G, G + 1), (1, 1)])
def test_number_of_genes_must_agree(n_genes: int, n_profile: int) -> None:
    """The message gives all three numbers."""
    with pytest.raises(ValueError, match=rf"number of genes, got {n_genes}, {G} and {n_profile}"):
        JointModel(
            [str(i) for i in range(n_genes)], decoder("poisson", ()), mixture(), "mean", torch.ones(n_profile)
        )


def test_latent_dimensions_must_agree() -> None:
    """The message gives both numbers."""
    with pytest.raises(ValueError, match="latent dimensions, got 3 and 5"):
        make_model(prior=GaussianMixture(1, 5))
