# SPDX-License-Identifier: BSD-3-Clause
"""From healthy counts to a trained model."""

from pydgd.training.calibration import calibrate
from pydgd.training.capacity import CapacitySearch, search_capacity
from pydgd.training.cohort import Cohort, cohort_in_memory, cohort_on_disk
from pydgd.training.counts import CountsInMemory, CountsOnDisk, TrainingCounts
from pydgd.training.fit import fit
from pydgd.training.hardware import Hardware
from pydgd.training.keeper import Checkpoints
from pydgd.training.result import EpochReport, TrainingResult
from pydgd.training.validation import split_groups

__all__ = [
    "CapacitySearch",
    "Checkpoints",
    "Cohort",
    "CountsInMemory",
    "CountsOnDisk",
    "EpochReport",
    "Hardware",
    "TrainingCounts",
    "TrainingResult",
    "calibrate",
    "cohort_in_memory",
    "cohort_on_disk",
    "fit",
    "search_capacity",
    "split_groups",
]
