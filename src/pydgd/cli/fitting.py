# SPDX-License-Identifier: BSD-3-Clause
"""A training run in words. Heavy: commands import it when they run."""

import math

from pydgd.cli.facts import fit_in_words
from pydgd.cli.progress import Progress, duration
from pydgd.dgd import DGD
from pydgd.training import EpochReport


class EpochNotes:
    """Turns the report of an epoch into progress with losses.

    Args:
        report: Where progress is shown.
    """

    def __init__(self, report: Progress) -> None:
        self._report, self._held_out = report, math.nan

    def __call__(self, epoch: EpochReport) -> None:
        """Show one epoch; the held-out loss is that of the last look."""
        if not math.isnan(epoch.validation_nll):
            self._held_out = epoch.validation_nll
        held_out = "" if math.isnan(self._held_out) else f", held-out {self._held_out:.3f}"
        self._report(epoch.epoch, epoch.n_epochs, f"train {epoch.train_nll:.3f}{held_out} nats per count")


def fit_summary(model: DGD) -> str:
    """What was trained on what, and how well it fits, in one line.

    Args:
        model: Just trained.
    """
    facts = model.provenance
    return (
        f"trained on {facts['n_training_samples']:,} samples ({facts['n_held_out_samples']:,} held out) and "
        f"{facts['n_genes']:,} genes in {duration(float(model.history['seconds'].iloc[-1]))}; "
        f"{fit_in_words(model)}"
    )
