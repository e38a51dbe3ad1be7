# SPDX-License-Identifier: BSD-3-Clause
"""Output layers of the decoder: negative binomial with r per gene or per gene and sample, and Poisson."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Num
from torch import Generator, Tensor, nn

from pydgd.core.activations import OUTPUT_ACTIVATIONS
from pydgd.core.checks import (
    as_float,
    require_broadcastable,
    require_choice,
    require_finite,
    require_positive_number,
    require_range,
    require_same_shape,
)
from pydgd.core.distributions import (
    NegativeBinomial,
    Poisson,
    nb_constants,
    nb_log_mass,
    nb_nll,
    poisson_log_mass,
    poisson_nll,
)
from pydgd.core.outputbase import (
    CountFamily,
    FrozenConstants,
    MeansOnlyModule,
    OutputModule,
    Outputs,
    projection,
)

__all__ = [
    "OUTPUT_MODULES",
    "OutputModule",
    "OutputModuleNBFeatureDispersion",
    "OutputModuleNBFullDispersion",
    "OutputModulePoisson",
]


def _draw_negative_binomial(n: int, generator: Generator | None, mu: Tensor, log_r: Tensor) -> Tensor:
    # float32 exp(log r) is 0 below -104, which is no r; at 1e±130 the draws are those of the limits.
    r = log_r.double().clamp(-300.0, 300.0).exp()
    return NegativeBinomial(mu.double(), r).sample((n,), generator=generator).to(mu.dtype)


def _draw_poisson(n: int, generator: Generator | None, mu: Tensor) -> Tensor:
    return Poisson(mu).sample((n,), generator=generator)


_NEGATIVE_BINOMIAL = CountFamily(nb_log_mass, nb_nll, _draw_negative_binomial)
_POISSON = CountFamily(poisson_log_mass, poisson_nll, _draw_poisson)


def _checked_nb_log_mass(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    require_range("k", k)
    require_range("m", m)
    require_range("r", r, positive=True)
    require_broadcastable(k=k, m=m, r=r)
    m, r = as_float(m), as_float(r)
    return nb_log_mass(k, m, r.log().to(m.dtype))


class OutputModuleNBFeatureDispersion(MeansOnlyModule):
    r"""Negative binomial counts whose inverse dispersion r belongs to the gene, the same in every sample.

    Variance :math:`\mu + \mu^2 / r_g` with :math:`\mu = s\,m`; ln r is a trained parameter.

    Args:
        input_dim: Width of the last hidden layer.
        output_dim: Number of genes.
        r_init: First value of r in every gene, > 0.
        activation: Makes the means positive, ``"softplus"`` or ``"sigmoid"`` (means below 1).

    Raises:
        ValueError: If a dimension is not a positive integer, `r_init` not > 0, or the activation unknown.

    Source:
        Schuster & Krogh (2023), Bioinformatics 39:btad497; Prada-Luengo et al. (2023), Genome Biology 24:263.

    Example:
        >>> module = OutputModuleNBFeatureDispersion(input_dim=8, output_dim=3, r_init=2)
        >>> means = module(torch.zeros(5, 8))
        >>> module.loss(torch.ones(5, 3), means, torch.full((5,), 10.0)).shape
        torch.Size([5, 3])
    """

    name = "nb_feature_dispersion"
    _family = _NEGATIVE_BINOMIAL

    def __init__(
        self, input_dim: int, output_dim: int, r_init: float | int, activation: str = "softplus"
    ) -> None:
        super().__init__(input_dim, output_dim, activation)
        log_r = math.log(require_positive_number("r_init", r_init))
        self._log_r = nn.Parameter(
            torch.full((1, self.output_dim), log_r, dtype=self.layer_means.weight.dtype)
        )

    @property
    def log_r(self) -> nn.Parameter:
        """Natural log of the r of every gene, trained, shape ``(1, G)``."""
        return self._log_r

    @staticmethod
    def log_prob_mass(
        k: Num[Tensor, "..."], m: Num[Tensor, "..."], r: Num[Tensor, "..."]
    ) -> Float[Tensor, "..."]:
        r"""Log-mass of the negative binomial, element-wise.

        .. math:: \ln\frac{\Gamma(k+r)}{\Gamma(r)\,k!} + k \ln\frac{m}{r+m} + r \ln\frac{r}{r+m}

        Exact for m > 0, without cancellation for large k or r. At m = 0 < k, where it is minus infinity,
        ln(m / (r + m)) is replaced by ln 1e-10 and the result is at most 0. Differentiable in `m` and `r`.

        Args:
            k: Counts >= 0; shapes need only broadcast.
            m: Means >= 0.
            r: Inverse dispersions > 0.

        Returns:
            Nats, in the dtype of `m`, torch's default where that is an integer type.

        Raises:
            ValueError: If a value is out of range or the shapes do not broadcast.

        Example:
            >>> OutputModuleNBFeatureDispersion.log_prob_mass(*torch.tensor([5.0, 5.0, 1e30]))
            tensor(-1.7403)
        """
        return _checked_nb_log_mass(k, m, r)

    def log_r_of(self, outputs: Outputs) -> Tensor:  # noqa: ARG002  # the same for every output
        """Natural log of the r of every gene, shape ``(1, G)``."""
        return self._log_r

    def frozen_constants(
        self,
        counts: Num[Tensor, "n genes"],
        *,
        mask: Bool[Tensor, " genes"] | None = None,
        compiled: bool = False,
    ) -> FrozenConstants:
        """Everything in `nll` that counts and r decide, so that each evaluation needs no special function."""
        plain = self.layer_means.weight.dtype != torch.float64 and not compiled
        return {"constants": nb_constants(counts, self._log_r.detach(), mask=mask, plain_only=plain)}

    def _log_r_for(self, pred_means: Tensor) -> Tensor:
        if pred_means.shape[-1:] != (self.output_dim,):
            raise ValueError(
                f"pred_means must have a last dimension of {self.output_dim} genes, "
                f"got shape {tuple(pred_means.shape)}"
            )
        return self._log_r.squeeze(0)

    def initialise_log_r(self, r: Tensor) -> None:
        """Set ln r of every gene."""
        self._log_r.copy_(self._per_gene("r", r, positive=True).log())


class OutputModuleNBFullDispersion(OutputModule):
    r"""Negative binomial counts whose inverse dispersion r is predicted for every gene of every sample.

    Variance :math:`\mu + \mu^2 / r_{ig}` with :math:`\mu = s\,m`; ln r is a linear function of the last
    hidden layer, so r may be any number > 0.

    Attributes:
        layer_log_r: Linear layer that predicts ln r.

    Args:
        input_dim: Width of the last hidden layer.
        output_dim: Number of genes.
        activation: Makes the means positive, ``"softplus"`` or ``"sigmoid"`` (means below 1).
        log_r_activation: ``"linear"``, or ``"same"`` to send ln r through `activation` as well, which keeps r
            above 1: for decoders trained by release 1 of the original package.

    Raises:
        ValueError: If a dimension is not a positive integer or an activation is unknown.

    Source:
        Schuster & Krogh (2023), Bioinformatics 39:btad497; Prada-Luengo et al. (2023), Genome Biology 24:263.

    Example:
        >>> module = OutputModuleNBFullDispersion(input_dim=8, output_dim=3)
        >>> means, log_r = module(torch.zeros(5, 8))
        >>> module.loss(torch.ones(5, 3), means, log_r, torch.full((5,), 10.0)).shape
        torch.Size([5, 3])
    """

    name = "nb_full_dispersion"
    predicts_r = True
    _family = _NEGATIVE_BINOMIAL

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        activation: str = "softplus",
        *,
        log_r_activation: str = "linear",
    ) -> None:
        super().__init__(input_dim, output_dim, activation)
        self._log_r_activation = require_choice("log_r_activation", log_r_activation, ("linear", "same"))
        self.layer_log_r = nn.Linear(self.input_dim, self.output_dim)

    @property
    def log_r_activation(self) -> str:
        """Whether ln r is ``"linear"`` or goes through the ``"same"`` activation as the means."""
        return self._log_r_activation

    def forward(
        self, x: Float[Tensor, "*batch hidden"]
    ) -> tuple[Float[Tensor, "*batch genes"], Float[Tensor, "*batch genes"]]:
        """Predict means and ln r.

        Args:
            x: Last hidden layer, shape ``(..., input_dim)``.

        Returns:
            Means per unit of the scaling factor, > 0, and natural logs of r, both ``(..., output_dim)``.

        Raises:
            ValueError: If the last dimension of `x` is not `input_dim`.
        """
        return self.predict(x, OUTPUT_ACTIVATIONS[self.activation].forward)

    def predict(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Means and ln r, with this function as `activation`."""
        means = self._means(x, activation)
        log_r = projection(self.layer_log_r, x)
        return means, activation(log_r) if self._log_r_activation == "same" else log_r

    @staticmethod
    def log_prob_mass(
        k: Num[Tensor, "..."], m: Num[Tensor, "..."], r: Num[Tensor, "..."]
    ) -> Float[Tensor, "..."]:
        """Log-mass of the negative binomial: see `OutputModuleNBFeatureDispersion.log_prob_mass`."""
        return _checked_nb_log_mass(k, m, r)

    def log_prob(
        self,
        obs_counts: Num[Tensor, "*shape"],
        pred_means: Num[Tensor, "..."],
        pred_log_r_values: Num[Tensor, "..."],
        scaling_factors: Num[Tensor, "..."],
    ) -> Float[Tensor, "*shape"]:
        """Log-mass of the counts, element-wise.

        Args:
            obs_counts: Counts >= 0; samples along the first dimension.
            pred_means: Means per unit of the scaling factor, shape of `obs_counts`.
            pred_log_r_values: Natural logs of r, shape of `obs_counts`.
            scaling_factors: One factor per sample, see `rescale`.

        Returns:
            Nats, shape of `obs_counts`.

        Raises:
            ValueError: If shapes do not fit or a value is out of range.
        """
        self._require_log_r(pred_log_r_values, pred_means)
        return self._log_prob(obs_counts, pred_means, pred_log_r_values, scaling_factors)

    def loss(
        self,
        obs_counts: Num[Tensor, "*shape"],
        pred_means: Num[Tensor, "..."],
        pred_log_r_values: Num[Tensor, "..."],
        scaling_factors: Num[Tensor, "..."],
    ) -> Float[Tensor, "*shape"]:
        """Minus `log_prob`, element-wise: same arguments, errors and shape."""
        return -self.log_prob(obs_counts, pred_means, pred_log_r_values, scaling_factors)

    def sample(
        self,
        n: int,
        pred_means: Num[Tensor, "*shape"],
        pred_log_r_values: Num[Tensor, "..."],
        scaling_factors: Num[Tensor, "..."],
        *,
        generator: Generator | None = None,
    ) -> Float[Tensor, "n ..."]:
        """Draw counts.

        Args:
            n: Number of draws.
            pred_means: Means per unit of the scaling factor; samples along the first dimension.
            pred_log_r_values: Natural logs of r, shape of `pred_means`.
            scaling_factors: One factor per sample, see `rescale`.
            generator: Source of randomness, on the device of the means; torch's global one by default.

        Returns:
            Whole numbers, shape ``(n, *pred_means.shape)``, without gradient.

        Raises:
            ValueError: If shapes do not fit or a value is out of range.
        """
        self._require_log_r(pred_log_r_values, pred_means)
        return self._sample(n, pred_means, pred_log_r_values, scaling_factors, generator)

    def means_of(self, outputs: Outputs) -> Tensor:
        """Means m, taken out of what `forward` returned."""
        return outputs[0]

    def log_r_of(self, outputs: Outputs) -> Tensor:
        """Natural logs of r, taken out of what `forward` returned."""
        return outputs[1]

    def rows_of(self, outputs: Outputs, rows: slice) -> tuple[Tensor, Tensor]:
        """Some rows of means and ln r."""
        return outputs[0][rows], outputs[1][rows]

    @staticmethod
    def _require_log_r(pred_log_r_values: Tensor, pred_means: Tensor) -> None:
        require_same_shape("pred_log_r_values", pred_log_r_values, "pred_means", pred_means)
        require_finite("pred_log_r_values", pred_log_r_values)

    def initialise_log_r(self, r: Tensor) -> None:
        """Predict this r in every sample: it becomes the layer's bias, its weights 0."""
        log_r = self._per_gene("r", r, positive=True).log()
        if self._log_r_activation == "same":
            log_r = OUTPUT_ACTIVATIONS[self.activation].inverse(log_r)
        self.layer_log_r.weight.zero_()
        self.layer_log_r.bias.copy_(log_r)


