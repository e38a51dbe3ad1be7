# SPDX-License-Identifier: BSD-3-Clause
"""The room's public names."""

import subprocess
import sys

from pydgd import stats


def test_public_names_exist_and_are_sorted() -> None:
    """`__all__` is complete, sorted and true."""
    assert (
        sorted(stats.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)) == stats.__all__
    )
    assert all(hasattr(stats, name) for name in stats.__all__)


def test_statistics_need_no_torch() -> None:
    """Importing the room does not import torch."""
    code = "import sys, pydgd.stats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
