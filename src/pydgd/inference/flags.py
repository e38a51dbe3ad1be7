# SPDX-License-Identifier: BSD-3-Clause
r"""What a sample's fit says about it: is there a close normal at all?

Two things are measured against healthy samples that training did not see. The **misfit** is the deviance of
the counts from the closest normal, over what those samples have at the same genes: a missing organ, a
tumour or another pipeline cannot be reached. The **distance** in the latent space to the fifth nearest
training sample finds what can be reached but only where hardly any healthy sample is.

Each one's threshold is the one-sided normal tolerance limit of its logarithms: were these normal, at most 1
% of such samples would lie beyond it, with 95 % confidence; the fewer the samples, the further out it is.
They are somewhat skewed (0.5 to 0.8 among held-out normals of RNAseqDB), so more lie beyond either: 1.0 to
1.7 % on average for references of 6 to 58 samples, and more than 5 % for one reference in 14 to 140. The
score is the larger of the two on a scale where 0 is the mean of the held-out samples and 1 the threshold.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from scipy.stats import nct, norm

from pydgd.checkpoints.reference import FitReference
from pydgd.data import AlignedCounts
from pydgd.inference.neighbours import TrainingSamples
from pydgd.inference.result import ClosestNormal
from pydgd.stats import deviance

FALSE_ALARMS, CONFIDENCE = 0.02, 0.95
"""Share of healthy samples that may be flagged if logarithms were normal, and how sure that shall be."""

TINY = np.finfo(np.float64).tiny
"""Stands for a sum of 0 where that would be divided by, or its logarithm taken."""


class Limit(NamedTuple):
    """Threshold of a positive quantity whose logarithm is normal.

    Attributes:
        centre: Mean logarithm.
        reach: From there to the threshold, > 0.
    """

    centre: float
    reach: float

    @classmethod
    def of(cls, values: Float[np.ndarray, " n"], *, share: float) -> "Limit":
        """The limit beyond which at most that share lies with 95 % confidence.

        Args:
            values: A sample of the quantity, > 0 and not all alike.
            share: Between 0 and 1.

        Source:
            Guttman (1970), "Statistical Tolerance Regions", chapter 4: the noncentral t factor.

        Example:
            >>> values = np.random.default_rng(0).lognormal(size=60)
            >>> limit = Limit.of(values, share=0.05)
            >>> round(float(limit.reach / np.log(values).std(ddof=1)), 2)
            2.02
        """
        logs, root = np.log(values), np.sqrt(len(values))
        factor = nct.ppf(CONFIDENCE, len(values) - 1, root * norm.ppf(1 - share)) / root
        return cls(float(logs.mean()), float(factor * logs.std(ddof=1)))

    @property
    def threshold(self) -> float:
        """The quantity at the limit."""
        return float(np.exp(self.centre + self.reach))

    def scores(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Where values lie: 0 at the centre, 1 at the limit."""
        return np.asarray((np.log(np.maximum(values, TINY)) - self.centre) / self.reach)


class FitFlags:
    """Says of each sample how its fit compares with that of held-out healthy samples.

    Args:
        training: The training samples.
        reference: The held-out samples; None if there were too few, and then most flags are missing values.

    Attributes:
        limits: Of misfit and distance; None without reference.
    """

    def __init__(self, training: TrainingSamples, reference: FitReference | None) -> None:
        self._training, self._reference = training, reference
        self.limits: tuple[Limit, Limit] | None = None
        if reference is not None:
            share = FALSE_ALARMS / 2
            self.limits = (
                Limit.of(reference.misfit, share=share),
                Limit.of(reference.distance, share=share),
            )

    def flagged(self, normal: ClosestNormal, query: AlignedCounts) -> ClosestNormal:
        """A closest normal with the flags in its fit table; a sample's own do not depend on the others.

        Args:
            normal: As the search left it.
            query: The counts that were searched.

        Returns:
            The same with the columns ``dgd_nearest_labels`` (if training had labels),
            ``dgd_nearest_components``, ``dgd_distance``, ``dgd_nll_percentile``, ``dgd_misfit``,
            ``dgd_ood_score`` and ``dgd_close_normal``; the last four are missing values without a reference.
        """
        z = torch.as_tensor(normal.representations)
        distances = self._training.distances(z)
        labels = self._training.nearest_labels(z)
        columns: dict[str, Any] = {
            **({} if labels is None else {"dgd_nearest_labels": labels}),
            "dgd_nearest_components": self._training.nearest_components(z),
            "dgd_distance": distances,
            **self._against_reference(normal, query, distances),
        }
        return replace(normal, fit=normal.fit.assign(**columns))

    def _against_reference(
        self, normal: ClosestNormal, query: AlignedCounts, distances: np.ndarray
    ) -> dict[str, Any]:
        if self._reference is None or self.limits is None:
            return _not_available(len(distances))
        measured = query.measured
        usual = self._reference.gene_deviance[measured].sum()
        misfits = deviances(query.counts, measured, normal.means, normal.r) / max(usual, TINY)
        scores = np.maximum(self.limits[0].scores(misfits), self.limits[1].scores(distances))
        return {
            "dgd_nll_percentile": self._percentiles(normal.fit["dgd_nll"].to_numpy(), measured),
            "dgd_misfit": misfits,
            "dgd_ood_score": scores,
            "dgd_close_normal": pd.array(scores <= 1, dtype="boolean"),
        }

    def _percentiles(self, nll: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Percentage of the held-out samples with a smaller one, over the same genes."""
        assert self._reference is not None
        relative = nll / max(self._reference.gene_nll[measured].sum(), TINY)
        below = np.searchsorted(np.sort(self._reference.nll), relative, side="left")
        return np.asarray(100 * below / self._reference.n_samples)


def deviances(
    counts: Float[np.ndarray, "n genes"],
    measured: Bool[np.ndarray, " genes"],
    mu: Float[np.ndarray, "n genes"],
    r: Float[np.ndarray, "..."] | None,
) -> Float[np.ndarray, " n"]:
    """Deviance of each sample over its measured genes, nats, (N,); one by one, which also bounds memory.

    Args:
        counts: Reads.
        measured: Which genes were measured.
        mu: Expected reads.
        r: Inverse dispersion, (G,) or (N, G); None for Poisson.
    """
    return np.array(
        [
            deviance(x[measured], m[measured], dispersion).sum()
            for x, m, dispersion in zip(counts, mu, rows_of(r, measured, n=len(mu)), strict=True)
        ]
    )


def rows_of(
    r: Float[np.ndarray, "..."] | None, measured: Bool[np.ndarray, " genes"], *, n: int
) -> list[np.ndarray | None]:
    """Inverse dispersion of each sample's measured genes, whatever its shape."""
    if r is None:
        return [None] * n
    return [row[measured] for row in np.broadcast_to(r, (n, len(measured)))]


def _not_available(n: int) -> dict[str, Any]:
    missing = np.full(n, np.nan)
    return {
        "dgd_nll_percentile": missing,
        "dgd_misfit": missing,
        "dgd_ood_score": missing,
        "dgd_close_normal": pd.array([pd.NA] * n, dtype="boolean"),
    }