class OutputModulePoisson(MeansOnlyModule):
    r"""Poisson counts: mean and variance are :math:`\mu = s\,m`.

    Args:
        input_dim: Width of the last hidden layer.
        output_dim: Number of genes.
        activation: Makes the means positive, ``"softplus"`` or ``"sigmoid"`` (means below 1).

    Raises:
        ValueError: If a dimension is not a positive integer or the activation is unknown.

    Example:
        >>> module = OutputModulePoisson(input_dim=8, output_dim=3)
        >>> means = module(torch.zeros(5, 8))
        >>> module.sample(2, means, torch.full((5,), 10.0)).shape
        torch.Size([2, 5, 3])
    """

    name = "poisson"
    _family = _POISSON

    def __init__(self, input_dim: int, output_dim: int, activation: str = "softplus") -> None:
        super().__init__(input_dim, output_dim, activation)

    @staticmethod
    def log_prob_mass(k: Num[Tensor, "..."], m: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        r"""Log-mass of the Poisson distribution, :math:`k \ln m - m - \ln k!`, element-wise.

        At m = 0 < k, where it is minus infinity, ln m is replaced by ln 1e-10. Differentiable in `m`.

        Args:
            k: Counts >= 0; shapes need only broadcast.
            m: Means >= 0.

        Returns:
            Nats, in the dtype of `m`, torch's default where that is an integer type.

        Raises:
            ValueError: If a value is out of range or the shapes do not broadcast.

        Example:
            >>> OutputModulePoisson.log_prob_mass(*torch.tensor([5.0, 5.0]))
            tensor(-1.7403)
        """
        require_range("k", k)
        require_range("m", m)
        require_broadcastable(k=k, m=m)
        return poisson_log_mass(k, as_float(m))

    def log_r_of(self, outputs: Outputs) -> None:
        """None: Poisson counts have no r."""

    def _log_r_for(self, pred_means: Tensor) -> None:
        """Any shape will do."""

    def initialise_log_r(self, r: Tensor) -> None:
        """Nothing to set: Poisson counts have no r."""


OUTPUT_MODULES: dict[str, type[OutputModule]] = {
    module.name: module
    for module in (OutputModuleNBFeatureDispersion, OutputModuleNBFullDispersion, OutputModulePoisson)
}
