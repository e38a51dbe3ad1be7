# SPDX-License-Identifier: BSD-3-Clause
"""Models of bulkdgd: its YAML, gene list, decoder and mixture become one record; nothing is executed."""

import hashlib
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.checkpoints.bulkdgd_config import PeerConfig, parse_config
from pydgd.checkpoints.bulkdgd_files import load_state, read_gene_list, read_yaml
from pydgd.checkpoints.bulkdgd_places import PeerFiles, config_in, place_of
from pydgd.checkpoints.bulkdgd_tables import read_bulkdgd_table
from pydgd.checkpoints.record import ModelRecord
from pydgd.core.decoder import Decoder, from_peer_state_dict
from pydgd.core.latent import (
    GRADIENT_COVARIANCE_TYPES,
    LatentPrior,
    gaussian_mixture_from_peer,
    gradient_mixture_from_peer,
)
from pydgd.core.latent.peer import LGMM_KEYS, TGMM_COVARIANCE_TYPES
from pydgd.core.model import JointModel
from pydgd.errors import ConfigError, ModelFileError

HISTORY = ("epoch", "train_nll", "validation_nll", "prior_nll", "n_skipped", "seconds")
"""Columns of a training's history, of which bulkdgd's files keep nothing."""


def read_bulkdgd(
    source: str | PathLike[str],
    *,
    decoder: str | PathLike[str] | None = None,
    mixture: str | PathLike[str] | None = None,
    genes: str | PathLike[str] | None = None,
    representations: str | PathLike[str] | None = None,
    label_key: str | None = None,
    release: int | None = None,
) -> ModelRecord:
    """Read a model that bulkdgd 1 or 2 trained.

    Files that are not given are those that the YAML names, relative to its folder, else those with bulkdgd's
    usual names beside it.

    Args:
        source: The model's YAML, or a folder with ``config_model.yaml`` or ``model.yaml``.
        decoder: Its ``dec.pth``.
        mixture: Its ``gmm.pth`` or ``latent.pth``, of either kind (lgmm, tgmm).
        genes: Its list of genes.
        representations: ``representations_train.csv``, where there is one: without training samples the flags
            of a fit have nothing to measure distances to.
        label_key: Column of that table that describes the samples; None: ``tissue`` if present.
        release: 1 or 2 of bulkdgd; by default the names of the YAML's keys tell. Release 1 sent ln r of the
            full dispersion through the activation of the means.

    Returns:
        The model without calibration. A gene's share of the profile, which stands in for genes that a query
        lacks, is its mean over the training samples, without these over the mixture's components.

    Raises:
        ModelFileError: If a file is missing, damaged or not what it should be, or the files do not fit each
            other.
        FileFormatError: If `representations` is no such table.
        ConfigError: If `release` or `label_key` is unknown.
    """
    if release not in (None, 1, 2):
        raise ConfigError(f"release must be 1 or 2, got {release!r}")
    config_path = config_in(Path(source))
    config = parse_config(read_yaml(config_path), config_path, release=release)
    files = PeerFiles(
        config_path,
        place_of("decoder", decoder, config.decoder_file, config_path),
        place_of("mixture", mixture, config.mixture_file, config_path),
        place_of("genes", genes, config.genes_txt_file, config_path),
        None if representations is None else Path(representations),
    )
    return _record(config, files, label_key)


def _record(config: PeerConfig, files: PeerFiles, label_key: str | None) -> ModelRecord:
    gene_names = read_gene_list(files.genes)
    decoder = _decoder(config, files, len(gene_names))
    prior = _prior(config, files)
    z, names, labels = _training_samples(files.representations, label_key, config.latent_dim)
    profile = _profile(decoder, prior, z)
    model = JointModel(gene_names, decoder, prior, "mean", profile).eval()
    return ModelRecord(
        model=model,
        representations=z,
        sample_names=names,
        labels=labels,
        history=pd.DataFrame(columns=list(HISTORY)).astype(float).astype({"epoch": int, "n_skipped": int}),
        options=_options(config, prior),
        provenance=_provenance(config, files, n_genes=len(gene_names), n_samples=len(names)),
    )


def _decoder(config: PeerConfig, files: PeerFiles, n_genes: int) -> Decoder:
    state = load_state(files.decoder)
    out = state.get("nb._layer_means.weight")
    if isinstance(out, Tensor) and out.ndim == 2 and len(out) != n_genes:
        raise ModelFileError(
            f"{files.decoder} predicts {len(out):,} genes, but {files.genes} lists {n_genes:,}; give the "
            "list that this decoder was trained with"
        )
    tensors = {name: _floats(files.decoder, name, value) for name, value in state.items()}
    try:
        # Without memory: a configuration could ask for gigabytes.
        with torch.device("meta"):
            decoder = Decoder(**config.decoder_arguments(n_genes=n_genes))
        renamed = from_peer_state_dict(decoder, tensors)
    except (ValueError, RuntimeError) as error:
        raise ModelFileError(f"{files.decoder} does not fit {files.config}: {error}") from error
    for name, tensor in renamed.items():
        if not bool(tensor.isfinite().all()):
            raise ModelFileError(
                f"{files.decoder}: tensor {name} has values that are not finite; train it again"
            )
    decoder.load_state_dict({name: tensor.clone() for name, tensor in renamed.items()}, assign=True)
    return decoder


