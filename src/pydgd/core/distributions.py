# SPDX-License-Identifier: BSD-3-Clause
"""The count distributions of the model; their log-masses, by element and summed over genes, come along."""

from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.utils import broadcast_all
from torch.types import _size

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

_NO_SHAPE = torch.Size()
_RATE_MAX = 1e18  # torch.poisson counts in int64
_R_MAX = 1e300  # at infinity the gamma draw over r would be NaN
_R_MIN = 1e-250  # a gamma draw is at least 2e-308, which must still be 0 reads after the division by r


class NegativeBinomial(Distribution):
    r"""Read counts with mean :math:`\mu` and variance :math:`\mu + \mu^2 / r`.

    Args:
        mu: Expected reads per gene, >= 0; shape ``(N, G)``.
        r: Inverse dispersion, > 0; broadcasts to `mu` (DESeq2's alpha is 1/r).
        validate_args: Whether to check arguments and counts; torch's default if None.

    Raises:
        ValueError: If `mu` is negative or `r` is not positive.

    Source:
        Robinson & Smyth (2008), Biostatistics 9:321, with phi = 1/r.

    Example:
        >>> NegativeBinomial(torch.tensor(20.0), torch.tensor(5.0)).variance
        tensor(100.)
    """

    arg_constraints: ClassVar = {"mu": constraints.nonnegative, "r": constraints.positive}
    support = constraints.nonnegative_integer

    def __init__(self, mu: Tensor, r: Tensor, *, validate_args: bool | None = None) -> None:
        self.mu, self.r = broadcast_all(mu, r)
        super().__init__(self.mu.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """Expected reads."""
        return self.mu

    @property
    def variance(self) -> Tensor:
        """Poisson variance plus the overdispersion."""
        return self.mu + self.mu.square() / self.r

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-mass of counts, in the dtype of `mu`; see `nb_log_mass`."""
        if self._validate_args:
            self._validate_sample(value)
        return nb_log_mass(value, self.mu, self.r.log().to(self.mu.dtype))

    def sample(self, sample_shape: _size = _NO_SHAPE, *, generator: Generator | None = None) -> Tensor:
        """Draw counts as Poisson reads of a gamma-distributed rate, in float64 inside.

        Args:
            sample_shape: Shape of the draws, in front of the distribution's own.
            generator: Source of randomness; torch's global one if None.

        Returns:
            Whole numbers in the dtype of `mu`.
        """
        with torch.no_grad():
            r = (
                self.r.double()
                .clamp(min=_R_MIN, max=_R_MAX)
                .expand(self._extended_shape(sample_shape))
                .contiguous()
            )
            # float64: a float32 draw is at least 1e-38, of which r = 1e-30 and mu = 1e8 would make a read.
            factor = torch._standard_gamma(r, generator=generator) / r
            return _poisson_draws(factor * self.mu.double(), generator).to(self.mu.dtype)


class Poisson(Distribution):
    r"""Read counts with mean and variance :math:`\mu`; without overdispersion.

    Args:
        mu: Expected reads per gene, >= 0; shape ``(N, G)``.
        validate_args: Whether to check arguments and counts; torch's default if None.

    Raises:
        ValueError: If `mu` is negative.

    Example:
        >>> Poisson(torch.tensor(20.0)).variance
        tensor(20.)
    """

    arg_constraints: ClassVar = {"mu": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, mu: Tensor, *, validate_args: bool | None = None) -> None:
        self.mu = mu
        super().__init__(mu.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """Expected reads."""
        return self.mu

    @property
    def variance(self) -> Tensor:
        """The mean."""
        return self.mu

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-mass of counts, in the dtype of `mu`; see `poisson_log_mass`."""
        if self._validate_args:
            self._validate_sample(value)
        return poisson_log_mass(value, self.mu)

    def sample(self, sample_shape: _size = _NO_SHAPE, *, generator: Generator | None = None) -> Tensor:
        """Draw counts, in float64 inside.

        Args:
            sample_shape: Shape of the draws, in front of the distribution's own.
            generator: Source of randomness; torch's global one if None.

        Returns:
            Whole numbers in the dtype of `mu`.
        """
        with torch.no_grad():
            rates = self.mu.double().expand(self._extended_shape(sample_shape))
            return _poisson_draws(rates.contiguous(), generator).to(self.mu.dtype)


def _poisson_draws(rates: Tensor, generator: Generator | None) -> Tensor:
    return torch.poisson(rates.clamp(max=_RATE_MAX), generator=generator)
