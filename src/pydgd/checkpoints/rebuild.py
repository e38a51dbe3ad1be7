# SPDX-License-Identifier: BSD-3-Clause
"""From what a model file holds to the model: every part is checked before anything of its size is built."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from pydgd.checkpoints.calibration import take_calibration
from pydgd.checkpoints.record import ModelRecord
from pydgd.checkpoints.reference import take_reference
from pydgd.core.checks import require_choice, require_positive_int
from pydgd.core.decoder import Decoder
from pydgd.core.latent import PRIORS, LatentPrior
from pydgd.core.model import JointModel
from pydgd.data.scaling import SCALING_RULES


def rebuilt(entries: Mapping[str, Any], tensors: Mapping[str, Tensor], content_hash: str) -> ModelRecord:
    """The record of a model file, or an error of some kind that says which part makes no sense.

    Args:
        entries: Parsed JSON entries of the metadata.
        tensors: Tensors of the file; the model takes them over without a copy.
        content_hash: Of the file.

    Returns:
        The record, its model in evaluation mode.

    Raises:
        ValueError: If a part is missing, of the wrong kind or size, or not finite.
        KeyError: If an entry or tensor is missing.
        TypeError: If an option has a value of another type.
        RuntimeError: If a size is beyond what torch can address.
        OverflowError: If a number is beyond what torch can hold.
    """
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() and bool(tensor.isfinite().all())):
            raise ValueError(f"tensor {name} must hold finite floating-point numbers")
    state = dict(tensors)
    representations = state.pop("representations")
    reference = take_reference(state, n_genes=len(entries["genes"]))
    calibration = take_calibration(
        state, n_genes=len(entries["genes"]), has_r="decoder.output_module._log_r" in state
    )
    model = _model(entries, state)
    samples = _names("samples", entries["samples"])
    labels = entries["labels"] if entries["labels"] is None else _texts("labels", entries["labels"])
    if representations.shape != (len(samples), model.decoder.latent_dim):
        raise ValueError(
            f"representations must have shape ({len(samples)}, {model.decoder.latent_dim}), samples by "
            f"latent dimensions; got {tuple(representations.shape)}"
        )
    if labels is not None and len(labels) != len(samples):
        raise ValueError(f"labels must be one per sample, {len(samples)}; got {len(labels)}")
    return ModelRecord(
        model=model.eval(),
        representations=representations,
        sample_names=samples,
        labels=labels,
        history=_history(_mapping("history", entries["history"])),
        options=_mapping("options", entries["options"]),
        provenance=_mapping("provenance", entries["provenance"]),
        reference=reference,
        calibration=calibration,
        content_hash=content_hash,
    )


def _model(entries: Mapping[str, Any], state: dict[str, Tensor]) -> JointModel:
    """The model around the file's tensors."""
    genes = _names("genes", entries["genes"])
    scaling = require_choice("scaling", entries["scaling"], SCALING_RULES)
    decoder_options = _mapping("decoder", entries["decoder"])
    n_layers = sum(name.startswith("decoder.trunk.") for name in state) // 2
    if len(decoder_options["n_units_hidden_layers"]) != n_layers:
        raise ValueError(f"decoder must have the {n_layers} hidden layers whose tensors are in the file")
    # Without memory: options of 20 kB could ask for gigabytes. Nor is the global generator drawn from.
    with torch.device("meta"):
        decoder = Decoder(**decoder_options)
        prior = _prior(_mapping("prior", entries["prior"]), state["prior.means"])
    model = JointModel(genes, decoder, prior, scaling, state["profile"])
    expected = model.state_dict()
    for name in expected.keys() & state.keys():
        if state[name].shape != expected[name].shape:
            raise ValueError(
                f"tensor {name} must have shape {tuple(expected[name].shape)}, got {tuple(state[name].shape)}"
            )
        state[name] = state[name].to(expected[name].dtype)
    model.load_state_dict(state, assign=True)
    return model


def _prior(options: dict[str, Any], means: Tensor) -> LatentPrior:
    prior_class = PRIORS[require_choice("prior", options.pop("name"), PRIORS)]
    # The gradient mixture draws its means on the CPU whatever the device, so their size is checked first.
    shape = tuple(require_positive_int(name, options[name]) for name in ("n_components", "latent_dim"))
    if tuple(means.shape) != shape:
        raise ValueError(f"tensor prior.means must have shape {shape}, got {tuple(means.shape)}")
    return prior_class(**options)


def _history(columns: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(columns).astype(float).astype({"epoch": int, "n_skipped": int})


def _mapping(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be an object, got {type(value).__name__}")
    return dict(value)


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        raise TypeError(f"{name} must be a list of strings")
    return tuple(value)


def _names(name: str, value: object) -> tuple[str, ...]:
    names = _texts(name, value)
    if len(set(names)) != len(names):
        raise ValueError(f"{name} must be unique, but {len(names) - len(set(names))} are repeats")
    return names
