# SPDX-License-Identifier: BSD-3-Clause
"""Everything that is kept of a trained model."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from pydgd.checkpoints.calibration import Calibration
from pydgd.checkpoints.reference import FitReference
from pydgd.core.model import JointModel


@dataclass(frozen=True, eq=False)
class ModelRecord:
    """A trained model and what belongs to it.

    Attributes:
        model: Decoder, prior, genes, scaling rule and profile.
        representations: Of the training samples, (N, D).
        sample_names: Of the training samples.
        labels: What describes each training sample (its tissue), or None.
        history: One row per epoch.
        options: Options of the training run.
        provenance: Versions, numbers of samples and genes.
        reference: How healthy samples that training did not see fit; None if there were too few.
        calibration: What makes p-values hold on new samples; None if there were too few.
        content_hash: SHA-256 of all of the above; empty until it is computed.
    """

    model: JointModel
    representations: Float[Tensor, "n latent"]
    sample_names: tuple[str, ...]
    labels: tuple[str, ...] | None
    history: pd.DataFrame
    options: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    reference: FitReference | None = None
    calibration: Calibration | None = None
    content_hash: str = ""
