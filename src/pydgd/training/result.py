# SPDX-License-Identifier: BSD-3-Clause
"""What a training run reports and hands back."""

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from pydgd.config import TrainingConfig
from pydgd.core.model import JointModel


class EpochReport(NamedTuple):
    """One epoch of training.

    Attributes:
        epoch: From 1.
        n_epochs: Epochs planned.
        train_nll: Mean over training counts while they were passed through, without skipped batches, nats per
            count.
        validation_nll: Mean over held-out counts at their most probable representations, nats per count; NaN
            in epochs without a look.
        prior_nll: Mean of -ln p(z) over training samples, nats per sample.
        n_skipped: Batches skipped so far because of a loss or gradient that was not finite.
        seconds: Since the run began.
    """

    epoch: int
    n_epochs: int
    train_nll: float
    validation_nll: float
    prior_nll: float
    n_skipped: int
    seconds: float


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained model and the trace of its training.

    Attributes:
        model: Decoder and prior.
        representations: Of the training samples, (N, D).
        history: One row per epoch, columns as in `EpochReport`.
        best_epoch: Epoch whose state was kept.
        config: Options of the run as they were used, with what depends on the number of samples filled in.
    """

    model: JointModel
    representations: Float[Tensor, "n latent"]
    history: pd.DataFrame
    best_epoch: int
    config: TrainingConfig
