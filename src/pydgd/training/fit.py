# SPDX-License-Identifier: BSD-3-Clause
"""From counts to a trained model: split, start from the data, train."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float

from pydgd.config import TrainingConfig
from pydgd.core.decoder import Decoder
from pydgd.core.latent import PRIORS, LatentPrior, RepresentationLayer
from pydgd.core.model import JointModel
from pydgd.errors import TrainingError
from pydgd.training.engine import train
from pydgd.training.result import EpochReport, TrainingResult
from pydgd.training.start import principal_components, start_decoder


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
        TrainingError: If there are too few samples for the latent space or the mixture.
    """
    config = sized(config, n_samples=len(counts))
    generator = torch.Generator().manual_seed(config.seed)
    x, s = _tensor(counts), _tensor(scaling_factors)
    model = build_model(genes, config, _tensor(profile))
    z = principal_components(x, s, config.latent_dim, generator=generator)
    start_decoder(model.decoder, x, s, z, generator=generator)
    model.prior.update(z, max_iter=100)
    watch = None if held_out is None else (_tensor(held_out[0]), _tensor(held_out[1]))
    return train(
        model,
        x,
        s,
        RepresentationLayer.from_values(z),
        config,
        held_out=watch,
        generator=generator,
        progress=progress,
    )


def sized(config: TrainingConfig, *, n_samples: int) -> TrainingConfig:
    """Fill in what depends on the number of samples, and refuse what cannot be.

    Args:
        config: Options as given.
        n_samples: Training samples, without those held out.

    Returns:
        Options with the number of components set and the latent dimensions at most N - 1.

    Raises:
        TrainingError: If there is one sample, or fewer samples than components asked for.
    """
    if n_samples < 2:
        raise TrainingError(
            f"training needs at least 2 samples, got {n_samples}; a model learns what varies between healthy samples. "
            "One sample can be a query of a trained model"
        )
    if config.n_components is not None and config.n_components > n_samples:
        raise TrainingError(
            f"{config.n_components} mixture components need at least as many training samples, got {n_samples}; "
            f"lower n_components or leave it out"
        )
    n_components = config.n_components or max(1, min(30, n_samples // 20))
    latent_dim = min(config.latent_dim, n_samples - 1)
    return config.model_copy(update={"n_components": n_components, "latent_dim": latent_dim})


def build_model(genes: Sequence[str], config: TrainingConfig, profile: torch.Tensor) -> JointModel:
    """An untrained model of the configured shape."""
    options = {"output_dim": len(genes), "activation": config.output_activation}
    if config.output_module == "nb_feature_dispersion":
        options["r_init"] = 1.0
    decoder = Decoder(
        config.latent_dim,
        config.n_units_hidden_layers,
        config.layer_activations,
        config.output_module,
        options,
        config.dropout,
    )
    assert config.n_components is not None
    return JointModel(genes, decoder, _build_prior(config, config.n_components), config.scaling, profile)


def _build_prior(config: TrainingConfig, n_components: int) -> LatentPrior:
    by_em = {"covariance_type": config.covariance_type, "reg_covar": 1e-3}
    prior: LatentPrior = PRIORS[config.prior](
        n_components, config.latent_dim, **(by_em if config.prior == "em" else {})
    )
    return prior


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)
