# SPDX-License-Identifier: BSD-3-Clause
"""The YAML that describes a model of bulkdgd, in the words of its release 1 and of release 2."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pydgd.errors import ModelFileError

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PACKAGED = "default"
"""In place of a file name: the file that bulkdgd ships."""

RELEASES = (1, 2)


def _either(first: str, second: str) -> Any:  # noqa: ANN401  # a field of pydantic
    return Field(validation_alias=AliasChoices(first, second))


class _Part(BaseModel):
    """Keys that are not read here are training's or tgmm's."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _MeansPrior(_Part):
    radius: PositiveFloat = 7.0
    sharpness: PositiveFloat = 10.0


class _WeightsPrior(_Part):
    alpha: PositiveFloat = 5.0


class _LogVarPrior(_Part):
    mean: PositiveFloat = 0.1
    stddev: PositiveFloat = 1.0


class MixtureOptions(_Part):
    """What the YAML says of the mixture, whose own file says the rest."""

    n_components: Annotated[Positive | None, _either("n_components", "n_comp")] = None
    covariance_type: Annotated[str | None, _either("covariance_type", "cm_type")] = None
    means_prior_options: _MeansPrior = _MeansPrior()
    weights_prior_options: _WeightsPrior = _WeightsPrior()
    log_var_prior_options: _LogVarPrior = _LogVarPrior()
    latent_pth_file: str | None = None

    @property
    def hyperpriors(self) -> dict[str, float]:
        """Arguments of `pydgd.core.latent.GradientMixture`."""
        return {
            "softball_radius": self.means_prior_options.radius,
            "softball_sharpness": self.means_prior_options.sharpness,
            "dirichlet_alpha": self.weights_prior_options.alpha,
            "component_sd": self.log_var_prior_options.mean,
            "log_var_spread": self.log_var_prior_options.stddev,
        }


class _OutputOptions(_Part):
    activation: Literal["softplus", "sigmoid"]
    r_init: PositiveFloat = 2.0


class DecoderOptions(_Part):
    """What the YAML says of the decoder."""

    n_units_hidden_layers: list[Positive]
    activations: list[Literal["relu", "elu"]]
    output_module_name: Literal["nb_feature_dispersion", "nb_full_dispersion", "poisson"]
    output_module_options: _OutputOptions
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    decoder_pth_file: str | None = None

    @model_validator(mode="after")
    def _one_activation_per_layer(self) -> "DecoderOptions":
        widths, names = self.n_units_hidden_layers, self.activations
        if len(widths) != len(names):
            raise ValueError(f"{len(widths)} hidden layers need as many activations, got {len(names)}")
        return self


class PeerConfig(_Part):
    """A model's configuration.

    Attributes:
        release: 1 or 2; the names of the keys tell.
        latent_dim: Latent dimensions, D.
        latent_type: ``lgmm`` or ``tgmm``; None where the file does not say.
        mixture: Of the latent space.
        decoder: Of the counts.
        genes_txt_file: Name of the gene list.
        gmm_pth_file: Name of the mixture's file in release 1.
        dec_pth_file: Name of the decoder's file in release 1.
        scaling_factor: Of upstream's later releases; only the mean count is known here.
    """

    release: Literal[1, 2]
    latent_dim: Annotated[Positive, _either("latent_dim", "input_dim")]
    latent_type: Literal["lgmm", "tgmm"] | None = None
    mixture: Annotated[MixtureOptions, _either("latent_options", "gmm_options")] = MixtureOptions()
    decoder: Annotated[DecoderOptions, _either("decoder_options", "dec_options")]
    genes_txt_file: str | None = None
    gmm_pth_file: str | None = None
    dec_pth_file: str | None = None
    scaling_factor: Literal["mean"] = "mean"

    @property
    def mixture_file(self) -> str | None:
        """Name of the mixture's file, if the configuration gives one."""
        return self.mixture.latent_pth_file or self.gmm_pth_file

    @property
    def decoder_file(self) -> str | None:
        """Name of the decoder's file, if the configuration gives one."""
        return self.decoder.decoder_pth_file or self.dec_pth_file

    def decoder_arguments(self, *, n_genes: int) -> dict[str, Any]:
        """Arguments of `pydgd.core.decoder.Decoder`.

        Args:
            n_genes: Of the gene list.
        """
        given, name = self.decoder, self.decoder.output_module_name
        options: dict[str, Any] = {
            "output_dim": n_genes,
            "activation": given.output_module_options.activation,
        }
        if name == "nb_feature_dispersion":
            options["r_init"] = given.output_module_options.r_init
        if name == "nb_full_dispersion" and self.release == 1:
            # Release 1 sent ln r through the activation of the means.
            options["log_r_activation"] = "same"
        return {
            "n_units_input_layer": self.latent_dim,
            "n_units_hidden_layers": given.n_units_hidden_layers,
            "activations": given.activations,
            "output_module_name": name,
            "output_module_options": options,
            "dropout": given.dropout,
        }


def parse_config(values: Mapping[str, Any], path: Path, *, release: int | None = None) -> PeerConfig:
    """Check a configuration.

    Args:
        values: What the YAML holds.
        path: Of the YAML, for messages.
        release: 1 or 2 if it is known better than by the names of the keys.

    Raises:
        ModelFileError: If it is not one, or holds what cannot be read; names every such key.

    Example:
        >>> parse_config({"decoder_options": {}}, Path("model.yaml"))
        Traceback (most recent call last):
        pydgd.errors.ModelFileError: model.yaml is not a model's configuration of bulkdgd: latent_dim: field
        required; decoder_options.n_units_hidden_layers: field required; ...
    """
    try:
        return PeerConfig.model_validate({**values, "release": release or _release(values, path)})
    except ValidationError as error:
        lines = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')[0].lower()}"
            f"{e['msg'].removeprefix('Value error, ')[1:]}"
            + ("" if e["type"] == "missing" else f", got {e['input']!r:.80}")
            for e in error.errors()
        )
        raise ModelFileError(f"{path} is not a model's configuration of bulkdgd: {lines}") from None


def _release(values: Mapping[str, Any], path: Path) -> int:
    words = {
        1: ("dec_options", "gmm_options", "input_dim"),
        2: ("decoder_options", "latent_options", "latent_dim"),
    }
    found = [release for release in RELEASES if any(word in values for word in words[release])]
    if len(found) == 1:
        return found[0]
    told = "keys of both releases" if found else "none of the keys dec_options and decoder_options"
    raise ModelFileError(
        f"{path} has {told}; give a model's configuration of bulkdgd 1 or 2, such as config_model.yaml"
    )
