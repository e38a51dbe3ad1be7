# SPDX-License-Identifier: BSD-3-Clause
"""The decoder: from a sample's latent position to the distribution of its read counts."""

import copy
import inspect
import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Real
from typing import Any, TypedDict

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from pydgd.core.activations import by_row
from pydgd.core.checks import require_choice, require_positive_int
from pydgd.core.outputbase import OutputModule, Outputs
from pydgd.core.outputmodules import OUTPUT_MODULES

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


class DecoderConfig(TypedDict):
    """Arguments of `Decoder`, ready for JSON."""

    n_units_input_layer: int
    n_units_hidden_layers: list[int]
    activations: list[str]
    output_module_name: str
    output_module_options: dict[str, Any]
    dropout: float


class Decoder(nn.Module):
    """Feed-forward network from latent positions to means of read counts, and to dispersions where predicted.

    Attributes:
        trunk: Hidden layers; each a block of linear map, activation and dropout.
        output_module: Last layer, see `pydgd.core.outputmodules`.
        latent_dim: Number of latent dimensions, D.
        n_genes: Number of genes, G.

    Args:
        n_units_input_layer: Number of latent dimensions, D.
        n_units_hidden_layers: Width of each hidden layer; with none, the output module reads the position.
        activations: One name per hidden layer: relu, elu, silu, gelu, softplus, tanh or identity.
        output_module_name: ``"nb_feature_dispersion"``, ``"nb_full_dispersion"`` or ``"poisson"``.
        output_module_options: The output module's arguments without `input_dim`: `output_dim` (number of
            genes), `activation`, and what else it takes.
        dropout: Share of hidden units silenced in training, in [0, 1).

    Raises:
        ValueError: If a name or option is unknown, a required option missing, a number out of range, or there
            is not one activation per hidden layer.

    Source:
        Schuster & Krogh (2023), Bioinformatics 39:btad497.

    Example:
        >>> decoder = Decoder(2, [16, 32], ["relu", "elu"], "poisson", {"output_dim": 100})
        >>> decoder(torch.zeros(5, 2)).shape
        torch.Size([5, 100])
    """

    def __init__(
        self,
        n_units_input_layer: int,
        n_units_hidden_layers: Sequence[int],
        activations: Sequence[str],
        output_module_name: str,
        output_module_options: Mapping[str, Any],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._config = DecoderConfig(
            n_units_input_layer=require_positive_int("n_units_input_layer", n_units_input_layer),
            n_units_hidden_layers=_widths(n_units_hidden_layers),
            activations=_activation_names(activations, n_layers=len(n_units_hidden_layers)),
            output_module_name=require_choice("output_module_name", output_module_name, OUTPUT_MODULES),
            output_module_options=_options_of(output_module_name, output_module_options),
            dropout=_share("dropout", dropout),
        )
        widths = [self._config["n_units_input_layer"], *self._config["n_units_hidden_layers"]]
        self.trunk = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(n_in, n_out), ACTIVATIONS[name](), nn.Dropout(self._config["dropout"])
                )
                for n_in, n_out, name in zip(widths[:-1], widths[1:], activations, strict=True)
            )
        )
        module_class: Any = OUTPUT_MODULES[output_module_name]
        self.output_module: OutputModule = module_class(widths[-1], **self._config["output_module_options"])
        self.latent_dim = widths[0]
        self.n_genes = self.output_module.output_dim

    def forward(self, z: Float[Tensor, "... features"]) -> Outputs:
        """Predict the distribution's parameters at latent positions.

        Args:
            z: Latent positions, shape ``(..., D)``.

        Returns:
            What the output module returns: means ``(..., G)`` per unit of the scaling factor, or a tuple of
            these and of ln r, ``(..., G)``.

        Raises:
            ValueError: If the last dimension of `z` is not D.
        """
        if z.dim() == 0 or z.shape[-1] != self.latent_dim:
            raise ValueError(f"z must have a last dimension of {self.latent_dim}, got shape {tuple(z.shape)}")
        outputs: Outputs = self.output_module(self.trunk(z))
        return outputs

    def forward_by_row(self, z: Float[Tensor, "n latent"]) -> Outputs:
        """As `forward`, but what a row gives does not depend on its place in the batch, to the last bit.

        Its company matters through the number of rows alone: matrix products round differently for different
        numbers of rows. Dropout is left out.

        Args:
            z: Latent positions, shape ``(N, D)``.

        Returns:
            What the output module returns.
        """
        for block in self.trunk.children():
            linear, activation, _ = block.children()
            z = by_row(activation)(linear(z))
        return self.output_module.forward_by_row(z)

    def config(self) -> DecoderConfig:
        """Return the constructor's arguments as plain numbers, strings, lists and dicts.

        Returns:
            A copy: ``Decoder(**decoder.config())`` is a decoder of the same architecture.

        Example:
            >>> Decoder(2, [], [], "poisson", {"output_dim": 9}).config()["output_module_options"]
            {'output_dim': 9}
        """
        return copy.deepcopy(self._config)

    @torch.no_grad()
    def reset_parameters(self, *, generator: Generator | None = None) -> None:
        """Draw all weights and biases anew, uniform within ±1/sqrt(n inputs) as torch's linear layers start.

        Args:
            generator: Source of the draws; one on the CPU gives the same decoder on every device. Torch's
                global one by default.
        """
        device = "cpu" if generator is None else generator.device
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                for parameter in layer.parameters():
                    draw = torch.rand(
                        parameter.shape, generator=generator, dtype=parameter.dtype, device=device
                    )
                    parameter.copy_((2.0 * draw - 1.0) * bound)


