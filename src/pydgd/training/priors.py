# SPDX-License-Identifier: BSD-3-Clause
"""The mixture a run starts from: where expectation-maximisation finds the first representations."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pydgd.config import TrainingConfig
from pydgd.core.latent import GaussianMixture, GradientMixture, LatentPrior

# Added to the variances of representations of unit spread: no component is narrower than 0.03.
REG_COVAR = 1e-3
# Iterations of the first fit.
START_ITER = 100


def start_prior(
    config: TrainingConfig, z: Float[Tensor, "n latent"], *, n_components: int, generator: Generator
) -> LatentPrior:
    """A mixture of the configured kind, fitted to the first representations.

    Args:
        config: Options of the run.
        z: First representations, (N, D), N >= K.
        n_components: K.
        generator: Picks the first mean of the fit.

    Returns:
        The mixture.
    """
    return _STARTS[config.prior](config.components_covariance, z, n_components, generator)


def _by_em(covariance_type: str, z: Tensor, n_components: int, generator: Generator) -> GaussianMixture:
    mixture = GaussianMixture(n_components, z.shape[1], covariance_type=covariance_type, reg_covar=REG_COVAR)
    return mixture.fit(z, generator=generator, max_iter=START_ITER)


def _by_gradient(covariance_type: str, z: Tensor, n_components: int, generator: Generator) -> GradientMixture:
    """What EM finds, with hyperpriors of the same scale.

    From the mixture's own start, means in a ball of radius 7 and a spread of 0.1, representations of unit
    spread are 1,500 nats per sample away, and 40 epochs do not bring the two together.
    """
    shape = "diagonal" if covariance_type == "diagonal" else "spherical"
    found = _by_em(shape, z, n_components, generator)
    log_var = found.natural_covariances.log()
    mixture = GradientMixture(
        n_components,
        z.shape[1],
        covariance_type=covariance_type,
        softball_radius=2.0 * float(found.means.norm(dim=1).max().clamp_min(1.0)),
        component_sd=float((0.5 * log_var).mean().exp()),
    )
    with torch.no_grad():
        mixture.means.copy_(found.means)
        mixture.log_var.copy_(log_var.reshape(mixture.log_var.shape))
        mixture.weight_logits.copy_(found.weights.clamp_min(1e-6).log())
    return mixture


_STARTS: dict[str, Callable[[str, Tensor, int, Generator], LatentPrior]] = {
    GaussianMixture.name: _by_em,
    GradientMixture.name: _by_gradient,
}
