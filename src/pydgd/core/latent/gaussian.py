# SPDX-License-Identifier: BSD-3-Clause
"""The mixture that expectation-maximisation fits to the representations."""

import math
from typing import Any, final

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from pydgd.core.checks import as_float
from pydgd.core.latent.covariances import COVARIANCE_TYPES, cholesky, covariance_type_named
from pydgd.core.latent.em import EMFit, MixtureParameters, joint_log_prob
from pydgd.core.latent.prior import LatentPrior
from pydgd.core.latent.rescue import run_em_with_rescue
from pydgd.core.latent.shards import ONE_SHARD, Shards, n_rows
from pydgd.core.latent.starts import clustered_parameters, initial_parameters


@final
class GaussianMixture(LatentPrior):
    r"""A Gaussian mixture fitted by expectation-maximisation, in float64.

    Until `fit`, `update` or `load_state_dict` it is a standard normal, K times over.

    Args:
        n_components: Number of Gaussians K.
        latent_dim: Number of latent dimensions D.
        covariance_type: One of `COVARIANCE_TYPES`: ``full``, ``tied``, ``diagonal``, ``spherical``,
            ``tied_diagonal``, ``tied_spherical`` (in bulkdgd/tgmm: full, tied_full, diag, spherical,
            tied_diag, tied_spherical).
        reg_covar: Added to every variance at each step, >= 0, squared units of z.
        tol: EM stops when the mean log density changes by less than this share of itself, > 0.

    Attributes:
        weights: Component weights, (K,).
        means: Component means, (K, D).
        natural_covariances: Covariances in the shape of their type: (K, D, D), (D, D), (K, D), (K,),
            (D,) or (); `covariances()` gives matrices.
        lower_bound_: Mean log density of the rows last fitted, nats; NaN before.
        n_iter_: Iterations of the last fit.
        converged_: Whether the last fit met `tol` before its `max_iter`.

    Raises:
        ValueError: If an argument is out of its range.

    Source:
        Dempster, Laird & Rubin (1977), JRSS B 39:1; Bishop (2006), Pattern Recognition and Machine
        Learning, chapter 9.

    Example:
        >>> z = torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.0, 0.2], [5.0, 5.0], [5.2, 5.0], [5.0, 5.2]])
        >>> mixture = GaussianMixture(2, 2, covariance_type="tied_spherical").fit(z)
        >>> mixture.weights
        tensor([0.5000, 0.5000], dtype=torch.float64)
        >>> mixture.predict(z).unique().tolist()
        [0, 1]
    """

    name = "em"
    natural_covariances: Tensor

    def __init__(
        self,
        n_components: int,
        latent_dim: int,
        *,
        covariance_type: str = "tied",
        reg_covar: float = 1e-6,
        tol: float = 1e-4,
    ) -> None:
        super().__init__(n_components, latent_dim)
        if not (reg_covar >= 0 and math.isfinite(reg_covar)):
            raise ValueError(f"reg_covar must be >= 0 and finite, got {reg_covar}; the default is 1e-6.")
        if not (tol > 0 and math.isfinite(tol)):
            raise ValueError(f"tol must be > 0 and finite, got {tol}; the default is 1e-4.")
        self.covariance_type, self.reg_covar, self.tol = covariance_type, reg_covar, tol
        self._kind = covariance_type_named(covariance_type, COVARIANCE_TYPES)
        weights = torch.full((n_components,), 1 / n_components, dtype=torch.float64)
        self.register_buffer("weights", weights)
        self.register_buffer("means", torch.zeros(n_components, latent_dim, dtype=torch.float64))
        self.register_buffer("natural_covariances", self._kind.identity(n_components, latent_dim))
        self.lower_bound_, self.n_iter_, self.converged_ = math.nan, 0, False

    @classmethod
    def from_parameters(
        cls,
        weights: Float[Tensor, " n_weights"],
        means: Float[Tensor, "n_components latent_dim"],
        natural_covariances: Float[Tensor, "..."],
        *,
        covariance_type: str,
        reg_covar: float = 1e-6,
        tol: float = 1e-4,
    ) -> "GaussianMixture":
        """A mixture with these parameters, to use as it is or to `update`.

        Args:
            weights: Component weights, >= 0, sum to one within 1e-3 (and are then made to), (K,).
            means: Component means, (K, D).
            natural_covariances: Covariances in the shape of `covariance_type`.
            covariance_type: One of `COVARIANCE_TYPES`.
            reg_covar: As for the class.
            tol: As for the class.

        Returns:
            The mixture, on the device of `means`.

        Raises:
            ValueError: If shapes do not fit, weights are no distribution, a number is not finite or a
                covariance is not symmetric and positive definite.
        """
        n_components, latent_dim = means.shape
        mixture = cls(
            n_components, latent_dim, covariance_type=covariance_type, reg_covar=reg_covar, tol=tol
        ).to(means.device)
        given = {"weights": weights, "means": means, "natural_covariances": natural_covariances}
        for name, values in given.items():
            _check_values(name, values, mixture.get_buffer(name).shape)
        if bool((weights < 0).any()) or abs(weights.sum().item() - 1) > 1e-3:
            raise ValueError(
                f"weights must be >= 0 and sum to one; the smallest is {weights.min().item():.3g} "
                f"and the sum {weights.sum().item():.6g}. Divide them by their sum."
            )
        mixture.load_state_dict(given)
        mixture.weights = mixture.weights / mixture.weights.sum()
        matrices = mixture.covariances()
        if not torch.allclose(matrices, matrices.mT, rtol=1e-4, atol=1e-9):
            raise ValueError("natural_covariances are not symmetric; give (C + C.mT) / 2.")
        cholesky(matrices)
        return mixture

    def component_log_prob(
        self, z: Num[Tensor, "n_samples latent_dim"]
    ) -> Float[Tensor, "n_samples n_components"]:
        """Joint log density of each row and component, nats, (N, K); see `LatentPrior`."""
        self._check_shape(z)
        return joint_log_prob(z.double(), self._current(), self._kind).to(as_float(z).dtype)

    def covariances(self) -> Float[Tensor, "n_components latent_dim latent_dim"]:
        """Covariance matrices, (K, D, D), float64."""
        return self._kind.expand(self.natural_covariances, self.n_components, self.latent_dim)

    def log_hyperprior(self) -> Float[Tensor, ""]:
        """Zero: maximum likelihood has no prior on the parameters."""
        return self.weights.new_zeros(())

    def config(self) -> dict[str, Any]:
        """JSON-ready arguments that rebuild this mixture, apart from its buffers."""
        return {
            "n_components": self.n_components,
            "latent_dim": self.latent_dim,
            "covariance_type": self.covariance_type,
            "reg_covar": self.reg_covar,
            "tol": self.tol,
        }

    def fit(
        self,
        z: Float[Tensor, "n_samples latent_dim"],
        *,
        generator: torch.Generator | None = None,
        init: str = "farthest",
        clusters: Int[Tensor, " n_samples"] | None = None,
        max_iter: int = 1000,
    ) -> "GaussianMixture":
        """Fit from scratch.

        Args:
            z: Representations, (N, D), N >= K; no gradient flows into them.
            generator: Picks the first mean; by default a new one seeded 0.
            init: Rule of the initial means: ``farthest``, ``kmeans++`` or ``points``.
            clusters: Number of the cluster that each row starts in, in place of `init`, (N,).
            max_iter: Most iterations.

        Returns:
            The mixture itself.

        Raises:
            ValueError: If there are fewer rows than components, a row is not finite, an option is
                unknown, or a covariance is singular despite `reg_covar`.
        """
        rows = self._rows(z)
        if clusters is not None:
            start = clustered_parameters(
                rows, self.n_components, self._kind, clusters=clusters, reg_covar=self.reg_covar
            )
        else:
            start = initial_parameters(
                rows,
                self.n_components,
                self._kind,
                init=init,
                reg_covar=self.reg_covar,
                generator=generator or torch.Generator().manual_seed(0),
            )
        self._keep(self._run(rows, start, max_iter))
        return self

    def update(
        self, z: Float[Tensor, "n_samples latent_dim"], *, max_iter: int = 100, shards: Shards = ONE_SHARD
    ) -> None:
        """Refit from the current state.

        Means that all coincide (an unfitted mixture, or one fitted to equal rows) cannot be told apart
        by EM; such a mixture is fitted from scratch.

        Args:
            z: Representations, (N, D), N >= K; no gradient flows into them.
            max_iter: Most iterations.
            shards: Processes that have the other samples.

        Raises:
            ValueError: As `fit`.
        """
        n = int(n_rows(z.double(), shards))
        coincide = self.n_components > 1 and bool((self.means == self.means[0]).all())
        # A new start is made of all rows; several processes go on from where they stand.
        if coincide and n == len(z):
            self.fit(z, max_iter=max_iter)
        else:
            self._keep(self._run(self._rows(z, n=n), self._current(), max_iter, shards))

    def n_parameters(self) -> int:
        """Number of free parameters: means, weights less one, and the covariances of this type."""
        free = self._kind.n_parameters(self.n_components, self.latent_dim)
        return free + self.n_components * self.latent_dim + self.n_components - 1

    def bic(self, z: Float[Tensor, "n_samples latent_dim"]) -> float:
        """Bayesian information criterion of the mixture on these rows, in nats times two; lower is better.

        Source:
            Schwarz (1978), Annals of Statistics 6:461.
        """
        return self.n_parameters() * math.log(len(z)) - 2 * self.log_prob(z.double()).sum().item()

    def _current(self) -> MixtureParameters:
        # .double(): a caller may have sent the module to float32; the arithmetic stays in float64.
        return MixtureParameters(
            self.weights.double(), self.means.double(), self.natural_covariances.double()
        )

    def _rows(self, z: Tensor, *, n: int | None = None) -> Tensor:
        """Rows to fit to, checked; n with those of other processes."""
        self._check_shape(z)
        n = len(z) if n is None else n
        if n < self.n_components:
            raise ValueError(
                f"z has {n} samples but the mixture has n_components={self.n_components}; "
                f"give at least {self.n_components} samples or use n_components={max(1, n)} or fewer."
            )
        if not bool(z.isfinite().all()):
            bad = int((~z.isfinite()).any(dim=1).sum())
            raise ValueError(f"z must be finite, but {bad} of {len(z)} rows hold NaN or inf; drop them.")
        return z.detach().to(device=self.means.device, dtype=torch.float64)

    def _run(
        self, rows: Tensor, start: MixtureParameters, max_iter: int, shards: Shards = ONE_SHARD
    ) -> EMFit:
        if max_iter < 1:
            raise ValueError(f"max_iter must be at least 1, got {max_iter}.")
        return run_em_with_rescue(
            rows, start, self._kind, reg_covar=self.reg_covar, tol=self.tol, max_iter=max_iter, shards=shards
        )

    def _keep(self, fit: EMFit) -> None:
        # New tensors, not writes into the old: a graph built before the fit can still be walked back.
        self.weights = fit.parameters.weights
        self.means = fit.parameters.means
        self.natural_covariances = fit.parameters.covariance
        self.lower_bound_, self.n_iter_, self.converged_ = fit.lower_bound, fit.n_iter, fit.converged


def _check_values(name: str, values: Tensor, shape: torch.Size) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(values.shape)}.")
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name} must be finite, got NaN or inf.")
