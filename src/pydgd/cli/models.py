# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd models`: models that go by a name."""

import json
from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer
from rich.console import Console
from rich.table import Table

from pydgd.cli.outputs import human_size
from pydgd.cli.terminal import Terminal


# By version, typer hands over a Context of another class than the one that it wants named here.
@no_type_check
def models(context: typer.Context) -> None:
    """List the models that go by a name, or fetch one. Every command takes the name in place of MODEL."""
    if context.invoked_subcommand is None:
        list_models(Terminal.open())


def list_models(
    terminal: Terminal,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead.")] = False,
) -> None:
    """List the models that go by a name: those that come with PyDGD, and those that were fetched."""
    from pydgd.data.named import named_models
    from pydgd.errors import ModelFileError

    found = []
    for name, path in named_models().items():
        try:
            found.append(_facts(name, path))
        except ModelFileError as error:
            terminal.say(f"warning: {error}")
    if as_json:
        typer.echo(json.dumps(found, indent=2, sort_keys=True))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "genes", "samples", "tissues", "size", "sha256", "where"):
        table.add_column(column, justify="right" if column in ("genes", "samples", "tissues") else "left")
    for facts in found:
        counts = [f"{facts[column]:,}" for column in ("genes", "samples", "tissues")]
        shown = human_size(facts["bytes"]), f"{facts['sha256'][:12]}…", facts["where"]
        table.add_row(facts["name"], *counts, *shown)
    Console(highlight=False, markup=False, soft_wrap=True).print(table)


def _facts(name: str, path: Path) -> dict[str, Any]:
    from pydgd import DGD
    from pydgd.data.named import SHIPPED

    model = DGD.load(path)
    return {
        "name": name,
        "genes": len(model.genes),
        "samples": len(model.representations),
        "tissues": 0 if model.labels is None else model.labels.nunique(),
        "bytes": path.stat().st_size,
        "sha256": model.provenance["sha256"],
        "where": "with PyDGD" if path.parent == SHIPPED else "fetched",
        "file": str(path),
    }


def fetch(
    terminal: Terminal,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Address of the file, by https.", show_default=False)
    ],
    *,
    sha256: Annotated[
        str,
        typer.Option(
            "--sha256",
            metavar="CHECKSUM",
            help="SHA-256 of the file; one with another is not kept.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name to go by; by default that of the file.", show_default=False),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=86_400.0, help="Seconds without a byte to wait.")
    ] = 60.0,
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="How often to try.")] = 5,
) -> None:
    """Fetch a model by its address and checksum, and keep it under a name.

    It is kept in $PYDGD_CACHE or ~/.cache/pydgd, once its checksum is right and it can be read. Nothing in it
    is executed.
    """
    from pydgd.checkpoints.fetched import fetch_model

    path = fetch_model(url, sha256, name=name, timeout=timeout, attempts=attempts)
    terminal.say(f"kept {path} ({human_size(path.stat().st_size)}); its name is {path.stem}")
