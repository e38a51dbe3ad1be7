# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd train`: counts of healthy samples in, a model out."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.counts import read
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.progress import Progress, duration
from pydgd.cli.terminal import Terminal
from pydgd.cli.training_options import to_config

if TYPE_CHECKING:
    from pydgd import DGD
    from pydgd.training import EpochReport


def train(
    terminal: Terminal,
    counts: shared.CountsFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="MODEL", help="File to write: *.dgd.", show_default=False),
    ],
    *,
    seed: shared.Seed = 0,
    where: shared.Where = None,
    orient: shared.Orient = "auto",
    layer: shared.Layer = None,
    round_counts: shared.Round = False,
    **training: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Train a model on raw counts of healthy samples.

    A model that is there already is replaced once the new one is complete.
    """
    start = time.monotonic()
    check_output(output, [".dgd"], inputs=[counts])
    from pydgd.config import training_config

    options = training_config(**to_config(training, seed=seed)).model_dump()
    from pydgd import DGD

    adata = read(terminal, counts, where=where, orient=orient, layer=layer, round_counts=round_counts)
    with terminal.progress("training", "epochs") as report:
        model = DGD.fit(adata, progress=EpochNotes(report), **options)
    terminal.say(_summary(model))
    news = Announcement(output)
    model.save(output)
    news.say(terminal, since=start)


class EpochNotes:
    """Turns the report of an epoch into progress with losses.

    Args:
        report: Where progress is shown.
    """

    def __init__(self, report: Progress) -> None:
        self._report, self._held_out = report, math.nan

    def __call__(self, epoch: "EpochReport") -> None:
        """Show one epoch; the held-out loss is that of the last look."""
        if not math.isnan(epoch.validation_nll):
            self._held_out = epoch.validation_nll
        held_out = "" if math.isnan(self._held_out) else f", held-out {self._held_out:.3f}"
        self._report(epoch.epoch, epoch.n_epochs, f"train {epoch.train_nll:.3f}{held_out} nats per count")


def _summary(model: "DGD") -> str:
    """What was trained on what, and how well it fits."""
    facts, history = model.provenance, model.history
    best = history[history["epoch"] == facts["best_epoch"]].iloc[0]
    n_held_out = facts["n_held_out_samples"]
    held_out = f", held-out {best['validation_nll']:.3f}" if n_held_out else ""
    return (
        f"trained on {facts['n_training_samples']:,} samples ({n_held_out:,} held out) and "
        f"{facts['n_genes']:,} genes in {duration(float(history['seconds'].iloc[-1]))}; "
        f"epoch {facts['best_epoch']} kept: train {best['train_nll']:.3f}{held_out} nats per count"
    )
