# SPDX-License-Identifier: BSD-3-Clause
"""Null distribution of residuals as healthy samples show it, each side by itself, with Pareto tails."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import genpareto

from pydgd.stats.arguments import FloatArray

# A stratum needs some 200 residuals beyond its 99th percentile for the two numbers of a tail; more than ten
# strata bought nothing on GTEx and TCGA normals.
STRATUM_SIZE, MOST_STRATA = 20_000, 10
TAIL, TAIL_SIZE = 0.01, 100
"""Share of a side that the tail describes, and how many residuals it takes at least, up to a tenth of all."""
FEWEST = 1_000
"""Of fewer residuals no tail can be told."""
N_KNOTS = 64
LEAST_SCALE = 1e-12
"""Of a tail: residuals divided by it stay finite."""


class LogTails(NamedTuple):
    """Natural logs of the chance of a residual at most, and at least, as large."""

    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, eq=False)
class EmpiricalNull:
    r"""Survival functions of residuals and of their negatives, by strata of the least p-value there can be.

    A gene of few expected reads cannot go far down: its residuals are skewed in a way that
    :math:`-\ln P(k = 0)`, the floor, tells. Strata are ranges of the floor. Within each, the survival
    function is interpolated between quantiles, and beyond the last one it is a generalised Pareto's.

    Attributes:
        edges: Floors between the strata, increasing, (S - 1,).
        log_survival: ln of the survival at the knots, decreasing, (K,).
        knots: Where the survival is that, increasing; of residuals and of their negatives, (S, 2, K).
        tails: Shape >= 0 and scale > 0 of the excess beyond the last knot, (S, 2, 2).

    Source:
        Pickands (1975), Annals of Statistics 3:119 (the tail); Efron (2004), JASA 99:96 (the idea).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> null = EmpiricalNull.of(rng.standard_normal(100_000), np.full(100_000, 50.0))
        >>> np.exp(null.log_tails(np.array([-2.0, 3.0]), np.full(2, 50.0)).upper).round(3)
        array([0.977, 0.001])
    """

    edges: Float[np.ndarray, " edges"]
    log_survival: Float[np.ndarray, " knots"]
    knots: Float[np.ndarray, "strata 2 knots"]
    tails: Float[np.ndarray, "strata 2 2"]

    def __post_init__(self) -> None:
        """Refuse what is no distribution, such as a damaged file holds.

        Raises:
            ValueError: If values are out of order or range.
        """
        if len(self.log_survival) < 2:
            raise ValueError("an empirical null takes at least 2 knots")
        falling = (np.diff(self.log_survival) < 0).all() and self.log_survival[0] <= 0
        rising = (np.diff(self.edges) > 0).all() and (np.diff(self.knots) >= 0).all()
        tails = (self.tails[..., 0] >= 0).all() and (self.tails[..., 1] >= LEAST_SCALE).all()
        numbers = (self.edges, self.log_survival, self.knots, self.tails)
        if not (falling and rising and tails and all(np.isfinite(values).all() for values in numbers)):
            raise ValueError("an empirical null has knots, edges or tails that are out of order")

    @classmethod
    def of(cls, residuals: Float[np.ndarray, " n"], floors: Float[np.ndarray, " n"]) -> "EmpiricalNull":
        """The null distribution that residuals of healthy samples show.

        Args:
            residuals: About standard normal, of all samples and genes together.
            floors: -ln P(k = 0) of each.

        Raises:
            ValueError: If there are fewer than a thousand.
        """
        if len(residuals) < FEWEST:
            raise ValueError(f"an empirical null takes {FEWEST:,} residuals, there are {len(residuals):,}")
        n_strata = int(np.clip(len(residuals) // STRATUM_SIZE, 1, MOST_STRATA))
        edges = np.unique(np.quantile(floors, np.arange(1, n_strata) / n_strata))
        stratum = np.searchsorted(edges, floors, side="right")
        groups = [residuals[stratum == i] for i in range(len(edges) + 1)]
        # Equal floors may leave a stratum without residuals: it takes those of all.
        groups = [group if len(group) >= FEWEST else residuals for group in groups]
        share = max(TAIL, min(0.1, TAIL_SIZE / min(map(len, groups))))
        survival = np.r_[1 - np.geomspace(1e-3, 0.5, N_KNOTS // 2), np.geomspace(0.49, share, N_KNOTS // 2)]
        sides = [[_side(sign * group, survival) for sign in (1, -1)] for group in groups]
        return cls(
            edges=edges,
            log_survival=np.log(survival),
            knots=np.array([[side[0] for side in pair] for pair in sides]),
            tails=np.array([[side[1] for side in pair] for pair in sides]),
        )

    def log_tails(self, residuals: Float[np.ndarray, " n"], floors: Float[np.ndarray, " n"]) -> LogTails:
        """How rare residuals are among healthy samples' on either side; never -inf.

        Args:
            residuals: On the scale of those the null was made of, finite.
            floors: -ln P(k = 0) of each.
        """
        stratum = np.searchsorted(self.edges, floors, side="right")
        upper, lower = np.empty(len(residuals)), np.empty(len(residuals))
        for i in np.unique(stratum).tolist():
            chosen = stratum == i
            upper[chosen] = self._log_survival(residuals[chosen], i, 0)
            lower[chosen] = self._log_survival(-residuals[chosen], i, 1)
        return LogTails(lower, upper)

    def _log_survival(self, values: FloatArray, stratum: int, side: int) -> FloatArray:
        knots, (shape, scale) = self.knots[stratum, side], self.tails[stratum, side]
        beyond = np.maximum(values - knots[-1], 0) / scale
        # ln of (1 + shape x)^(-1/shape), which is e^-x where the shape is 0.
        decline = np.log1p(shape * beyond) / shape if shape > 0 else beyond
        # Of equal knots, which whole counts make, the first counts: the larger p-value.
        strict, first = np.unique(knots, return_index=True)
        return np.asarray(np.interp(values, strict, self.log_survival[first]) - decline)


def _side(values: FloatArray, survival: FloatArray) -> tuple[FloatArray, tuple[float, float]]:
    """Quantiles, and shape and scale of the excess beyond the last; an exponential is the lightest tail."""
    knots = np.quantile(values, 1 - survival)
    excess = values[values > knots[-1]] - knots[-1]
    if len(excess) < 2 or not excess.max() > 0:
        return knots, (0.0, float(max(knots[-1] - np.median(values), LEAST_SCALE)))
    shape, _, scale = genpareto.fit(excess, floc=0)
    found = (float(shape), float(scale)) if shape > 0 else (0.0, float(excess.mean()))
    return knots, (found[0], max(found[1], LEAST_SCALE))
