# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd simulate`: counts whose truth is known."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.common import Choice
from pydgd.cli.outputs import Announcement
from pydgd.cli.terminal import Terminal

SIMULATION_OPTIONS = {
    "n_tissues": Choice(Annotated[int, typer.Option("--tissues", min=1, help="Tissues.")], 8),
    "n_per_tissue": Choice(
        Annotated[int, typer.Option("--per-tissue", min=1, help="Healthy samples of each.")], 50
    ),
    "n_genes": Choice(Annotated[int, typer.Option("--genes", min=1, help="Genes.")], 3_000),
    "n_changed": Choice(Annotated[int, typer.Option("--changed", min=0, help="Cases with changes.")], 16),
    "n_unchanged": Choice(
        Annotated[int, typer.Option("--unchanged", min=0, help="Cases that are healthy.")], 16
    ),
    "changed_share": Choice(
        Annotated[
            float,
            typer.Option("--changed-share", help="Share of the well-expressed genes changed in a case."),
        ],
        0.05,
    ),
}


def simulate(
    terminal: Terminal,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write into.", show_default=False),
    ],
    *,
    seed: shared.Seed = 0,
    **simulation: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Simulate a healthy cohort of several tissues, and cases in which known genes are changed.

    Writes normals.h5ad, cases.h5ad and truth.csv (sample, gene, log2_fold_change) into FOLDER and replaces
    files of these names.
    """
    from pydgd.cli.tables import write_table
    from pydgd.data import simulate_cohort
    from pydgd.data.h5ad_writer import write_h5ad
    from pydgd.data.memory import check_memory
    from pydgd.files import make_folder

    n_healthy = simulation["n_tissues"] * simulation["n_per_tissue"]
    n_samples = n_healthy + simulation["n_changed"] + simulation["n_unchanged"]
    size = f"{n_samples:,} samples x {simulation['n_genes']:,} genes"
    # Of float64.
    check_memory(8 * n_samples * simulation["n_genes"], f"simulating {size}", "ask for fewer")
    make_folder(output)
    cohort = simulate_cohort(seed=seed, **simulation)
    for name, adata in (("normals.h5ad", cohort.normals), ("cases.h5ad", cohort.cases)):
        news = Announcement(output / name)
        write_h5ad(adata, output / name, compression="gzip")
        news.say(terminal, f"{adata.n_obs:,} samples x {adata.n_vars:,} genes")
    news = Announcement(output / "truth.csv")
    write_table(cohort.truth, output / "truth.csv")
    news.say(terminal, f"{len(cohort.truth):,} changes")
