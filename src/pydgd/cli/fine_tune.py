# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd fine-tune`: a trained model learns further healthy samples."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.common import Choice
from pydgd.cli.outputs import check_output
from pydgd.cli.reading import READING_OPTIONS, Reading
from pydgd.cli.terminal import Terminal
from pydgd.cli.training_options import TRAINING_OPTIONS, CheckpointEvery, Resume
from pydgd.errors import ConfigError

_RUN = "The training"


def _changed(name: str, kind: type, flag: str, default: object, says: str) -> dict[str, Choice]:
    option = typer.Option(flag, help=says, rich_help_panel=_RUN, show_default=default is not None)
    return {name: Choice(Annotated[kind if default is not None else kind | None, option], default)}


FINE_TUNE_OPTIONS = (
    READING_OPTIONS
    | _changed(
        "more_dimensions",
        int,
        "--more-dims",
        None,
        "Latent dimensions to add; by default one per 6 new samples, at most 64.",
    )
    | _changed(
        "more_components",
        int,
        "--more-components",
        None,
        "Components to add; by default one per 20 new samples, at most 30.",
    )
    | _changed("epochs", int, "--epochs", 20, "Passes over the samples.")
    | _changed("learning_rate", float, "--learning-rate", 0.01, "Peak of the schedule.")
    | {name: TRAINING_OPTIONS[name] for name in ("batch_size", "validation", "validation_seed")}
    | {name: TRAINING_OPTIONS[name] for name in ("group_key", "label_key")}
)


def fine_tune(
    terminal: Terminal,
    model: shared.ModelFile,
    counts: shared.CountsFile,
    output: shared.NewModelFile,
    *,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            metavar="COUNTS",
            help="Raw counts of the samples that MODEL was trained on, if they are at hand: p-values are "
            "then calibrated on old and new ones together.",
            show_default=False,
        ),
    ] = None,
    replay_where: Annotated[
        list[str] | None,
        typer.Option(
            "--replay-where",
            metavar="COLUMN=VALUE",
            help="Use only samples of --replay with this label, as --where does for the new ones.",
            show_default=False,
        ),
    ] = None,
    resume: Resume = False,
    checkpoint_every: CheckpointEvery = 5.0,
    seed: shared.Seed = 0,
    **options: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Teach a model further healthy samples, such as those of new tissues, without forgetting the old.

    The old samples are replayed from the model, so they need not be at hand.
    """
    start = time.monotonic()
    reading = Reading.take(options)
    if replay is None and replay_where:
        raise ConfigError(
            "--replay-where is about the samples of --replay, which was not given; add --replay"
        )
    check_output(output, [".dgd"], inputs=[counts, *([] if replay is None else [replay])])
    from pydgd import DGD
    from pydgd.cli.counts import read
    from pydgd.cli.facts import fit_in_words
    from pydgd.cli.fitting import EpochNotes, checkpoints_beside, resumable, save
    from pydgd.words import plural

    trained = DGD.load(model)
    known = {name: value for name, value in options.items() if not (name.endswith("_key") and value is None)}
    new = read(terminal, counts, reading, genes=trained.genes)
    again = replace(reading, where=replay_where)
    old = None if replay is None else read(terminal, replay, again, genes=trained.genes)
    states = checkpoints_beside(output, minutes=checkpoint_every, resume=resume)
    known |= {"replay": old, "seed": seed, "checkpoints": states}
    with resumable(terminal, states):
        with terminal.progress("training", "epochs") as report:
            learnt = trained.fine_tune(new, progress=EpochNotes(report), **known)
        learnt_from = plural(learnt.provenance["fine_tuned"][-1]["n_samples"], "new sample")
        terminal.say(f"learnt {learnt_from}: {learnt!r}; {fit_in_words(learnt)}")
        save(terminal, learnt, output, states, since=start)
