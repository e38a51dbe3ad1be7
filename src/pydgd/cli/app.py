# SPDX-License-Identifier: BSD-3-Clause
"""The commands of `pydgd` under their names. Nothing heavy is imported before a command runs."""

from typing import Annotated

import typer

from pydgd._version import __version__
from pydgd.cli.calibrate import calibrate
from pydgd.cli.closest_normal import closest_normal
from pydgd.cli.common import with_common_options
from pydgd.cli.de import de
from pydgd.cli.de_options import DE_OPTIONS
from pydgd.cli.demo import demo
from pydgd.cli.info import info
from pydgd.cli.simulate import SIMULATION_OPTIONS, simulate
from pydgd.cli.train import train
from pydgd.cli.training_options import TRAINING_OPTIONS

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _name, _command, _options in (
    ("train", train, TRAINING_OPTIONS),
    ("closest-normal", closest_normal, None),
    ("de", de, DE_OPTIONS),
    ("calibrate", calibrate, None),
    ("info", info, None),
    ("simulate", simulate, SIMULATION_OPTIONS),
    ("demo", demo, None),
):
    app.command(_name)(with_common_options(_command, _options))


def _print_version(*, wanted: bool) -> bool:
    if wanted:
        typer.echo(f"pydgd {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _pydgd(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Find a sample's closest normal with a deep generative decoder, and the genes that differ from it.

    Start with: pydgd demo
    """
