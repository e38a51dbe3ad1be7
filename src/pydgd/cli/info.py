# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd info`: what is in a model file?"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pydgd.cli import options as shared
from pydgd.cli.outputs import human_size
from pydgd.cli.terminal import Terminal

if TYPE_CHECKING:
    from pydgd import DGD


def info(
    terminal: Terminal,  # noqa: ARG001  # every command is given one; this one prints what was asked for
    model: shared.ModelFile,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead.")] = False,
) -> None:
    """Show what a model was trained on, how it is built and how well it fits."""
    from pydgd import DGD

    trained = DGD.load(model)
    if as_json:
        typer.echo(json.dumps({**trained.provenance, "genes": list(trained.genes)}, indent=2, sort_keys=True))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", f"{model} ({human_size(model.stat().st_size)})")
    for name, value in _rows(trained):
        table.add_row(name, value)
    Console(highlight=False, markup=False).print(table)


def _rows(model: "DGD") -> Iterator[tuple[str, str]]:
    """Names and values of the table."""
    facts: dict[str, Any] = model.provenance
    options = facts["options"]
    yield "samples", f"{facts['n_training_samples']:,} trained on, {facts['n_held_out_samples']:,} held out"
    if model.labels is not None:
        yield (
            "labels",
            ", ".join(f"{label} {count:,}" for label, count in model.labels.value_counts().items()),
        )
    yield (
        "genes",
        f"{len(model.genes):,}: {', '.join(model.genes[:4])}{', …' if len(model.genes) > 4 else ''}",
    )
    hidden = ", ".join(map(str, options["n_units_hidden_layers"])) or "none (linear)"
    yield (
        "decoder",
        f"{options['latent_dim']} latent dimensions; hidden layers: {hidden}; {options['output_module']}",
    )
    yield "prior", f"{options['prior']}, {options['n_components']} components"
    yield "scaling", options["scaling"]
    history = model.history
    best = history[history["epoch"] == facts["best_epoch"]].iloc[0]
    yield "fit", f"train {best['train_nll']:.3f}, held-out {best['validation_nll']:.3f} nats per count"
    yield "training", f"{len(history)} epochs, epoch {facts['best_epoch']} kept; seed {options['seed']}"
    yield "versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    yield "sha256", facts["sha256"]
