# SPDX-License-Identifier: BSD-3-Clause
"""Room for new samples in a trained decoder: latent dimensions along what it cannot express of them."""

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.core.activations import OUTPUT_ACTIVATIONS, OutputActivation
from pydgd.core.decoder import Decoder
from pydgd.core.model import JointModel
from pydgd.inference import find_representations
from pydgd.training.start import HALF_READ


class Grown(NamedTuple):
    """A decoder with further latent dimensions, and the new samples in it.

    Attributes:
        decoder: Expects of old representations what it did, with zeros in the further dimensions.
        z: Of the new samples, (N, D + more), of unit mean square in the further dimensions.
        n_more: Further dimensions: fewer than asked for if so few directions are left, 0 with hidden layers.
    """

    decoder: Decoder
    z: Float[Tensor, "n latent"]
    n_more: int


@torch.no_grad()
def grown(
    model: JointModel,
    counts: Float[Tensor, "n genes"],
    scaling_factors: Float[Tensor, " n"],
    *,
    n_more: int,
) -> Grown:
    """Add latent dimensions along the leading directions of what a decoder misses in new samples.

    These are the singular vectors of ln((x/s + c) / (m + c)), not centred: what a new tissue has in common is
    what is missed. A decoder with hidden layers keeps its dimensions.

    Args:
        model: Trained; not changed.
        counts: Reads of the new samples, (N, G).
        scaling_factors: Theirs, (N,).
        n_more: Dimensions to add.

    Returns:
        The decoder and the samples' representations.
    """
    z = find_representations(model, counts, scaling_factors).z.float()
    if len(model.decoder.trunk):
        return Grown(copy.deepcopy(model.decoder), z, 0)
    scale = scaling_factors.unsqueeze(-1)
    means = model.decoder.output_module.means_of(model.decoder(z))
    half_read = HALF_READ / scale.mean()
    missed = torch.log((counts / scale + half_read) / (means + half_read))
    left, size, right = torch.linalg.svd(missed.double(), full_matrices=False)
    n_more = min(n_more, int((size > 1e-6 * size[0].clamp_min(1e-6)).sum()))
    root = len(z) ** 0.5
    slopes = (right[:n_more] * size[:n_more, None] / root).T
    places = left[:, :n_more] * root
    slopes = _of_projection(slopes, places, OUTPUT_ACTIVATIONS[model.decoder.output_module.activation], means)
    return Grown(_wider(model.decoder, slopes.to(z.dtype)), torch.cat([z, places.to(z.dtype)], dim=1), n_more)


def _of_projection(slopes: Tensor, places: Tensor, activation: OutputActivation, means: Tensor) -> Tensor:
    """Slopes of the activation's argument, from those of the log means."""
    slopes = slopes / activation.log_slope(means.double()).mean(dim=0).unsqueeze(-1)
    # Where the activation is the identity a straight line would reach below zero: it is made flatter there.
    now = activation.inverse(means.double())
    room = torch.where(now > 1, 0.9 * now, torch.inf)
    flatter = (room / -(places @ slopes.T).clamp_max(-1e-30)).min(dim=0).values.clamp_max(1.0)
    return slopes * flatter.unsqueeze(-1)


def padded(z: Float[Tensor, "n latent"], n_more: int) -> Float[Tensor, "n wider"]:
    """Representations with zeros in further dimensions.

    Args:
        z: Representations.
        n_more: Dimensions to add.

    Example:
        >>> padded(torch.ones(1, 2), 1)
        tensor([[1., 1., 0.]])
    """
    return torch.cat([z, z.new_zeros(len(z), n_more)], dim=1)


def _wider(decoder: Decoder, slopes: Tensor) -> Decoder:
    """A linear decoder with further columns in the weights of its means; those of ln r are 0 there."""
    config = decoder.config()
    config["n_units_input_layer"] += slopes.shape[1]
    wider = Decoder(**config)
    state = decoder.state_dict()
    for name, value in wider.state_dict().items():
        if value.shape != state[name].shape:
            more = slopes if "layer_means" in name else torch.zeros_like(slopes)
            state[name] = torch.cat([state[name], more], dim=1)
    wider.load_state_dict(state)
    return wider
