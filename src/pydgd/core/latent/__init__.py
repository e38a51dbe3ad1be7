# SPDX-License-Identifier: BSD-3-Clause
"""The latent space: priors on representations, and the representations themselves."""

from pydgd.core.latent import hyperpriors
from pydgd.core.latent.covariances import COVARIANCE_TYPES
from pydgd.core.latent.gaussian import GaussianMixture
from pydgd.core.latent.gradient import GRADIENT_COVARIANCE_TYPES, GradientMixture
from pydgd.core.latent.peer import (
    gaussian_mixture_from_peer,
    gradient_mixture_from_peer,
    prior_from_peer,
    prior_to_peer,
)
from pydgd.core.latent.prior import LatentPrior
from pydgd.core.latent.representations import REPRESENTATION_STARTS, RepresentationLayer

PRIORS: dict[str, type[LatentPrior]] = {
    GaussianMixture.name: GaussianMixture,
    GradientMixture.name: GradientMixture,
}

__all__ = [
    "COVARIANCE_TYPES",
    "GRADIENT_COVARIANCE_TYPES",
    "PRIORS",
    "REPRESENTATION_STARTS",
    "GaussianMixture",
    "GradientMixture",
    "LatentPrior",
    "RepresentationLayer",
    "gaussian_mixture_from_peer",
    "gradient_mixture_from_peer",
    "hyperpriors",
    "prior_from_peer",
    "prior_to_peer",
]
