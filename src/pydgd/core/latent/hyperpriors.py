# SPDX-License-Identifier: BSD-3-Clause
"""Priors on the parameters of a gradient-trained mixture: means, weights and variances."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.constraints import Constraint
from torch.nn.functional import softplus


class Softball(Distribution):
    r"""Nearly uniform in a ball of radius R around the origin, with a logistic edge.

    :math:`\ln p(x) = \ln\Gamma(1 + D/2) - D(\ln R + \tfrac12\ln\pi) - \ln(1 + e^{b(|x|/R - 1)})`. The
    constant is that of the ball with a hard edge, and draws come from that ball; the density integrates
    to one only for b much larger than D.

    Args:
        latent_dim: Number of dimensions D, at least 1.
        radius: R, > 0, units of z.
        sharpness: b, > 0; the edge is about 4R/b wide.

    Raises:
        ValueError: If an argument is not positive.

    Source:
        Schuster & Krogh (2021), Entropy 23:1403.

    Example:
        >>> Softball(3, radius=7.0, sharpness=10.0).log_prob(torch.zeros(3))
        tensor(-7.2702)
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    support = constraints.real_vector

    def __init__(self, latent_dim: int, *, radius: float, sharpness: float) -> None:
        for name, value in {"latent_dim": latent_dim, "radius": radius, "sharpness": sharpness}.items():
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be > 0 and finite, got {value}.")
        self.radius, self.sharpness = radius, sharpness
        super().__init__(event_shape=torch.Size([latent_dim]))

    def log_prob(self, value: Float[Tensor, "*batch latent_dim"]) -> Float[Tensor, "*batch"]:
        """Log density of each position, nats; finite at any distance a float can hold."""
        dim = self.event_shape[0]
        if value.shape[-1:] != self.event_shape:
            raise ValueError(f"positions must have {dim} dimensions, got shape {tuple(value.shape)}.")
        log_ball = dim * (math.log(self.radius) + 0.5 * math.log(math.pi)) - math.lgamma(1 + dim / 2)
        beyond = torch.linalg.vector_norm(value, dim=-1) / self.radius - 1
        # softplus is ln(1 + e^x) without the overflow of e^x (float32: from 88 on, at nine radii).
        return -log_ball - softplus(self.sharpness * beyond)

    def sample(  # type: ignore[override]  # a generator is required: no draw may touch global state
        self, sample_shape: torch.Size, *, generator: torch.Generator
    ) -> Float[Tensor, "*batch latent_dim"]:
        """Draws from the ball with a hard edge: uniform direction, radius R u^(1/D).

        Args:
            sample_shape: Shape of the batch of draws.
            generator: Source of randomness.

        Returns:
            float32 draws on the generator's device.
        """
        dim, device = self.event_shape[0], generator.device
        direction = torch.randn(*sample_shape, dim, generator=generator, device=device)
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        uniform = torch.rand(*sample_shape, 1, generator=generator, device=device)
        draws: Tensor = self.radius * uniform.pow(1 / dim) * direction
        return draws


def dirichlet_log_prob(log_weights: Float[Tensor, " n_components"], *, alpha: float) -> Float[Tensor, ""]:
    """Log density of a symmetric Dirichlet at mixture weights.

    It takes their logarithm, because a softmax that underflows to zero still has one.

    Args:
        log_weights: Natural logarithm of the weights, (K,).
        alpha: Concentration, > 0; above 1 it favours even weights.

    Returns:
        Nats, scalar.

    Example:
        >>> dirichlet_log_prob(torch.tensor([0.5, 0.5]).log(), alpha=1.0)
        tensor(0.)
    """
    n = len(log_weights)
    return math.lgamma(n * alpha) - n * math.lgamma(alpha) + (alpha - 1) * log_weights.sum()


def log_variance_log_prob(
    log_var: Float[Tensor, "..."], *, component_sd: float, spread: float
) -> Float[Tensor, ""]:
    """Log density of log variances under a normal around ``2 ln(component_sd)``, summed.

    bulkdgd writes the same density at minus the log variance around ``-2 ln(component_sd)``.

    Args:
        log_var: Natural logarithm of variances.
        component_sd: Standard deviation expected of a component, > 0, units of z.
        spread: Standard deviation of the log variance, > 0.

    Returns:
        Nats, scalar.
    """
    standard = (log_var - 2 * math.log(component_sd)) / spread
    return (-0.5 * (standard.square() + math.log(2 * math.pi)) - math.log(spread)).sum()
