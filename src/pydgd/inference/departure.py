# SPDX-License-Identifier: BSD-3-Clause
r"""How far a whole sample departs from healthy ones: as much in every gene, and along the latent space.

A tumour is nobody's normal in one gene only. Each gene's log mean is taken to depart by a random amount
of variance :math:`\delta`, the sample's own; a residual of a gene whose reads have the log variance v
then counts :math:`\sqrt{v/(v + \delta)}` times. :math:`\delta` is the least that brings the sample's
misfit down to what 95 of 100 healthy samples stay below, so for these it is 0.

The same departure has moved the representation, for the search fits what can be fitted. If a gene's
variance is :math:`1 + \delta/v` times a healthy sample's off the manifold, it is taken to be no more
than that along it, and no more than the representation shows: with z = N(m, S) within a component and a
departure N(0, (a - 1) S) on top, the posterior mean of z is m + (z - m)/a and its covariance (1 - 1/a)
S.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from pydgd.core.latent import LatentPrior
from pydgd.stats import mid_p_residuals
from pydgd.stats.spread import BRIGHT, FEWEST_BRIGHT, log_count_variance, widened

# Median of |z| of a standard normal.
_NORMAL_MEDIAN = 0.674489750196082
# ln of the least and the largest excess that is told apart, and halvings of that range.
_LEAST, _MOST, _HALVINGS = np.log(1e-6), np.log(1e2), 40


class Departure(NamedTuple):
    """How far a sample departs.

    Attributes:
        excess: Log variance by which every gene departs; 0 for healthy samples.
        ratio: Log variance of the typical gene over that in a healthy sample, >= 1.
    """

    excess: float
    ratio: float


class Place(NamedTuple):
    """Where a sample would be had it not departed.

    Attributes:
        z: Representation, (D,).
        component: The component it is drawn to.
        share: 1/a, which share of the way from that component's mean is kept: 1 for healthy samples.
    """

    z: Float[np.ndarray, " latent"]
    component: int
    share: float


def telling_genes(mu: Float[np.ndarray, " genes"]) -> Int[np.ndarray, " chosen"]:
    """Positions of the genes by which a misfit can be told; none if fewer than fifty have reads enough.

    All that have: told by 2,500 of them, which differ between models of two seeds, the misfit's limit
    differed by 6 %, and the excess dispersion of a tumour by a quarter (benchmarks/n_of_one.md).
    """
    bright = np.flatnonzero(mu >= BRIGHT)
    return bright if len(bright) >= FEWEST_BRIGHT else bright[:0]


def misfit(residuals: Float[np.ndarray, " genes"]) -> float:
    """Scale of a sample's residuals, 1 where the model is true: their median size over that of a normal."""
    return float(np.median(np.abs(residuals)) / _NORMAL_MEDIAN)


def departure(
    counts: Float[np.ndarray, " genes"],
    mu: Float[np.ndarray, " genes"],
    r: Float[np.ndarray, " genes"],
    *,
    limit: float,
) -> Departure:
    """The least departure with which a sample's misfit is below a limit; none if it is so without.

    Args:
        counts: Reads of the measured genes.
        mu: Expected reads.
        r: Inverse dispersion, inf for Poisson.
        limit: Largest misfit that is usual.
    """
    chosen = telling_genes(mu)
    if not len(chosen):
        return Departure(0.0, 1.0)
    residuals = mid_p_residuals(counts[chosen], mu[chosen], r[chosen])
    if misfit(residuals) <= limit:
        return Departure(0.0, 1.0)
    usual = log_count_variance(mu[chosen], r[chosen])
    low, high = _LEAST, _MOST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if misfit(widened(residuals, usual, float(np.exp(middle)))) > limit:
            low = middle
        else:
            high = middle
    excess = float(np.exp(high))
    return Departure(excess, 1 + excess * float(np.median(1 / usual)))


class Components:
    """Means, precisions and weights of the mixture, for samples one at a time.

    Attributes:
        covariances: Of each component, (K, D, D).

    Args:
        prior: The mixture.
    """

    def __init__(self, prior: LatentPrior) -> None:
        with torch.no_grad():
            shape = (prior.n_components, prior.means.shape[1], prior.means.shape[1])
            self._means = prior.means.double().numpy()
            self._precisions = prior.component_precisions().double().expand(shape).numpy()
            weights = prior.weights.double().clamp_min(np.finfo(np.float64).tiny)
            self.covariances = np.linalg.inv(self._precisions)
            self._log_height = weights.log().numpy() + 0.5 * np.linalg.slogdet(self._precisions)[1]

    def place(self, z: Float[np.ndarray, " latent"], *, most: float) -> Place:
        """Where a sample would be had its variation not been up to `most` times a healthy one's.

        Args:
            z: Its most probable representation.
            most: Largest variance ratio a, at least 1; inf if there is no limit.
        """
        away = z - self._means
        squared = np.einsum("ki,kij,kj->k", away, self._precisions, away)
        seen = squared / len(z)
        ratios = np.clip(seen, 1.0, most)
        # With no limit each component may explain any distance: the widest ratio counts for all.
        ratio = min(most, max(1.0, float(seen.min())))
        component = int(np.argmax(self._log_height - 0.5 * squared / ratio))
        share = 1 / float(ratios[component])
        if share == 1:
            return Place(z, component, 1.0)
        return Place(self._means[component] + share * away[component], component, share)
