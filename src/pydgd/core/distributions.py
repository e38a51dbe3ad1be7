# SPDX-License-Identifier: BSD-3-Clause
"""The count distributions of the model; their log-masses, element by element and summed over genes, come along."""

import torch
from jaxtyping import Float, Real
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.utils import broadcast_all

from pydgd.core.mass import log_factorial, nb_log_mass, nb_log_r_curvature, poisson_log_mass
from pydgd.core.nll import nb_constants, nb_nll, poisson_nll

__all__ = [
    "NegativeBinomial",
    "Poisson",
    "log_factorial",
    "nb_constants",
    "nb_log_mass",
    "nb_log_r_curvature",
    "nb_nll",
    "poisson_log_mass",
    "poisson_nll",
]


class NegativeBinomial(Distribution):
    """Read counts with mean mu and variance mu + mu^2 / r."""

    arg_constraints = {"mu": constraints.nonnegative, "r": constraints.positive}
    support = constraints.nonnegative_integer

    def __init__(self, mu: Tensor, r: Tensor, validate_args: bool | None = None) -> None:
        self.mu, self.r = broadcast_all(mu, r)
        super().__init__(self.mu.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.mu

    @property
    def variance(self) -> Tensor:
        return self.mu + self.mu.square() / self.r

    def log_prob(self, value: Tensor) -> Tensor:
        return nb_log_mass(value, self.mu, self.r.log())

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = (), *, generator: torch.Generator | None = None) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            r = self.r.double().expand(shape).contiguous()
            rate = torch._standard_gamma(r, generator=generator) / r * self.mu.double()
            return torch.poisson(rate, generator=generator).to(self.mu.dtype)


class Poisson(Distribution):
    """Read counts with mean and variance mu."""

    arg_constraints = {"mu": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, mu: Tensor, validate_args: bool | None = None) -> None:
        (self.mu,) = broadcast_all(mu)
        super().__init__(self.mu.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.mu

    @property
    def variance(self) -> Tensor:
        return self.mu

    def log_prob(self, value: Tensor) -> Tensor:
        return poisson_log_mass(value, self.mu)

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = (), *, generator: torch.Generator | None = None) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            return torch.poisson(self.mu.double().expand(shape).contiguous(), generator=generator).to(self.mu.dtype)
