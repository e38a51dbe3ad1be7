# SPDX-License-Identifier: BSD-3-Clause
"""The search for closest normals, as two commands run it. Heavy: commands import it when they run."""

import time

import pandas as pd
from anndata import AnnData

from pydgd.cli.progress import duration
from pydgd.cli.terminal import Terminal
from pydgd.dgd import DGD
from pydgd.inference import ClosestNormal


def find(terminal: Terminal, model: DGD, query: AnnData, *, point: str, min_shared: float) -> ClosestNormal:
    """Search with progress, and say how well it went.

    Args:
        terminal: Where to say it.
        model: The trained model.
        query: Counts.
        point: What stands for the closest normal.
        min_shared: Share of the model's genes that the query must have.

    Raises:
        PyDGDError: As `DGD.closest_normal` does.
    """
    start = time.monotonic()
    with terminal.progress("closest normal", "samples") as report:
        normal = model.closest_normal(query, point=point, min_shared=min_shared, progress=report)
    terminal.say(_summary(normal.fit, seconds=time.monotonic() - start))
    lost = normal.fit.index[~normal.fit["dgd_converged"]]
    if len(lost):
        names = ", ".join(map(str, lost[:3]))
        terminal.say(f"warning: the search did not converge for {len(lost)} samples (first: {names})")
    return normal


def _summary(fit: pd.DataFrame, *, seconds: float) -> str:
    return (
        f"closest normals of {len(fit):,} samples in {duration(seconds)}: median misfit "
        f"{fit['dgd_nll_per_gene'].median():.2f} nats per gene; they have "
        f"{fit['dgd_measured_share'].iloc[0]:.1%} of the model's genes"
    )
