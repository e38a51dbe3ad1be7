# SPDX-License-Identifier: BSD-3-Clause
"""What is usual in another laboratory, from its healthy samples, each by offsets that others gave."""

import logging
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pydgd.checkpoints import with_content_hash
from pydgd.checkpoints.calibration import Calibration
from pydgd.data import AlignedCounts
from pydgd.dgd import DGD
from pydgd.inference import ClosestNormal, SearchOptions
from pydgd.inference.closest_normal import find_and_decode
from pydgd.inference.posterior import Posterior
from pydgd.laboratory.shift import SeenSamples, shifted
from pydgd.stats.calibrated import NullModel
from pydgd.training.calibration import USUAL, expectations, misfits, trained_log_r

_log = logging.getLogger(__name__)

ENOUGH = 10
"""Of fewer healthy samples the null distribution of the first laboratory is the better guess."""

FOLDS = 5


class _Fold(NamedTuple):
    """Some samples, and their most probable points by a model whose offsets come from the others."""

    model: DGD
    counts: AlignedCounts
    found: ClosestNormal


def recalibrated(
    adapted: DGD, model: DGD, seen: SeenSamples, counts: AlignedCounts, options: SearchOptions | None
) -> DGD:
    """An adapted model whose limit of the misfit and null distribution are those of the new laboratory.

    Args:
        adapted: The model with all samples' offsets.
        model: The model before.
        seen: Healthy samples of the new laboratory.
        counts: Theirs.
        options: How hard to search.
    """
    n_samples = len(counts.sample_names)
    folds = []
    for first in range(FOLDS):
        rows = np.arange(first, n_samples, FOLDS)
        others = np.setdiff1d(np.arange(n_samples), rows)
        own = shifted(model, seen.offsets(others), n_samples=len(others))
        some = counts.taken(rows)
        folds.append(_Fold(own, some, find_and_decode(own.record.model, some, options=options)))
    limit = float(np.quantile([value for fold in folds for value in _misfits(fold)], USUAL))
    known = adapted.record.calibration
    try:
        null = NullModel.of(
            [pair for fold in folds for pair in expectations(fold.counts, _normal(fold, limit))]
        )
    except ValueError as error:
        _log.warning("the null distribution of the first laboratory is kept: %s", error)
        return adapted
    log_r = trained_log_r(adapted.record.model) if known is None else known.log_r
    calibration = Calibration(None if log_r is None else np.asarray(log_r, dtype=np.float64), limit, null)
    return DGD(with_content_hash(replace(adapted.record, calibration=calibration)))


def _log_r(fold: _Fold) -> Float[np.ndarray, " genes"] | None:
    known = fold.model.record.calibration
    return None if known is None else known.log_r


def _misfits(fold: _Fold) -> list[float]:
    """Misfit of each sample; 1 if its genes cannot tell."""
    return [1.0 if value is None else value for value in misfits(fold.counts, fold.found, _log_r(fold))]


def _normal(fold: _Fold, limit: float) -> ClosestNormal:
    """The samples' closest normals, where a misfit up to the limit is usual."""
    posterior = Posterior(fold.model.record.model, misfit_limit=limit, log_r=_log_r(fold))
    return posterior.of(fold.found, fold.counts)
