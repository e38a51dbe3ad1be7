# SPDX-License-Identifier: BSD-3-Clause
"""Models on disk."""

from pydgd.checkpoints.bulkdgd import read_bulkdgd
from pydgd.checkpoints.bulkdgd_export import write_bulkdgd
from pydgd.checkpoints.bulkdgd_tables import read_bulkdgd_table, write_bulkdgd_table
from pydgd.checkpoints.native import load_model, save_model, with_content_hash
from pydgd.checkpoints.record import ModelRecord

__all__ = [
    "ModelRecord",
    "load_model",
    "read_bulkdgd",
    "read_bulkdgd_table",
    "save_model",
    "with_content_hash",
    "write_bulkdgd",
    "write_bulkdgd_table",
]
