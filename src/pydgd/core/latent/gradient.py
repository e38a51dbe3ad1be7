# SPDX-License-Identifier: BSD-3-Clause
"""The mixture that is trained by gradient together with the decoder."""

import math
from typing import Any, final

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from pydgd.core.checks import as_float
from pydgd.core.latent.covariances import COVARIANCE_TYPES, CovarianceType, covariance_type_named
from pydgd.core.latent.hyperpriors import Softball, dirichlet_log_prob, log_variance_log_prob
from pydgd.core.latent.prior import LatentPrior
from pydgd.core.latent.shards import ONE_SHARD, Shards

GRADIENT_COVARIANCE_TYPES: dict[str, CovarianceType] = {
    "fixed": COVARIANCE_TYPES["spherical"],
    "isotropic": COVARIANCE_TYPES["spherical"],
    "diagonal": COVARIANCE_TYPES["diagonal"],
}


@final
class GradientMixture(LatentPrior):
    r"""A Gaussian mixture whose parameters an optimiser moves, with priors on all of them.

    Means have a softball prior, weights a symmetric Dirichlet, log variances a normal. bulkdgd calls
    this mixture lgmm.

    Args:
        n_components: Number of Gaussians K.
        latent_dim: Number of latent dimensions D.
        covariance_type: ``diagonal`` (a variance per component and dimension), ``isotropic`` (one per
            component) or ``fixed`` (one per component, not trained).
        softball_radius: Radius of the ball that holds the means, > 0, units of z.
        softball_sharpness: Sharpness of its edge, > 0.
        dirichlet_alpha: Concentration of the weights, > 0; above 1 it favours even weights.
        component_sd: Standard deviation at which components start and around which they are held, > 0.
        log_var_spread: Standard deviation of the prior on log variances, > 0.
        generator: Draws the initial means from the softball; by default a new one seeded 0.

    Attributes:
        means: Parameter, (K, D).
        weight_logits: Parameter, (K,); weights are its softmax.
        log_var: Parameter, log variances, (K, D) for ``diagonal``, else (K, 1).

    Raises:
        ValueError: If an argument is out of its range.

    Source:
        Schuster & Krogh (2021), Entropy 23:1403.

    Example:
        >>> mixture = GradientMixture(3, 2, covariance_type="isotropic")
        >>> mixture.log_prob(mixture.means).shape
        torch.Size([3])
        >>> mixture.weights
        tensor([0.3333, 0.3333, 0.3333], grad_fn=<SoftmaxBackward0>)
    """

    name = "gradient"

    def __init__(
        self,
        n_components: int,
        latent_dim: int,
        *,
        covariance_type: str = "diagonal",
        softball_radius: float = 7.0,
        softball_sharpness: float = 10.0,
        dirichlet_alpha: float = 5.0,
        component_sd: float = 0.1,
        log_var_spread: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_components, latent_dim)
        self._options = {
            "softball_radius": softball_radius,
            "softball_sharpness": softball_sharpness,
            "dirichlet_alpha": dirichlet_alpha,
            "component_sd": component_sd,
            "log_var_spread": log_var_spread,
        }
        for name, value in self._options.items():
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be > 0 and finite, got {value}.")
        self.covariance_type = covariance_type
        self._kind = covariance_type_named(covariance_type, GRADIENT_COVARIANCE_TYPES)
        self._softball = Softball(latent_dim, radius=softball_radius, sharpness=softball_sharpness)
        generator = generator or torch.Generator().manual_seed(0)
        draws = self._softball.sample(torch.Size([n_components]), generator=generator)
        self.means = nn.Parameter(draws)
        self.weight_logits = nn.Parameter(torch.ones(n_components))
        unit_variances = self._kind.identity(n_components, latent_dim)
        self._natural_shape = unit_variances.shape  # (K, D) or (K,); log_var keeps a column for the latter
        log_var = 2 * math.log(component_sd) * unit_variances.reshape(n_components, -1).float()
        self.log_var = nn.Parameter(log_var, requires_grad=covariance_type != "fixed")

    @property
    def weights(self) -> Float[Tensor, " n_components"]:  # type: ignore[override]  # read-only: a softmax
        """Component weights, (K,)."""
        return self.weight_logits.softmax(dim=0)

    def component_log_prob(
        self, z: Num[Tensor, "n_samples latent_dim"]
    ) -> Float[Tensor, "n_samples n_components"]:
        """Joint log density of each row and component, nats, (N, K); see `LatentPrior`."""
        self._check_shape(z)
        densities = self._kind.log_density(z.double(), self.means.double(), self._variances().double())
        return (densities + self.weight_logits.double().log_softmax(dim=0)).to(as_float(z).dtype)

    def covariances(self) -> Float[Tensor, "n_components latent_dim latent_dim"]:
        """Diagonal covariance matrices, (K, D, D); gradients flow back to `log_var`."""
        return self._kind.expand(self._variances(), self.n_components, self.latent_dim)

    def update(
        self, z: Float[Tensor, "n_samples latent_dim"], *, max_iter: int = 0, shards: Shards = ONE_SHARD
    ) -> None:
        """Nothing: the optimiser that trains the decoder trains this mixture too."""

    def log_hyperprior(self) -> Float[Tensor, ""]:
        """Log density of means, weights and log variances under their priors, nats, float64 scalar."""
        options, log_weights = self._options, self.weight_logits.double().log_softmax(dim=0)
        on_means = self._softball.log_prob(self.means.double()).sum()
        on_weights = dirichlet_log_prob(log_weights, alpha=options["dirichlet_alpha"])
        on_variances = log_variance_log_prob(
            self.log_var.double(), component_sd=options["component_sd"], spread=options["log_var_spread"]
        )
        return on_means + on_weights + on_variances

    def config(self) -> dict[str, Any]:
        """JSON-ready arguments that rebuild this mixture, apart from its parameters."""
        return {
            "n_components": self.n_components,
            "latent_dim": self.latent_dim,
            "covariance_type": self.covariance_type,
            **self._options,
        }

    def _variances(self) -> Tensor:
        return self.log_var.exp().reshape(self._natural_shape)
