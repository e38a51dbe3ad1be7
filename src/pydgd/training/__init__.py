# SPDX-License-Identifier: BSD-3-Clause
"""From healthy counts to a trained model."""

from pydgd.training.calibration import calibrate
from pydgd.training.fit import fit
from pydgd.training.result import EpochReport, TrainingResult
from pydgd.training.validation import split_groups

__all__ = ["EpochReport", "TrainingResult", "calibrate", "fit", "split_groups"]
