# SPDX-License-Identifier: BSD-3-Clause
"""What decides the numbers besides counts and options."""

import numpy as np
import scipy
import torch

from pydgd._version import __version__


def versions() -> dict[str, str]:
    """Versions of PyDGD and of the libraries that compute.

    Example:
        >>> list(versions())
        ['pydgd', 'torch', 'numpy', 'scipy']
    """
    return {
        "pydgd": __version__,
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
