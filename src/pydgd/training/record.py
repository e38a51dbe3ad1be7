# SPDX-License-Identifier: BSD-3-Clause
"""From a cohort to all that is kept of a model, with what the samples held out tell of healthy ones."""

from collections.abc import Callable
from dataclasses import replace

from pydgd.checkpoints import ModelRecord, with_content_hash
from pydgd.checkpoints.versions import versions
from pydgd.config import TrainingConfig
from pydgd.inference.closest_normal import find_and_decode
from pydgd.inference.fit_reference import fit_reference
from pydgd.inference.neighbours import TrainingSamples
from pydgd.training.calibration import calibrate
from pydgd.training.cohort import Cohort
from pydgd.training.fit import fit
from pydgd.training.hardware import Hardware
from pydgd.training.keeper import Checkpoints
from pydgd.training.result import EpochReport, TrainingResult


def trained_record(
    cohort: Cohort,
    config: TrainingConfig,
    *,
    hardware: Hardware,
    progress: Callable[[EpochReport], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> ModelRecord:
    """Train on a cohort, and learn calibration and reference of the flags from its samples held out.

    Args:
        cohort: The samples.
        config: Options of the run.
        hardware: What computes the steps.
        progress: Called after every epoch.
        checkpoints: Where the state of the run is kept.

    Returns:
        The record with its content hash.

    Raises:
        PyDGDError: As `fit` does.
    """
    result = fit(
        cohort.training,
        genes=cohort.genes,
        profile=cohort.profile,
        config=config,
        held_out=cohort.watched,
        progress=progress,
        checkpoints=checkpoints,
        facts={"samples": cohort.sample_names, "versions": versions()},
        hardware=hardware,
    )
    return with_content_hash(_calibrated(_record(result, cohort, hardware), cohort))


def _record(result: TrainingResult, cohort: Cohort, hardware: Hardware) -> ModelRecord:
    """What is kept of a run."""
    return ModelRecord(
        model=result.model.eval(),
        representations=result.representations,
        sample_names=cohort.sample_names,
        labels=cohort.labels,
        history=result.history,
        options=result.config.model_dump(mode="json"),
        provenance={
            "n_training_samples": len(cohort.sample_names),
            "n_held_out_samples": len(cohort.held_out.sample_names),
            "n_genes": len(cohort.genes),
            "best_epoch": result.best_epoch,
            "versions": versions(),
            **hardware.note,
        },
    )


def _calibrated(record: ModelRecord, cohort: Cohort) -> ModelRecord:
    """The record with what the samples held out tell of healthy ones."""
    rest = cohort.held_out
    found = find_and_decode(record.model, rest) if len(rest.sample_names) else None
    return replace(
        record,
        reference=fit_reference(rest, found, TrainingSamples.of(record)),
        calibration=calibrate(
            record.model,
            representations=record.representations,
            counts=cohort.training,
            held_out=rest,
            found=found,
        ),
    )
