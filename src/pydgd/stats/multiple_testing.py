# SPDX-License-Identifier: BSD-3-Clause
"""False discovery rate over each sample's genes, in log space: p below 1e-308 keep their order and size."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from pydgd.stats.arguments import FloatArray, Numbers

ADJUSTMENTS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "bh": np.zeros_like,
    # ln(1 + 1/2 + … + 1/m), the price of arbitrary dependence.
    "by": lambda n_tested: np.log(digamma(n_tested + 1) + np.euler_gamma),
}
"""Name -> log of the factor on Benjamini and Hochberg's adjusted p-values, from the number of hypotheses."""


def log_adjusted_p(log_p: Numbers, *, adjust: str = "bh", tested: Numbers | None = None) -> FloatArray:
    """Adjusted log p-values along the last axis.

    Args:
        log_p: Natural logarithms of p-values, at most 0; shape ``(G,)`` or ``(N, G)``, each row adjusted by
            itself, or a single number. NaN is an untested hypothesis.
        adjust: "bh" (Benjamini & Hochberg) or "by" (Benjamini & Yekutieli, any dependence).
        tested: True for hypotheses to be adjusted for; the others do not count and get NaN. Broadcasts
            against `log_p`. Choose them without looking at the counts.

    Returns:
        Logarithms of adjusted p-values, at most 0, NaN where untested; the broadcast shape.

    Raises:
        ValueError: If the adjustment is unknown, a p-value is above 1 or `tested` is not made of bools.

    Source:
        Benjamini & Hochberg (1995), JRSS B 57:289; Benjamini & Yekutieli (2001), Annals of Statistics
        29:1165.

    Example:
        >>> np.exp(log_adjusted_p(np.log([0.01, 0.5, 0.02]))).round(3)
        array([0.03, 0.5 , 0.03])
    """
    check_adjust(adjust)
    log_p = np.asarray(log_p, dtype=np.float64)
    if (log_p > 0).any():
        raise ValueError(f"log_p has the value {log_p.max()}; allowed are logarithms of p-values, at most 0.")
    hypotheses = ~np.isnan(log_p) & (True if tested is None else _mask(tested))
    shape = hypotheses.shape
    # A single number is a family of one.
    hypotheses, log_p = np.atleast_1d(hypotheses), np.broadcast_to(log_p, shape or (1,))
    # Untested hypotheses sort last and are larger than anything that they could pull down.
    log_p = np.where(hypotheses, log_p, np.inf)
    order = np.argsort(log_p, axis=-1, kind="stable")
    n_tested = np.maximum(hypotheses.sum(axis=-1, keepdims=True, dtype=np.float64), 1)
    factor = np.log(n_tested) + ADJUSTMENTS[adjust](n_tested) - np.log(np.arange(1, log_p.shape[-1] + 1))
    scaled = np.take_along_axis(log_p, order, axis=-1) + factor
    smallest_above = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    result = np.empty_like(log_p)
    np.put_along_axis(result, order, np.minimum(smallest_above, 0), axis=-1)
    return np.where(hypotheses, result, np.nan).reshape(shape)


def _mask(tested: Numbers) -> NDArray[np.bool_]:
    mask = np.asarray(tested)
    if mask.dtype != bool:
        raise ValueError(f"tested is of type {mask.dtype}; allowed are bools, True for what to adjust for.")
    return mask


def check_adjust(adjust: str) -> None:
    """Refuse names that are not in `ADJUSTMENTS`."""
    if adjust not in ADJUSTMENTS:
        raise ValueError(f"adjust is {adjust!r}; allowed are {', '.join(map(repr, ADJUSTMENTS))}.")
