# SPDX-License-Identifier: BSD-3-Clause
"""Models for samples of another laboratory or protocol, from a few of its samples."""

from pydgd.laboratory.adapt import adapt
from pydgd.laboratory.batches import closest_normal_by_batch

__all__ = ["adapt", "closest_normal_by_batch"]
