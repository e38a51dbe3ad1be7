# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd adapt`: a model for samples of another laboratory."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal

if TYPE_CHECKING:
    from pydgd.dgd import DGD
    from pydgd.stats.calibrated import NullModel


def adapt(
    terminal: Terminal,
    model: shared.ModelFile,
    counts: shared.CountsFile,
    output: shared.NewModelFile,
    *,
    healthy: Annotated[
        bool,
        typer.Option(
            "--healthy/--patients",
            help="Whether the samples are healthy; of patients with unlike diseases only offsets are learnt.",
        ),
    ] = True,
    min_shared: shared.MinShared = 0.5,
    **reading: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Move a model to another laboratory or protocol, by three or more of its samples.

    What most of these samples share is taken for the laboratory's: never give a cohort of one tumour, nor the
    sample that is to be asked. From ten healthy ones on, p-values are calibrated anew.
    """
    start = time.monotonic()
    how = Reading.take(reading)
    check_output(output, [".dgd"], inputs=[model, counts])
    from pydgd import DGD
    from pydgd import adapt as adapted_to
    from pydgd.cli.counts import read
    from pydgd.words import plural

    trained = DGD.load(model)
    reference = read(terminal, counts, how, genes=trained.genes)
    adapted = adapted_to(trained, reference, healthy=healthy, min_shared=min_shared)
    how_calibrated = "as before" if _null(adapted) is _null(trained) else "anew"
    terminal.say(f"adapted to {plural(reference.n_obs, 'sample')}: p-values calibrated {how_calibrated}")
    news = Announcement(output)
    adapted.save(output)
    news.say(terminal, since=start)


def _null(model: "DGD") -> "NullModel | None":
    """How residuals of healthy samples are distributed, for this model."""
    known = model.record.calibration
    return None if known is None else known.null
