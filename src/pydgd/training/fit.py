# SPDX-License-Identifier: BSD-3-Clause
"""From counts to a trained model: split, start from the data, train."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pydgd.config import TrainingConfig
from pydgd.core.decoder import Decoder
from pydgd.core.latent import RepresentationLayer
from pydgd.core.model import JointModel
from pydgd.errors import TrainingError
from pydgd.training.engine import train
from pydgd.training.priors import start_prior
from pydgd.training.result import EpochReport, TrainingResult
from pydgd.training.start import principal_components, start_decoder

_log = logging.getLogger(__name__)


def fit(
    counts: Float[np.ndarray, "n genes"],
    scaling_factors: Float[np.ndarray, " n"],
    *,
    genes: Sequence[str],
    profile: Float[np.ndarray, " genes"],
    config: TrainingConfig,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    progress: Callable[[EpochReport], None] | None = None,
) -> TrainingResult:
    """Train a model on the counts of healthy samples.

    Args:
        counts: Reads, (N, G).
        scaling_factors: One per sample, (N,).
        genes: Names of the genes.
        profile: Typical mean of every gene, (G,), kept with the model for partly measured queries.
        config: Options of the run.
        held_out: Counts and scaling factors of samples that only watch.
        progress: Called after every epoch.

    Returns:
        The trained model with its representations and history.

    Raises:
        TrainingError: If there are too few samples for the latent space or the mixture, or if no batch of an
            epoch gives finite gradients.
    """
    config = sized(config, n_samples=len(counts))
    generator = torch.Generator().manual_seed(config.seed)
    # Torch's layers draw their first weights, and dropout its units, from the global generator.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        return train(
            *_start(_tensor(counts), _tensor(scaling_factors), genes, _tensor(profile), config, generator),
            config,
            held_out=None if held_out is None else (_tensor(held_out[0]), _tensor(held_out[1])),
            generator=generator,
            progress=progress,
        )


def _start(
    x: Tensor, s: Tensor, genes: Sequence[str], profile: Tensor, config: TrainingConfig, generator: Generator
) -> tuple[JointModel, Tensor, Tensor, RepresentationLayer]:
    """Model, counts, scaling factors and representations as they stand before the first epoch."""
    assert config.n_components is not None
    assert config.latent_dim is not None
    z, spread = principal_components(x, s, config.latent_dim, generator=generator)
    prior = start_prior(config, z, spread, n_components=config.n_components, generator=generator)
    model = JointModel(genes, build_decoder(config, n_genes=len(genes)), prior, config.scaling, profile)
    start_decoder(model.decoder, x, s, z, generator=generator)
    return model, x, s, RepresentationLayer.from_values(z)


def sized(config: TrainingConfig, *, n_samples: int) -> TrainingConfig:
    """Fill in what depends on the number of samples, and refuse what cannot be.

    Args:
        config: Options as given.
        n_samples: Training samples, without those held out.

    Returns:
        Options with latent dimensions, number of components and their covariance set.

    Raises:
        TrainingError: If there is one sample, or fewer samples than components asked for.
    """
    if n_samples < 2:
        raise TrainingError(
            f"training needs at least 2 samples, got {n_samples}; a model learns what varies between healthy "
            "samples. One sample can be a query of a trained model"
        )
    if config.n_components is not None and config.n_components > n_samples:
        raise TrainingError(
            f"{config.n_components} mixture components need at least as many training samples, got "
            f"{n_samples} (without those held out); lower n_components or leave it out"
        )
    n_components = config.n_components or max(1, min(30, n_samples // 20))
    latent_dim = min(config.latent_dim or _usual_latent_dim(n_samples), n_samples - 1)
    if config.latent_dim is not None and (latent_dim < config.latent_dim or latent_dim > n_samples / 4):
        _log.warning(
            "%d latent dimensions for %d samples may fit noise (asked for: %d)",
            latent_dim,
            n_samples,
            config.latent_dim,
        )
    filled_in = {
        "n_components": n_components,
        "latent_dim": latent_dim,
        "covariance_type": config.components_covariance,
    }
    return config.model_copy(update=filled_in)


def _usual_latent_dim(n_samples: int) -> int:
    """One per 6 samples: at 80 samples 64 dimensions cost 2.6 nats per held-out count against 16."""
    return max(1, min(64, n_samples // 6))


def build_decoder(config: TrainingConfig, *, n_genes: int) -> Decoder:
    """An untrained decoder of the configured shape."""
    assert config.latent_dim is not None
    options: dict[str, Any] = {"output_dim": n_genes, "activation": config.output_activation}
    if config.output_module == "nb_feature_dispersion":
        options["r_init"] = 1.0
    return Decoder(
        config.latent_dim,
        config.n_units_hidden_layers,
        config.layer_activations,
        config.output_module,
        options,
        config.dropout,
    )


def _tensor(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)
