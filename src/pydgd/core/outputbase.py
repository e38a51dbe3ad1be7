# SPDX-License-Identifier: BSD-3-Clause
"""What every output module shares: the means' layer, scaling factors, checks, log-mass, samples, a start."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple, TypeAlias, TypedDict

import torch
from jaxtyping import Bool, Float, Num
from torch import Generator, Tensor, nn
from torch.nn.functional import linear

from pydgd.core.activations import OUTPUT_ACTIVATIONS, by_row
from pydgd.core.checks import (
    as_float,
    require_choice,
    require_positive_int,
    require_range,
    require_same_shape,
)
from pydgd.core.distributions import log_factorial
from pydgd.core.kernels import row_sums
from pydgd.core.mass import wants_grad

# What a module's forward returns: the means, or the means and ln r.
Outputs: TypeAlias = Tensor | tuple[Tensor, Tensor]


class FrozenConstants(TypedDict, total=False):
    """Keyword arguments of `OutputModule.nll` that stay as long as counts and module do."""

    log_factorial: Tensor
    constants: Tensor


class CountFamily(NamedTuple):
    """A distribution of counts, as the functions that a module needs of it.

    Each takes the expected reads mu and, for the negative binomial, ln r behind it.

    Attributes:
        log_mass: ``(k, mu, [log_r])`` to the element-wise log-mass.
        nll: ``(counts, mu, [log_r], *, ...)`` to minus the log-mass of each sample, float64; see `nb_nll`.
        draw: ``(n, generator, mu, [log_r])`` to n draws.
    """

    log_mass: Callable[..., Tensor]
    nll: Callable[..., Tensor]
    draw: Callable[..., Tensor]


def projection(layer: nn.Linear, x: Tensor) -> Tensor:
    """What a head's layer makes of `x`; autocast rounds the product, never the bias or the sum.

    A bias of 8, which stands for one read in 3,000, would be wrong by up to 3 % of the mean in bfloat16.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x)  # type: ignore[no-any-return]  # torch's stub
    return linear(x, layer.weight).to(layer.bias.dtype) + layer.bias


