# SPDX-License-Identifier: BSD-3-Clause
"""The command `pydgd`: the only place that draws progress and turns errors into exit codes."""

from pydgd.cli.boundary import main

__all__ = ["main"]
