# SPDX-License-Identifier: BSD-3-Clause
"""One page about some samples that opens in any browser, without network or server."""

from pydgd.report.write import write_report

__all__ = ["write_report"]
