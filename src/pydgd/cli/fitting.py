# SPDX-License-Identifier: BSD-3-Clause
"""A training run in words. Heavy: commands import it when they run."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anndata import AnnData

from pydgd.cli.counts import open_rows
from pydgd.cli.facts import fit_in_words
from pydgd.cli.outputs import Announcement
from pydgd.cli.progress import Progress, duration
from pydgd.cli.reading import Reading
from pydgd.cli.sharing import joined
from pydgd.cli.terminal import Terminal
from pydgd.config import TrainingConfig
from pydgd.data import CountRows
from pydgd.data.memory import available_memory
from pydgd.dgd import DGD
from pydgd.errors import OutputError
from pydgd.training import Checkpoints, EpochReport
from pydgd.training.cohort import check_fits, in_memory_bytes
from pydgd.training.ranks import Ranks

# Memory is asked for once more when the counts are read, and must not be refused then; measured: up to 1.044.
_MARGIN = 1.05


@dataclass(frozen=True)
class Fitting:
    """A training as a command runs it, alone or with other processes.

    Attributes:
        terminal: Where it is told; only one of several processes speaks.
        output: The model's file.
        checkpoints: Where its state is kept; None for nowhere.
        ranks: This process among those that train together.
    """

    terminal: Terminal
    output: Path
    checkpoints: Checkpoints | None
    ranks: Ranks

    @classmethod
    @contextmanager
    def joined(cls, terminal: Terminal, output: Path, *, minutes: float, resume: bool) -> Iterator["Fitting"]:
        """Join the processes that torchrun started, if it did.

        Args:
            terminal: The user's.
            output: The model's file.
            minutes: Between two kept states; 0 for none.
            resume: Whether to go on from one.
        """
        checkpoints = checkpoints_beside(output, minutes=minutes, resume=resume)
        with joined(terminal) as (heard, ranks):
            yield cls(heard, output, checkpoints, ranks)

    @contextmanager
    def opened(
        self, path: Path, reading: Reading, config: TrainingConfig, *, stream: bool | None
    ) -> Iterator[AnnData | CountRows]:
        """Counts in memory, or left in their file.

        Args:
            path: A file, a folder, or a pattern.
            reading: What the user said about them.
            config: Options of the training.
            stream: Whether to leave them there; None to decide by the memory there is.

        Raises:
            TooLargeError: If they shall not be left there, and memory does not hold them.
        """
        with open_rows(self.terminal, path, reading) as rows:
            if self._streams(rows, path, asked=stream):
                yield rows
                return
            if stream is False:
                check_fits(rows, config, n_processes=self._n_here)
            yield in_memory(rows)

    @property
    def _n_here(self) -> int:
        """Processes of this machine that train together."""
        return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if self.ranks.size > 1 else 1

    def _streams(self, rows: CountRows, path: Path, *, asked: bool | None) -> bool:
        """What was asked for, or whether the processes of this machine cannot each hold the counts."""
        if asked is not None:
            return asked
        needed = _MARGIN * in_memory_bytes(rows, n_genes=rows.n_vars, n_processes=self._n_here)
        free = available_memory()
        # Each process sees other memory, and all must take the same way.
        streams = self.ranks.agreed(wish=free is not None and needed > free)
        if streams:
            self.terminal.say(
                f"training reads {path} part by part: in memory it would take {needed / 2**30:.1f} GiB"
            )
        return streams

    def run(self, data: AnnData | CountRows, options: Mapping[str, Any], *, since: float) -> None:
        """Train, and write the model.

        Args:
            data: Counts.
            options: Of `DGD.fit`.
            since: When the command began.
        """
        with resumable(self.terminal, self.checkpoints):
            with self.terminal.progress("training", "epochs") as report:
                model = DGD.fit(data, progress=EpochNotes(report), checkpoints=self.checkpoints, **options)
            if self.ranks.index == 0:
                self.terminal.say(fit_summary(model))
                save(self.terminal, model, self.output, self.checkpoints, since=since)


def checkpoints_beside(output: Path, *, minutes: float, resume: bool) -> Checkpoints | None:
    """Where a command keeps the state of its training; None for nowhere.

    Args:
        output: The model's file.
        minutes: Between two kept states; 0 for none.
        resume: Whether to go on from one.
    """
    if minutes <= 0 and not resume:
        return None
    folder = output.with_name(f"{output.name}.checkpoint")
    return Checkpoints(folder, 60.0 * minutes if minutes > 0 else math.inf, resume)


@contextmanager
def resumable(terminal: Terminal, checkpoints: Checkpoints | None) -> Iterator[None]:
    """Say how to go on where a training is interrupted that has kept its state.

    Args:
        terminal: Where.
        checkpoints: Its states; None if it keeps none.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, OutputError, MemoryError):
        if checkpoints is not None and checkpoints.has_state:
            terminal.say("the state of the training was kept: go on with --resume")
        raise


def save(
    terminal: Terminal, model: DGD, output: Path, checkpoints: Checkpoints | None, *, since: float
) -> None:
    """Write a model; only then are its states deleted.

    Args:
        terminal: Where to say so.
        model: Trained.
        output: Its file.
        checkpoints: Its states, if it has kept any.
        since: When the command began.
    """
    news = Announcement(output)
    model.save(output)
    if checkpoints is not None:
        checkpoints.delete()
    news.say(terminal, since=since)


def in_memory(counts: AnnData | CountRows) -> AnnData:
    """All counts at once."""
    return counts if isinstance(counts, AnnData) else counts.read(0, counts.n_obs)


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
    with_what = facts.get("trained_with")
    where = f" on {with_what['device']} in precision {with_what['precision']}" if with_what else ""
    return (
        f"trained{where} on {facts['n_training_samples']:,} samples "
        f"({facts['n_held_out_samples']:,} held out) and {facts['n_genes']:,} genes "
        f"in {duration(float(model.history['seconds'].iloc[-1]))}; "
        f"{fit_in_words(model)}"
    )