def _floats(path: Path, name: str, value: object) -> Tensor:
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        raise ModelFileError(
            f"{path}: {name} must be a tensor of floating-point numbers; give the decoder's file (dec.pth)"
        )
    return value.float()


def _prior(config: PeerConfig, files: PeerFiles) -> LatentPrior:
    state = load_state(files.mixture)
    kind = "lgmm" if any(key in state for key in LGMM_KEYS) else "tgmm"
    if config.latent_type not in (None, kind):
        raise ModelFileError(
            f"{files.config} says latent_type {config.latent_type}, but {files.mixture} holds a mixture of "
            f"the kind {kind}; give the files of one model"
        )
    try:
        prior = _lgmm(state, config) if kind == "lgmm" else _tgmm(state, config)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ModelFileError(f"{files.mixture} does not fit {files.config}: {error}") from error
    expected = {"latent_dim": config.latent_dim, "n_components": config.mixture.n_components}
    for name, value in expected.items():
        if value is not None and value != getattr(prior, name):
            raise ModelFileError(
                f"{files.mixture} has {name} {getattr(prior, name)}, but {files.config} says {value}; give "
                "the files of one model"
            )
    return prior


def _lgmm(state: dict[str, Any], config: PeerConfig) -> LatentPrior:
    kind = config.mixture.covariance_type
    if kind is not None and kind not in GRADIENT_COVARIANCE_TYPES:
        raise ValueError(
            f"covariance_type must be one of {', '.join(GRADIENT_COVARIANCE_TYPES)}, got {kind!r}"
        )
    return gradient_mixture_from_peer(state, covariance_type=kind, **config.mixture.hyperpriors)


def _tgmm(state: dict[str, Any], config: PeerConfig) -> LatentPrior:
    prior, said = gaussian_mixture_from_peer(state), config.mixture.covariance_type
    if said is not None and TGMM_COVARIANCE_TYPES.get(said) != prior.covariance_type:
        raise ValueError(f"covariance_type is {state['covariance_type']!r} in one and {said!r} in the other")
    return prior


def _training_samples(
    path: Path | None, label_key: str | None, latent_dim: int
) -> tuple[Float[Tensor, "n latent"], tuple[str, ...], tuple[str, ...] | None]:
    """Positions, names and labels; none of them without a table."""
    if path is None:
        return torch.zeros(0, latent_dim), (), None
    table = read_bulkdgd_table(path)
    if "X_dgd" not in table.obsm or table.obsm["X_dgd"].shape[1] != latent_dim:
        raise ModelFileError(
            f"{path} must have the columns latent_dim_1 to latent_dim_{latent_dim}, as this model has that "
            "many dimensions; give its representations_train.csv"
        )
    if label_key is not None and label_key not in table.obs:
        raise ConfigError(
            f"label_key {label_key!r} is not a column of {path}; there are {', '.join(table.obs)}"
        )
    column = label_key or ("tissue" if "tissue" in table.obs else None)
    labels = (
        None
        if column is None
        else tuple(table.obs[column].astype(str).where(table.obs[column].notna(), "unknown"))
    )
    return torch.as_tensor(table.obsm["X_dgd"]).float(), tuple(table.obs_names), labels


@torch.no_grad()
def _profile(decoder: Decoder, prior: LatentPrior, z: Tensor) -> Float[Tensor, " genes"]:
    """Mean of the decoded means over the training samples, or over the components, as shares of mean 1."""
    n_samples = len(z)
    places = z if n_samples else prior.means.float()
    weights = torch.full((n_samples,), 1 / n_samples) if n_samples else prior.weights.float()
    module = decoder.eval().output_module
    total = torch.zeros(decoder.n_genes)
    # 64 rows of 20,000 genes are 5 MB.
    for rows, shares in zip(torch.split(places, 64), torch.split(weights, 64), strict=True):
        total += shares @ module.means_of(decoder(rows))
    profile = total / total.mean()
    if not bool(profile.isfinite().all()):
        raise ModelFileError(
            "the decoder's means are not finite at the mixture's own positions; train it again"
        )
    return profile


def _options(config: PeerConfig, prior: LatentPrior) -> dict[str, Any]:
    """What is known of how it was trained, by the names of `pydgd.config.TrainingConfig`."""
    given = config.decoder
    return {
        "latent_dim": config.latent_dim,
        "n_components": prior.n_components,
        "prior": prior.name,
        "covariance_type": prior.config()["covariance_type"],
        "n_units_hidden_layers": given.n_units_hidden_layers,
        "activations": given.activations,
        "output_module": given.output_module_name,
        "output_activation": given.output_module_options.activation,
        "dropout": given.dropout,
        "scaling": "mean",
    }


def _provenance(config: PeerConfig, files: PeerFiles, *, n_genes: int, n_samples: int) -> dict[str, Any]:
    read = [files.config, files.decoder, files.mixture, files.genes, files.representations]
    return {
        "imported_from": f"bulkdgd {config.release}",
        "imported_files": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in read if path is not None
        },
        "n_training_samples": n_samples,
        "n_held_out_samples": 0,
        "n_genes": n_genes,
    }
