# SPDX-License-Identifier: BSD-3-Clause
"""What makes p-values and flags hold, of a model that learnt more samples."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pydgd.checkpoints import ModelRecord
from pydgd.checkpoints.calibration import Calibration
from pydgd.checkpoints.reference import FitReference
from pydgd.data import AlignedCounts
from pydgd.inference import ClosestNormal
from pydgd.inference.closest_normal import find_and_decode
from pydgd.inference.fit_reference import fit_reference
from pydgd.inference.neighbours import TrainingSamples
from pydgd.training.calibration import FEWEST, calibrate, calibration_of
from pydgd.training.counts import CountsInMemory
from pydgd.training.replay import tensors_of

_log = logging.getLogger(__name__)


def recalibrated(
    record: ModelRecord, *, training: Sequence[AlignedCounts] | None, held_out: Sequence[AlignedCounts]
) -> ModelRecord:
    """Learn calibration and reference of the flags anew.

    With all training samples at hand this is what a training does. Without the old ones their dispersions
    are kept, the reference becomes that of old and new samples together, and limit and null distribution are
    the more cautious ones of the old samples' and the new ones'.

    Args:
        record: Extended, with calibration and reference of the model before.
        training: Counts of all training samples in the record's order; None if the old ones are not at hand.
        held_out: Healthy samples that neither training saw, at least one part.
    """
    rest = _joined(held_out)
    if len(rest.sample_names) < FEWEST and training is None:
        _log.warning(
            "%d new healthy samples were held out, %d are needed to calibrate on them: p-values and flags of "
            "new samples are those of the old ones",
            len(rest.sample_names),
            FEWEST,
        )
        return record
    found = find_and_decode(record.model, rest) if rest.sample_names else None
    reference = fit_reference(rest, found, TrainingSamples.of(record))
    if training is not None:
        calibration = _anew(record, _joined(training), rest, found)
        return replace(record, reference=reference, calibration=calibration)
    assert found is not None
    return replace(
        record,
        reference=pooled(record.reference, reference),
        calibration=_cautious(record, rest, found),
    )


def pooled(one: FitReference | None, other: FitReference | None) -> FitReference | None:
    """A reference of two lots of samples; the first one if either is missing.

    Args:
        one: Of N samples.
        other: Of M others.

    Returns:
        Of N + M samples.
    """
    if one is None or other is None:
        return one
    share = one.n_samples / (one.n_samples + other.n_samples)
    nll = share * one.gene_nll + (1 - share) * other.gene_nll
    deviance = share * one.gene_deviance + (1 - share) * other.gene_deviance
    return FitReference(
        nll=_rescaled([(one.nll, one.gene_nll), (other.nll, other.gene_nll)], nll),
        misfit=_rescaled([(one.misfit, one.gene_deviance), (other.misfit, other.gene_deviance)], deviance),
        distance=np.concatenate([one.distance, other.distance]),
        gene_nll=nll,
        gene_deviance=deviance,
    )


def _rescaled(parts: Sequence[tuple[np.ndarray, np.ndarray]], usual: np.ndarray) -> np.ndarray:
    """Samples' sums over that of the genes' means, for other means."""
    sums = np.concatenate([values * of_genes.sum() for values, of_genes in parts])
    return np.asarray(sums / usual.sum())


def _anew(
    record: ModelRecord, training: AlignedCounts, held_out: AlignedCounts, found: ClosestNormal | None
) -> Calibration | None:
    return calibrate(
        record.model,
        representations=record.representations,
        counts=CountsInMemory(*tensors_of(record.model, training)),
        held_out=held_out,
        found=found,
    )


def _cautious(record: ModelRecord, held_out: AlignedCounts, found: ClosestNormal) -> Calibration | None:
    """The old calibration, or the new samples' if they are the more variable: both hold for neither alone."""
    known = record.calibration
    if known is None:
        return None
    new = calibration_of(record.model, known.log_r, held_out, found)
    return known if new is None or new.misfit_limit < known.misfit_limit else new


def _joined(parts: Sequence[AlignedCounts]) -> AlignedCounts:
    return replace(
        parts[0],
        counts=np.concatenate([part.counts for part in parts]),
        sample_names=tuple(name for part in parts for name in part.sample_names),
    )
