# SPDX-License-Identifier: BSD-3-Clause
"""The closest normal of a sample that may not be healthy, with its uncertainty."""

import copy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from pydgd.checkpoints import ModelRecord
from pydgd.core.model import JointModel
from pydgd.data import AlignedCounts
from pydgd.errors import ConfigError
from pydgd.inference.decoding import decode
from pydgd.inference.departure import Components, Departure, Place, departure
from pydgd.inference.result import ClosestNormal
from pydgd.inference.uncertainty import log_mean_variance
from pydgd.stats.calibrated import NullModel

POINTS = ("posterior", "map")
"""What `DGD.closest_normal` can return: ``posterior``, which takes out by how much the whole sample departs
from healthy ones, or ``map``, the decoded most probable representation."""


def check_point(point: str) -> None:
    """Refuse a point that `DGD.closest_normal` does not know.

    Args:
        point: One of `POINTS`.

    Raises:
        ConfigError: If it is another.
    """
    if point not in POINTS:
        raise ConfigError(f"point must be one of {', '.join(POINTS)}, got {point!r}")


class Posterior:
    """Turns most probable points into closest normals, each sample by itself.

    Args:
        model: The trained model.
        misfit_limit: Largest misfit that is usual for healthy samples.
        log_r: Cross-fitted ln r of each gene, (G,); None to keep the decoder's.
        null: How residuals of healthy samples are distributed, for the test; None if that is not known.
    """

    def __init__(
        self,
        model: JointModel,
        *,
        misfit_limit: float,
        log_r: Float[np.ndarray, " genes"] | None = None,
        null: NullModel | None = None,
    ) -> None:
        self._model, self._limit, self._null = model, misfit_limit, null
        self._r = None if log_r is None else np.exp(log_r)
        self._components = Components(model.prior)
        # In float64 where that is cheap: a median is one gene's residual. With float32 means another number
        # of threads moved the departure by 5e-6 and log2 means by 2e-5.
        decoder = model.decoder
        self._decoder = decoder if len(decoder.trunk) else copy.deepcopy(decoder).double()

    @classmethod
    def calibrated(cls, record: ModelRecord) -> "Posterior | None":
        """By what a model's calibration says; None if it has none.

        Args:
            record: The model with what is kept beside it.
        """
        known = record.calibration
        if known is None:
            return None
        return cls(record.model, misfit_limit=known.misfit_limit, log_r=known.log_r, null=known.null)

    def of(self, normal: ClosestNormal, query: AlignedCounts) -> ClosestNormal:
        """The closest normals where the samples' departure is taken out of them.

        Args:
            normal: Most probable points of the samples.
            query: Their counts.

        Returns:
            Representations, expected reads and components as they would be had the samples not departed, with
            the cross-fitted r, the excess log variance and the variance of ln mu; in the fit table also
            ``dgd_departure`` (the excess) and ``dgd_kept_share``. A sample that has not departed keeps its
            representation and expected reads to the bit.
        """
        refitted = replace(normal, r=normal.r if self._r is None else self._r)
        departures = [self._departure(refitted, query, i) for i in range(len(query.sample_names))]
        places = [self._place(refitted, i, found.ratio) for i, found in enumerate(departures)]
        shares = np.array([place.share for place in places])
        moved = np.flatnonzero(shares < 1)
        z, means, r = np.array([place.z for place in places]), normal.means.copy(), refitted.r
        if moved.size:
            means[moved], decoded = decode(
                self._model, torch.as_tensor(z[moved]), normal.scaling_factors[moved]
            )
            if r is not None and r.ndim == 2 and decoded is not None:
                r = r.copy()
                r[moved] = decoded
        component = np.array([place.component for place in places])
        excess = np.array([found.excess for found in departures])
        found = replace(
            refitted,
            representations=z,
            component=component,
            means=means,
            r=r,
            departure=excess,
            null=self._null,
            fit=normal.fit.assign(dgd_component=component, dgd_departure=excess, dgd_kept_share=shares),
            provenance={**normal.provenance, "point": "posterior"},
        )
        return replace(found, log_mean_variance=self._variances(found, places))

    def _departure(self, normal: ClosestNormal, query: AlignedCounts, i: int) -> Departure:
        seen = query.measured
        x, mu = query.counts[i, seen].astype(np.float64), self._fine_means(normal, i)[seen]
        return departure(x, mu, normal.dispersions(i)[seen], limit=self._limit)

    @torch.no_grad()
    def _fine_means(self, normal: ClosestNormal, i: int) -> Float[np.ndarray, " genes"]:
        """Expected reads at a sample's representation, as exact as is cheap."""
        module = self._decoder.output_module
        z = torch.as_tensor(normal.representations[i]).to(module.layer_means.weight.dtype)
        # Twice the same row, as in `decode`.
        means = module.means_of(self._decoder(z.expand(2, -1)))[0]
        return np.asarray(means.double().numpy() * normal.scaling_factors[i])

    def _place(self, normal: ClosestNormal, i: int, ratio: float) -> Place:
        z = normal.representations[i]
        if ratio == 1:
            return Place(z, int(normal.component[i]), 1.0)
        return self._components.place(z, most=ratio)

    def _variances(self, normal: ClosestNormal, places: list[Place]) -> Float[np.ndarray, "n genes"]:
        variances = np.empty(normal.means.shape, dtype=np.float32)
        for i, (mu, place) in enumerate(zip(normal.means.astype(np.float64), places, strict=True)):
            # The information mu r/(mu + r), which is mu for Poisson.
            weight = normal.measured * mu / (1 + mu / normal.dispersions(i))
            variances[i] = log_mean_variance(
                self._model,
                torch.as_tensor(place.z),
                weight=torch.as_tensor(weight),
                covariance=torch.as_tensor(self._components.covariances[place.component]),
                share=place.share,
            ).numpy()
        return variances
