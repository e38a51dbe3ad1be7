# SPDX-License-Identifier: BSD-3-Clause
"""From counts to a trained model: split, start from the data, train."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
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
from pydgd.training.counts import CountsInMemory, TrainingCounts, evenly_spaced
from pydgd.training.engine import train
from pydgd.training.hardware import Hardware
from pydgd.training.keeper import Checkpoints, Keeper
from pydgd.training.priors import start_prior
from pydgd.training.ranks import Ranks
from pydgd.training.result import EpochReport, TrainingResult
from pydgd.training.start import first_positions, principal_components, start_decoder

_log = logging.getLogger(__name__)

MOST_STARTING = 4_096
"""Samples that principal components, first weights and first clusters are made of."""
MOST_WATCHING = 256
"""Samples that are looked at during training; more would tell the same and take longer than an epoch."""


def fit(
    counts: Float[np.ndarray, "n genes"] | TrainingCounts,
    scaling_factors: Float[np.ndarray, " n"] | None = None,
    *,
    genes: Sequence[str],
    profile: Float[np.ndarray, " genes"],
    config: TrainingConfig,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    progress: Callable[[EpochReport], None] | None = None,
    checkpoints: Checkpoints | None = None,
    facts: Mapping[str, Any] | None = None,
    hardware: Hardware | None = None,
) -> TrainingResult:
    """Train a model on the counts of healthy samples.

    Args:
        counts: Reads, (N, G), or where they come from.
        scaling_factors: One per sample, (N,), of a matrix.
        genes: Names of the genes.
        profile: Typical mean of every gene, (G,), kept with the model for partly measured queries.
        config: Options of the run.
        held_out: Counts and scaling factors of samples that only watch; of more than `MOST_WATCHING`, as many
            evenly spaced ones do.
        progress: Called after every epoch.
        checkpoints: Where the state of the run is kept, so that it can be resumed.
        facts: What else decides the run, such as names of samples: a state of others is not resumed.
        hardware: What computes the steps; the processor by default. What comes before the first is computed
            there always.

    Returns:
        The trained model with its representations and history.

    Raises:
        TrainingError: If there are too few samples for the latent space or the mixture, or if no batch of an
            epoch gives finite gradients.
        CheckpointError: If a kept state is damaged, of another training, or not to be resumed.
        OutputError: If the state cannot be kept.
    """
    source = _source(counts, scaling_factors)
    ranks, hardware = Ranks.current(), hardware or Hardware()
    config = sized(config, n_samples=len(source.scaling_factors))
    if len(source.scaling_factors) < ranks.size:
        raise TrainingError(
            f"{ranks.size} processes cannot share {len(source.scaling_factors)} training samples; start fewer"
        )
    depths = source.scaling_factors.numpy().tobytes() + np.asarray(profile).tobytes()
    known = {"counts": depths, "genes": list(genes), "precision": hardware.precision, **(facts or {})}
    generator = torch.Generator().manual_seed(config.seed)
    with (
        _kept(checkpoints, source, config, known, ranks) as keeper,
        hardware.seeded(config.seed + ranks.index),
    ):
        model, representations = _start(source, genes, _tensor(profile), config, generator, ranks)
        return train(
            model,
            source,
            representations,
            config,
            held_out=None if held_out is None else _watching(*held_out),
            generator=generator,
            progress=progress,
            keeper=keeper,
            ranks=ranks,
            hardware=hardware,
        )


def _source(
    counts: Float[np.ndarray, "n genes"] | TrainingCounts, scaling_factors: Float[np.ndarray, " n"] | None
) -> TrainingCounts:
    if not isinstance(counts, np.ndarray):
        return counts
    assert scaling_factors is not None
    return CountsInMemory(_tensor(counts), _tensor(scaling_factors))


def _kept(
    checkpoints: Checkpoints | None,
    source: TrainingCounts,
    config: TrainingConfig,
    facts: Mapping[str, Any],
    ranks: Ranks,
) -> AbstractContextManager[Keeper | None]:
    if checkpoints is None:
        return nullcontext()
    known = {
        "options": config.model_dump(mode="json"),
        # Batches out of a file come in another order.
        "whether counts are streamed": isinstance(source, CountsInMemory),
        # Which samples are a process's, and in which batch: states from before had it otherwise.
        "order of samples": "stretches, dealt by strata",
        **facts,
    }
    return Keeper.opened(checkpoints, known, ranks=ranks)


def _watching(counts: np.ndarray, scaling_factors: np.ndarray) -> tuple[Tensor, Tensor]:
    rows = evenly_spaced(len(counts), MOST_WATCHING)
    return _tensor(counts[rows]), _tensor(scaling_factors[rows])


def _start(
    source: TrainingCounts,
    genes: Sequence[str],
    profile: Tensor,
    config: TrainingConfig,
    generator: Generator,
    ranks: Ranks,
) -> tuple[JointModel, RepresentationLayer]:
    """Model and representations before the first epoch; by some of the samples if they are many."""
    assert config.n_components is not None
    assert config.latent_dim is not None
    n = len(source.scaling_factors)
    some = evenly_spaced(n, MOST_STARTING)
    x, s = source.take(some), source.scaling_factors[torch.as_tensor(some)]
    components = principal_components(x, s, config.latent_dim, generator=generator)
    prior = start_prior(
        config, components.z, components.spread, n_components=config.n_components, generator=generator
    )
    model = JointModel(genes, build_decoder(config, n_genes=len(genes)), prior, config.scaling, profile)
    start_decoder(model.decoder, x, s, components.z, generator=generator)
    # Whose hardware differs may have found other axes.
    ranks.share([*model.state_dict().values(), components.z, components.axes, components.centre])
    own = ranks.own(n)
    z = components.z[torch.as_tensor(own)] if len(some) == n else first_positions(components, source, own)
    return model, RepresentationLayer.from_values(z)


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
