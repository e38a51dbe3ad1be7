# SPDX-License-Identifier: BSD-3-Clause
"""Every option of a training run, with its default, range and meaning."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from pydgd.errors import ConfigError

Positive = Annotated[int, Field(gt=0)]
Activation = Literal["relu", "elu", "silu", "gelu", "softplus", "tanh", "identity"]
CovarianceType = Literal[
    "full", "tied", "diagonal", "spherical", "tied_diagonal", "tied_spherical", "isotropic", "fixed"
]
# By prior, the usual one first.
_COVARIANCES = {
    "em": ("tied", "full", "diagonal", "spherical", "tied_diagonal", "tied_spherical"),
    "gradient": ("diagonal", "isotropic", "fixed"),
}


class TrainingConfig(BaseModel):
    """Options of `DGD.fit`.

    Defaults were chosen by the held-out likelihood of genes that a sample's representation did not see
    (docs/method.md), on 619 healthy samples.

    Attributes:
        latent_dim: Latent dimensions D, at most one less than the training samples; None: one per 6 of them,
            at most 64.
        n_components: Components K of the latent mixture; None: one per 20 training samples, at most 30.
        prior: ``em`` (refitted by expectation-maximisation) or ``gradient`` (trained with the decoder).
        covariance_type: Covariance of the components: for ``em`` one of full, tied, diagonal, spherical,
            tied_diagonal, tied_spherical; for ``gradient`` diagonal, isotropic or fixed. None: tied for
            ``em``, diagonal for ``gradient``.
        n_units_hidden_layers: Widths of the decoder's hidden layers; none makes it linear on the link scale.
        activations: One name per hidden layer, or one name for all: relu, elu, silu, gelu, softplus, tanh,
            identity (a linear layer: see docs/capacity.md).
        output_module: Distribution of the counts, see `pydgd.core.outputmodules.OUTPUT_MODULES`.
        output_activation: ``softplus`` or ``sigmoid``.
        dropout: Share of hidden units silenced in training.
        scaling: Rule of the scaling factors, see `pydgd.data.scaling`.
        min_detected: A gene is modelled if more than this share of all samples, those held out included, has
            reads of it.
        epochs: Passes over the training samples.
        batch_size: Samples per step.
        learning_rate: Peak of the schedule, in natural-log units of the means per step.
        schedule: ``one_cycle``, ``cosine`` or ``constant``.
        validation: Share of the samples (whole groups) held out to watch the likelihood; 0 for none. With
            fewer than ten groups nothing is held out.
        validation_seed: With the groups' names it decides who is held out; `seed` does not.
        group_key: Column of `obs` whose groups are not split by the validation; None: ``donor`` if present.
        label_key: Column of `obs` that describes training samples (``tissue``); None: ``tissue`` if present.
        validate_every: Epochs between two looks at the held-out samples.
        patience: Looks in a row materially worse than the best one before training stops.
        seed: Decides every random choice of the run but who is held out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent_dim: Positive | None = None
    n_components: Positive | None = None
    prior: Literal["em", "gradient"] = "em"
    covariance_type: CovarianceType | None = None
    n_units_hidden_layers: tuple[Positive, ...] = ()
    activations: Activation | tuple[Activation, ...] = "elu"
    output_module: Literal["nb_feature_dispersion", "nb_full_dispersion", "poisson"] = "nb_feature_dispersion"
    output_activation: Literal["softplus", "sigmoid"] = "softplus"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    scaling: Literal["total", "mean", "median"] = "total"
    min_detected: Annotated[float, Field(ge=0, lt=1)] = 0.2
    epochs: Positive = 40
    batch_size: Positive = 128
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.03
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    validation_seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    group_key: str | None = None
    label_key: str | None = None
    validate_every: Positive = 5
    patience: Positive = 3
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0

    @model_validator(mode="after")
    def _one_activation_per_layer(self) -> "TrainingConfig":
        n_layers = len(self.n_units_hidden_layers)
        if not isinstance(self.activations, str) and len(self.activations) != n_layers:
            raise ValueError(
                f"activations: give one name, or one per hidden layer ({n_layers}), got {self.activations!r}"
            )
        return self

    @model_validator(mode="after")
    def _covariance_of_the_prior(self) -> "TrainingConfig":
        allowed = _COVARIANCES[self.prior]
        if self.covariance_type not in (None, *allowed):
            raise ValueError(
                f"covariance_type: the prior {self.prior!r} takes {', '.join(allowed)}, "
                f"got {self.covariance_type!r}"
            )
        return self

    @property
    def layer_activations(self) -> list[str]:
        """One activation name per hidden layer."""
        if isinstance(self.activations, str):
            return [self.activations] * len(self.n_units_hidden_layers)
        return list(self.activations)

    @property
    def components_covariance(self) -> str:
        """Covariance type, with the prior's usual one filled in."""
        return self.covariance_type or _COVARIANCES[self.prior][0]


def training_config(**options: object) -> TrainingConfig:
    """Check options.

    Args:
        **options: Fields of `TrainingConfig`.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: If an option is unknown or has a value that is not allowed; names all of them.

    Example:
        >>> training_config(latent_dim=8).latent_dim
        8
    """
    try:
        return TrainingConfig.model_validate(options)
    except ValidationError as error:
        raise ConfigError("\n".join(map(_line, error.errors()))) from None


def _line(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown option {error['loc'][0]!r}; options are {', '.join(TrainingConfig.model_fields)}"
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    # A union adds the names of its members to the path, which tell a user nothing.
    name = ".".join(str(part) for i, part in enumerate(error["loc"]) if i == 0 or isinstance(part, int))
    return f"{name}: {message[0].lower()}{message[1:]}, got {error['input']!r}"
