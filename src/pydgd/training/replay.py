# SPDX-License-Identifier: BSD-3-Clause
"""What stands for the samples that a model has learnt, when it learns more."""

import torch
from torch import Tensor

from pydgd.checkpoints import ModelRecord
from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts, scaling_factors
from pydgd.inference import find_representations
from pydgd.training.samples import Samples


def tensors_of(model: JointModel, counts: AlignedCounts) -> tuple[Tensor, Tensor]:
    """Counts and scaling factors as the model takes them.

    Args:
        model: Its rule and profile decide the scaling factors.
        counts: All genes measured.
    """
    factors = scaling_factors(
        counts.counts,
        rule=model.scaling,
        profile=model.profile.double().numpy(),
        sample_names=counts.sample_names,
    )
    return torch.as_tensor(counts.counts, dtype=torch.float32), torch.as_tensor(factors, dtype=torch.float32)


@torch.no_grad()
def replayed(record: ModelRecord, replay: Samples | None, *, depth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, scaling factors and representations that stand for the old samples.

    Args:
        record: The model that learnt them.
        replay: These themselves, if they are at hand.
        depth: Scaling factor of what the model expects, if they are not.
    """
    model = record.model
    if replay is not None:
        x, s = tensors_of(model, replay.counts)
        return x, s, find_representations(model, x, s).z.float()
    z = record.representations.float()
    means = model.decoder.output_module.means_of(model.decoder(z))
    return means * depth, depth.expand(len(z)).clone(), z