def to_peer_state_dict(decoder: Decoder) -> dict[str, Tensor]:
    """State of a decoder under the names that bulkdgd uses in its ``dec.pth``.

    Args:
        decoder: The decoder.

    Returns:
        Detached tensors that share memory with the decoder's, as `torch.nn.Module.state_dict` gives them.

    Example:
        >>> list(to_peer_state_dict(Decoder(2, [16], ["relu"], "poisson", {"output_dim": 9})))
        ['main.0.weight', 'main.0.bias', 'nb._layer_means.weight', 'nb._layer_means.bias']
    """
    return {_peer_name(name): tensor for name, tensor in decoder.state_dict().items()}


def from_peer_state_dict(decoder: Decoder, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a bulkdgd ``dec.pth`` for a decoder of the same architecture.

    Full-dispersion files of its release 1 need a decoder with ``log_r_activation="same"``: their names and
    shapes are those of release 2, the meaning of ln r is not.

    Args:
        decoder: The decoder that will take the state, by ``decoder.load_state_dict(...)``.
        state: What ``torch.load("dec.pth", weights_only=True)`` returns.

    Returns:
        The same tensors under the decoder's names.

    Raises:
        ValueError: If keys are missing or unexpected, or a shape is not the decoder's.

    Example:
        >>> decoder = Decoder(2, [16], ["relu"], "poisson", {"output_dim": 9})
        >>> decoder.load_state_dict(from_peer_state_dict(decoder, to_peer_state_dict(decoder)))
        <All keys matched successfully>
    """
    own = decoder.state_dict()
    names = {_peer_name(name): name for name in own}
    missing, unexpected = sorted(names.keys() - state.keys()), sorted(state.keys() - names.keys())
    if missing or unexpected:
        kind = f"{decoder.output_module.name} decoder with {len(decoder.trunk)} hidden layers"
        raise ValueError(
            f"state is not that of a {kind}; missing: {missing}, unexpected: {unexpected}. "
            "Compare output_module_name and n_units_hidden_layers with the file's"
        )
    for peer_name, name in names.items():
        if state[peer_name].shape != own[name].shape:
            raise ValueError(
                f"{peer_name} must have shape {tuple(own[name].shape)}, got {tuple(state[peer_name].shape)}; "
                "compare the decoder's layer widths and number of genes with the file's"
            )
    return {name: state[peer_name] for peer_name, name in names.items()}


def _peer_name(name: str) -> str:
    room, rest = name.split(".", 1)
    if room == "trunk":
        block, _, kind = rest.split(".")
        return f"main.{2 * int(block)}.{kind}"  # its activations occupy the odd places
    return "nb." + rest.replace("layer_log_r", "_layer_r_values").replace("layer_means", "_layer_means")


def _require_sequence(name: str, value: object) -> None:
    # A string is a sequence too, of letters.
    if isinstance(value, str | Mapping) or not isinstance(value, Collection):
        raise ValueError(  # noqa: TRY004  # as for every argument of the core
            f"{name} must be a list with one entry per hidden layer, got {value!r}"
        )


def _widths(n_units: Sequence[int]) -> list[int]:
    _require_sequence("n_units_hidden_layers", n_units)
    return [require_positive_int(f"n_units_hidden_layers[{i}]", n) for i, n in enumerate(n_units)]


def _activation_names(names: Sequence[str], *, n_layers: int) -> list[str]:
    _require_sequence("activations", names)
    if len(names) != n_layers:
        raise ValueError(f"activations must hold one name per hidden layer, {n_layers}; got {len(names)}")
    return [require_choice(f"activations[{i}]", name, ACTIVATIONS) for i, name in enumerate(names)]


def _share(name: str, value: object) -> float:
    number = float(value) if not isinstance(value, bool) and isinstance(value, Real) else math.nan
    if not 0.0 <= number < 1.0:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")
    return number


def _options_of(module_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise ValueError(  # noqa: TRY004  # as for every argument of the core
            f"output_module_options must be a mapping of names to values, got {options!r}"
        )
    parameters = list(inspect.signature(OUTPUT_MODULES[module_name]).parameters.values())[1:]
    allowed = [p.name for p in parameters]
    unknown = [name for name in options if name not in allowed]
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if unknown or missing:
        raise ValueError(
            f"output_module_options of {module_name!r} may hold {allowed}; "
            f"unknown: {unknown}, missing: {missing}"
        )
    # NumPy's numbers become Python's, so that the configuration is ready for JSON.
    return {name: getattr(value, "item", lambda value=value: value)() for name, value in options.items()}
