# SPDX-License-Identifier: BSD-3-Clause
"""From a trained model and new counts to representations and the closest normal."""

from pydgd.inference.chunks import closest_normal_chunks
from pydgd.inference.closest_normal import closest_normal
from pydgd.inference.result import ClosestNormal
from pydgd.inference.saved import SavedNormal
from pydgd.inference.search import Representations, SearchOptions, find_representations

__all__ = [
    "ClosestNormal",
    "Representations",
    "SavedNormal",
    "SearchOptions",
    "closest_normal",
    "closest_normal_chunks",
    "find_representations",
]
