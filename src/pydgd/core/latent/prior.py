# SPDX-License-Identifier: BSD-3-Clause
"""What every prior on the latent space can do, whatever fits its parameters."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from pydgd.core.checks import as_float
from pydgd.core.latent.shards import ONE_SHARD, Shards


class LatentPrior(nn.Module, ABC):
    r"""A mixture of K Gaussians on representations: :math:`p(z) = \sum_k w_k N(z; \mu_k, \Sigma_k)`.

    Densities are in nats and computed in float64, then returned in the dtype of `z`.

    Args:
        n_components: Number of Gaussians K, at least 1.
        latent_dim: Number of latent dimensions D, at least 1.

    Attributes:
        name: Key of the class in `PRIORS`.
        means: Component means, (K, D).
        weights: Component weights, (K,), sum to one.

    Raises:
        ValueError: If a size is below 1.

    Source:
        Schuster & Krogh (2023), Bioinformatics 39:btad497.
    """

    name: ClassVar[str]
    means: Tensor
    weights: Tensor

    def __init__(self, n_components: int, latent_dim: int) -> None:
        super().__init__()
        for argument, size in {"n_components": n_components, "latent_dim": latent_dim}.items():
            if size < 1:
                raise ValueError(f"{argument} must be at least 1, got {size}; give a positive whole number.")
        self.n_components = n_components
        self.latent_dim = latent_dim

    @abstractmethod
    def component_log_prob(
        self, z: Num[Tensor, "n_samples latent_dim"]
    ) -> Float[Tensor, "n_samples n_components"]:
        r"""Joint log density :math:`\ln w_k + \ln N(z; \mu_k, \Sigma_k)` of every row and component.

        Args:
            z: Representations, (N, D).

        Returns:
            Nats, (N, K), differentiable in `z` and in its dtype (of an integer `z`: torch's default float).

        Raises:
            ValueError: If `z` has another number of dimensions than the prior.
        """

    @abstractmethod
    def covariances(self) -> Float[Tensor, "n_components latent_dim latent_dim"]:
        """The covariance matrix of each component, whatever shape it is stored in, (K, D, D)."""

    @abstractmethod
    def update(
        self, z: Float[Tensor, "n_samples latent_dim"], *, max_iter: int, shards: Shards = ONE_SHARD
    ) -> None:
        """Refit to the current representations; does nothing where gradients train the prior.

        Args:
            z: Representations, (N, D); no gradient flows into them.
            max_iter: Most iterations of this refit.
            shards: Processes that have the other samples' representations.
        """

    @abstractmethod
    def log_hyperprior(self) -> Float[Tensor, ""]:
        """Log density of the prior's own parameters, nats; zero where they have no prior."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """JSON-ready arguments: `PRIORS[name](**config)` and `load_state_dict` rebuild this prior."""

    def log_prob(self, z: Num[Tensor, "n_samples latent_dim"]) -> Float[Tensor, " n_samples"]:
        """Log density of each row under the whole mixture, nats, (N,)."""
        return torch.logsumexp(self.component_log_prob(z.double()), dim=1).to(as_float(z).dtype)

    def responsibilities(
        self, z: Num[Tensor, "n_samples latent_dim"]
    ) -> Float[Tensor, "n_samples n_components"]:
        """Posterior probability of each component given each row, (N, K); rows sum to one."""
        return torch.softmax(self.component_log_prob(z.double()), dim=1).to(as_float(z).dtype)

    def predict(self, z: Num[Tensor, "n_samples latent_dim"]) -> Int[Tensor, " n_samples"]:
        """Index of the most probable component of each row, (N,)."""
        return self.component_log_prob(z).argmax(dim=1)

    def component_precisions(self) -> Float[Tensor, "n_components latent_dim latent_dim"]:
        """Inverse covariance matrix of each component, (K, D, D), float64."""
        inverses: Tensor = torch.cholesky_inverse(torch.linalg.cholesky(self.covariances().double()))
        return inverses

    def precisions(
        self,
        z: Num[Tensor, "n_samples latent_dim"],
        *,
        component_precisions: Float[Tensor, "n_components latent_dim latent_dim"] | None = None,
    ) -> Float[Tensor, "n_samples latent_dim latent_dim"]:
        r"""Mean component precision at each row, :math:`\sum_k r_k(z) \Sigma_k^{-1}`, (N, D, D).

        It is the negative Hessian of the log density without its between-component term, so it is
        always positive definite (the Hessian is not, between two components).

        Args:
            z: Representations, (N, D).
            component_precisions: What the method of that name returned, if computed beforehand.

        Returns:
            Symmetric positive definite matrices in the dtype of `z`.
        """
        inverses = self.component_precisions() if component_precisions is None else component_precisions
        mixed = self.responsibilities(z).double() @ inverses.flatten(1)
        return mixed.reshape(-1, self.latent_dim, self.latent_dim).to(as_float(z).dtype)

    def sample(self, n: int, *, generator: torch.Generator) -> Float[Tensor, "n latent_dim"]:
        """Independent draws from the mixture.

        Args:
            n: Number of draws.
            generator: Source of randomness; one on the CPU gives the same draws on every device.

        Returns:
            Draws in the dtype of the means, (n, D); no gradient.
        """
        here, device = self.means.device, generator.device
        uniforms = torch.rand(n, generator=generator, dtype=torch.float64, device=device).to(here)
        noise = torch.randn(n, self.latent_dim, generator=generator, dtype=torch.float64, device=device)
        with torch.no_grad():
            edges = self.weights.double().cumsum(dim=0)[:-1]  # a sum just below one loses no draw
            components = torch.searchsorted(edges, uniforms, right=True)
            factors: Tensor = torch.linalg.cholesky(self.covariances().double())
            draws = noise.to(here)
            for k in range(self.n_components):
                rows = components == k
                draws[rows] = self.means[k].double() + draws[rows] @ factors[k].T
            return draws.to(self.means.dtype)

    def _check_shape(self, z: Tensor) -> None:
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(
                f"z must have shape (n_samples, {self.latent_dim}), got {tuple(z.shape)}; "
                f"this prior has latent_dim={self.latent_dim}."
            )