class OutputModule(nn.Module, ABC):
    """Output layer of the decoder: from the last hidden layer to a distribution of read counts.

    The counts of sample i and gene g have mean ``mu = s_i * m_ig``. `forward` predicts the means m per unit
    of the scaling factor s; the methods that meet counts multiply by s. A final class adds its parameters and
    its family; the signatures of its `log_prob`, `loss` and `sample` show which predictions it needs.

    Attributes:
        name: Key of the class in `pydgd.core.outputmodules.OUTPUT_MODULES`.
        predicts_r: Whether `forward` returns ln r beside the means.
        layer_means: Linear layer whose activated output is the means.

    Args:
        input_dim: Width of the last hidden layer.
        output_dim: Number of genes.
        activation: Makes the means positive, ``"softplus"`` or ``"sigmoid"``.

    Raises:
        ValueError: If a dimension is not a positive integer or the activation is unknown.
    """

    name: ClassVar[str]
    predicts_r: ClassVar[bool] = False
    _family: ClassVar[CountFamily]

    def __init__(self, input_dim: int, output_dim: int, activation: str = "softplus") -> None:
        super().__init__()
        self._input_dim = require_positive_int("input_dim", input_dim)
        self._output_dim = require_positive_int("output_dim", output_dim)
        self._activation = require_choice("activation", activation, OUTPUT_ACTIVATIONS)
        self.layer_means = nn.Linear(self._input_dim, self._output_dim)

    def __setattr__(self, name: str, value: object) -> None:
        # nn.Module files a Parameter or Module under a property's name without asking the property.
        is_property = isinstance(getattr(type(self), name, None), property)
        if is_property:
            raise AttributeError(f"{name} of {type(self).__name__} is read-only")
        super().__setattr__(name, value)  # type: ignore[arg-type]  # torch's stub leaves out plain values

    @property
    def input_dim(self) -> int:
        """Width of the last hidden layer."""
        return self._input_dim

    @property
    def output_dim(self) -> int:
        """Number of genes."""
        return self._output_dim

    @property
    def activation(self) -> str:
        """Name of the activation that makes the means positive."""
        return self._activation

    @abstractmethod
    def forward(self, x: Tensor) -> Outputs:
        """Predict the means (and ln r, where every sample has its own) from the last hidden layer."""

    @abstractmethod
    def predict(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Outputs:
        """What `forward` returns, with this function as `activation`."""

    def forward_by_row(self, x: Float[Tensor, "n hidden"]) -> Outputs:
        """As `forward`, but a row's bits do not depend on its place: see `activations.by_row`."""
        return self.predict(x, by_row(OUTPUT_ACTIVATIONS[self._activation].forward))

    @abstractmethod
    def rows_of(self, outputs: Outputs, rows: slice) -> Outputs:
        """Some rows of what `forward` returned."""

    @abstractmethod
    def means_of(self, outputs: Outputs) -> Tensor:
        """Means m, taken out of what `forward` returned."""

    @abstractmethod
    def log_r_of(self, outputs: Outputs) -> Tensor | None:
        """Natural log of r for what `forward` returned, ``(1, G)`` or ``(N, G)``; None without r."""

    @abstractmethod
    def initialise_log_r(self, r: Tensor) -> None:
        """Start from this r of every gene, > 0, shape ``(G,)``; a Poisson layer ignores it."""

    @staticmethod
    def rescale(means: Num[Tensor, "*shape"], scaling_factors: Num[Tensor, "..."]) -> Float[Tensor, "*shape"]:
        """Multiply means by their sample's scaling factor, ``mu = s * m``.

        Args:
            means: Means per unit of the scaling factor; samples along the first dimension.
            scaling_factors: One factor >= 0 per sample, shape ``(N,)``; or a tensor with as many dimensions
                as `means` that starts with N and broadcasts, such as ``(N, 1)``.

        Returns:
            Expected reads, shape and dtype of `means`; integer means become torch's default float.

        Raises:
            ValueError: If the shapes do not fit, a factor is negative or not finite, or a product too large
                for the dtype.

        Example:
            >>> OutputModule.rescale(torch.ones(2, 2), torch.tensor([3.0, 5.0]))
            tensor([[3., 3.],
                    [5., 5.]])
        """
        require_range("scaling_factors", scaling_factors)
        means = as_float(means)
        mu: Tensor = means * _along_first(scaling_factors, means).to(means.dtype)
        if bool((~mu.isfinite() & means.isfinite()).any()):
            raise ValueError(
                f"scaling_factors must keep means * scaling_factors within {means.dtype}; the largest factor "
                f"is {scaling_factors.max().item():.3g}, the largest mean {means.max().item():.3g}"
            )
        return mu

    def nll(
        self,
        counts: Num[Tensor, "n genes"],
        outputs: Outputs,
        scaling_factors: Num[Tensor, " n"],
        *,
        log_factorial: Float[Tensor, "n genes"] | Float[Tensor, " n"] | None = None,
        mask: Bool[Tensor, " genes"] | None = None,
        constants: Float[Tensor, "n columns"] | None = None,
        compiled: bool = False,
    ) -> Float[Tensor, " n"]:
        """Minus the log-mass of each sample, summed over genes: the unchecked path of training and search.

        Args:
            counts: Reads, shape ``(N, G)``.
            outputs: What `forward` returned; one row serves all samples.
            scaling_factors: One factor per sample, shape ``(N,)``.
            log_factorial: ln k! of the counts, if computed beforehand; each, or its sum over measured genes.
            mask: True where a gene is measured; the others do not count.
            constants: See `frozen_constants`.
            compiled: Whether to use a kernel from ``torch.compile``, made on first use.

        Returns:
            Nats per sample, float64, shape ``(N,)``; differentiable once.
        """
        means = self.means_of(outputs)
        factors = scaling_factors.to(means.dtype)
        given: dict[str, Tensor] = {} if constants is None else {"constants": constants}
        if wants_grad(factors):
            means = means * factors.unsqueeze(-1)
        else:
            # Multiplied block by block: a matrix of expected reads and one of its gradient are saved.
            means, given["scaling_factors"] = means.expand(len(factors), -1), factors
        parameters = _present(means, self.log_r_of(outputs))
        return self._family.nll(
            counts, *parameters, log_factorial=log_factorial, mask=mask, compiled=compiled, **given
        )

    def frozen_constants(
        self,
        counts: Num[Tensor, "n genes"],
        *,
        mask: Bool[Tensor, " genes"] | None = None,
        compiled: bool = False,  # noqa: ARG002  # matters where there is an r per gene
    ) -> FrozenConstants:
        """What `nll` of these counts can be told once and for all while the module is frozen.

        Args:
            counts: Reads, shape ``(N, G)``.
            mask: True where a gene is measured.
            compiled: As `nll` will be told.

        Returns:
            Keyword arguments of `nll`, for outputs in the dtype of the weights.
        """
        each = log_factorial(counts)
        kept = each if mask is None else torch.where(mask, each, 0.0)
        return {"log_factorial": row_sums(kept)}

    @torch.no_grad()
    def initialise(
        self,
        mean_profile: Float[Tensor, "..."],
        r: Float[Tensor, "..."],
        *,
        weight_scale: float = 1e-3,
        generator: Generator | None = None,
    ) -> None:
        """Start from the data: every sample is predicted close to the mean profile, with the given r.

        The bias becomes the inverse activation of the profile. The weights are normal with standard deviation
        ``weight_scale / sqrt(input_dim)``: for hidden units of size 1 the projection varies by `weight_scale`
        around its bias, whatever the width.

        Args:
            mean_profile: Mean of every gene per unit of the scaling factor, >= 0, shape ``(G,)``.
            r: Inverse dispersion of every gene, > 0, shape ``(G,)``; a Poisson layer ignores it.
            weight_scale: Spread of the projection around its bias.
            generator: Source of the weights; torch's global one by default.

        Raises:
            ValueError: If the profile or r has another shape or values out of range.
        """
        profile = self._per_gene("mean_profile", mean_profile)
        weight = self.layer_means.weight
        device = weight.device if generator is None else generator.device
        noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype, device=device)
        weight.copy_(noise * (weight_scale / self._input_dim**0.5))
        self.layer_means.bias.copy_(OUTPUT_ACTIVATIONS[self._activation].inverse(profile))
        self.initialise_log_r(r)

    def _means(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        if x.dim() == 0 or x.shape[-1] != self._input_dim:
            raise ValueError(f"x must have a last dimension of {self._input_dim}, got shape {tuple(x.shape)}")
        return activation(projection(self.layer_means, x))

    def _per_gene(self, name: str, x: Tensor, *, positive: bool = False) -> Tensor:
        if x.shape != (self._output_dim,):
            raise ValueError(f"{name} must have shape ({self._output_dim},), got {tuple(x.shape)}")
        require_range(name, x, positive=positive)
        return x.double()

    def _log_prob(
        self, counts: Tensor, means: Tensor, log_r: Tensor | None, scaling_factors: Tensor
    ) -> Tensor:
        require_range("obs_counts", counts)
        require_same_shape("pred_means", means, "obs_counts", counts)
        require_range("pred_means", means)
        return self._family.log_mass(counts, *_present(self.rescale(means, scaling_factors), log_r))

    def _sample(
        self,
        n: int,
        means: Tensor,
        log_r: Tensor | None,
        scaling_factors: Tensor,
        generator: Generator | None,
    ) -> Tensor:
        require_positive_int("n", n)
        require_range("pred_means", means)
        with torch.no_grad():
            mu = self.rescale(means, scaling_factors)
            return self._family.draw(n, generator, *_present(mu, log_r))


class MeansOnlyModule(OutputModule):
    """Output layer whose `forward` returns nothing but means; r, if there is one, is not a prediction."""

    @abstractmethod
    def _log_r_for(self, pred_means: Tensor) -> Tensor | None: ...

    def forward(self, x: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch genes"]:
        """Predict the means.

        Args:
            x: Last hidden layer, shape ``(..., input_dim)``.

        Returns:
            Means per unit of the scaling factor, > 0, shape ``(..., output_dim)``.

        Raises:
            ValueError: If the last dimension of `x` is not `input_dim`.
        """
        return self.predict(x, OUTPUT_ACTIVATIONS[self.activation].forward)

    def predict(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        """Means, with this function as `activation`."""
        return self._means(x, activation)

    def log_prob(
        self,
        obs_counts: Num[Tensor, "*shape"],
        pred_means: Num[Tensor, "..."],
        scaling_factors: Num[Tensor, "..."],
    ) -> Float[Tensor, "*shape"]:
        """Log-mass of the counts, element-wise.

        Args:
            obs_counts: Counts >= 0; samples along the first dimension, genes along the last.
            pred_means: Means per unit of the scaling factor, shape of `obs_counts`.
            scaling_factors: One factor per sample, see `rescale`.

        Returns:
            Nats, shape of `obs_counts`.

        Raises:
            ValueError: If shapes do not fit or a value is out of range.
        """
        return self._log_prob(obs_counts, pred_means, self._log_r_for(pred_means), scaling_factors)

    def loss(
        self,
        obs_counts: Num[Tensor, "*shape"],
        pred_means: Num[Tensor, "..."],
        scaling_factors: Num[Tensor, "..."],
    ) -> Float[Tensor, "*shape"]:
        """Minus `log_prob`, element-wise: same arguments, errors and shape."""
        return -self.log_prob(obs_counts, pred_means, scaling_factors)

    def sample(
        self,
        n: int,
        pred_means: Num[Tensor, "*shape"],
        scaling_factors: Num[Tensor, "..."],
        *,
        generator: Generator | None = None,
    ) -> Float[Tensor, "n ..."]:
        """Draw counts.

        Args:
            n: Number of draws.
            pred_means: Means per unit of the scaling factor; samples first, genes last.
            scaling_factors: One factor per sample, see `rescale`.
            generator: Source of randomness, on the device of the means; torch's global one by default.

        Returns:
            Whole numbers, shape ``(n, *pred_means.shape)``, without gradient.

        Raises:
            ValueError: If shapes do not fit or a value is out of range.
        """
        return self._sample(n, pred_means, self._log_r_for(pred_means), scaling_factors, generator)

    def means_of(self, outputs: Outputs) -> Tensor:
        """Means m, taken out of what `forward` returned."""
        assert isinstance(outputs, Tensor)
        return outputs

    def rows_of(self, outputs: Outputs, rows: slice) -> Tensor:
        """Some rows of the means."""
        return self.means_of(outputs)[rows]


def _present(mu: Tensor, log_r: Tensor | None) -> tuple[Tensor, ...]:
    return (mu,) if log_r is None else (mu, log_r.to(mu.dtype))


def _along_first(scaling_factors: Tensor, means: Tensor) -> Tensor:
    """Bring one factor per sample in front of whatever follows the first dimension of `means`."""
    factors, shape = scaling_factors.shape, means.shape
    if shape and factors == shape[:1]:
        return scaling_factors.reshape(-1, *[1] * (means.dim() - 1))
    fits = shape and len(factors) == len(shape) and factors[0] == shape[0]
    if fits and all(size in (1, full) for size, full in zip(factors[1:], shape[1:], strict=True)):
        return scaling_factors
    raise ValueError(
        f"scaling_factors must have shape ({shape[0] if shape else 'N'},), or start with that "
        f"and broadcast to the means' shape {tuple(shape)}; got shape {tuple(factors)}"
    )
