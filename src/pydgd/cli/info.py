# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd info`: what is in a model file?"""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pydgd.cli import options as shared
from pydgd.cli.outputs import human_size
from pydgd.cli.terminal import Terminal


def info(
    terminal: Terminal,  # noqa: ARG001  # every command is given one; this one prints what was asked for
    model: shared.ModelFile,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead.")] = False,
) -> None:
    """Show what a model was trained on, how it is built and how well it fits."""
    from pydgd import DGD
    from pydgd.cli.facts import model_facts
    from pydgd.data.named import find_model

    file = find_model(model)
    trained = DGD.load(file)
    if as_json:
        typer.echo(json.dumps({**trained.provenance, "genes": list(trained.genes)}, indent=2, sort_keys=True))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", f"{file} ({human_size(file.stat().st_size)})")
    for name, value in model_facts(trained).items():
        table.add_row(name, value)
    Console(highlight=False, markup=False).print(table)
