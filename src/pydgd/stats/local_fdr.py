# SPDX-License-Identifier: BSD-3-Clause
"""Local false discovery rate: how likely this one gene's call is false, not that of all better ones."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression

from pydgd.stats.arguments import FloatArray

# Above it p-values are taken to be of unchanged genes.
_UNCHANGED = 0.5


def local_fdr(p: Float[np.ndarray, " n"]) -> FloatArray:
    r"""Share of unchanged genes among those of the same p-value, :math:`\pi_0 / f(p)`.

    f is the decreasing density that makes the p-values most likely, Grenander's; :math:`\pi_0` is Storey's
    estimate at one half.

    Args:
        p: P-values of the tested genes of one sample.

    Returns:
        Between 0 and 1, not decreasing in p.

    Source:
        Strimmer (2008), BMC Bioinformatics 9:303; Storey (2002), JRSS B 64:479.

    Example:
        >>> local_fdr(np.r_[1e-8, np.linspace(0.001, 1, 999)]).round(3)[[0, 1, 500]]
        array([0., 1., 1.])
    """
    if not p.size:
        return np.zeros(0)
    unchanged = min(1.0, ((p > _UNCHANGED).sum() + 1) / ((1 - _UNCHANGED) * len(p)))
    values, place, number = np.unique(p, return_inverse=True, return_counts=True)
    width = np.maximum(np.diff(np.r_[0.0, values]), np.finfo(np.float64).tiny)
    density = isotonic_regression(number / (len(p) * width), weights=width, increasing=False).x
    return np.asarray(np.minimum(1.0, unchanged / density))[place]
