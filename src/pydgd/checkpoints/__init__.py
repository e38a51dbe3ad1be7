# SPDX-License-Identifier: BSD-3-Clause
"""Models on disk."""

from pydgd.checkpoints.native import load_model, save_model, with_content_hash
from pydgd.checkpoints.record import ModelRecord

__all__ = ["ModelRecord", "load_model", "save_model", "with_content_hash"]
