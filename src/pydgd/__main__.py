# SPDX-License-Identifier: BSD-3-Clause
"""``python -m pydgd`` is `pydgd`, for launchers of processes such as torchrun."""

import sys

from pydgd.cli import main

if __name__ == "__main__":
    sys.exit(main())
