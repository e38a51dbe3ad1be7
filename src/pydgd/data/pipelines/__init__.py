# SPDX-License-Identifier: BSD-3-Clause
"""Files as the programs that count reads write them: one kind of file, one module."""

from pydgd.data.pipelines.families import read_sources
from pydgd.data.pipelines.matrix_market import is_mtx_folder, read_mtx_folder
from pydgd.data.pipelines.sources import Source, find_sources, is_pattern

__all__ = ["Source", "find_sources", "is_mtx_folder", "is_pattern", "read_mtx_folder", "read_sources"]
