# SPDX-License-Identifier: BSD-3-Clause
"""What stands for the samples that a model has learnt, when it learns more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pydgd.checkpoints import ModelRecord
from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts, scaling_factors
from pydgd.inference import find_representations


@dataclass(frozen=True, eq=False)
class Samples:
    """Healthy samples with what is known of them.

    Attributes:
        counts: In the model's gene order, all genes measured.
        groups: Group (donor) of each.
        labels: What describes each (its tissue), or None.
    """

    counts: AlignedCounts
    groups: Sequence[str]
    labels: Sequence[str] | None

    def taken(self, rows: np.ndarray) -> "Samples":
        """Some of the samples.

        Args:
            rows: Their numbers.
        """
        counts = replace(
            self.counts,
            counts=self.counts.counts[rows],
            sample_names=tuple(self.counts.sample_names[row] for row in rows),
        )
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        return Samples(counts, [self.groups[row] for row in rows], labels)


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
