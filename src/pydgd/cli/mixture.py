# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd mixture`: the components of a model, who belongs to them, and new samples out of them."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import analysis_options as shared
from pydgd.cli import options
from pydgd.cli.common import Choice
from pydgd.cli.outputs import TABLES, check_output
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError

_NEW = "New samples"

MIXTURE_OPTIONS = {
    "densities": shared.further_table("--densities", "Write log joint densities per component, nats."),
    "typical": shared.further_table("--typical", "Write the most typical samples of each component."),
    "labels": shared.further_table("--labels", "Write what each component is made of, e.g. tissues."),
    "n_typical": Choice(
        Annotated[
            int,
            typer.Option("--n-typical", help="Typical samples per component.", rich_help_panel=shared.VIEWS),
        ],
        5,
    ),
    "synthetic": Choice(
        Annotated[
            Path | None,
            typer.Option(
                "--synthetic",
                metavar="H5AD",
                help="Write new healthy samples, drawn from the model.",
                show_default=False,
                rich_help_panel=_NEW,
            ),
        ],
        None,
    ),
    "n_synthetic": Choice(
        Annotated[int, typer.Option("--n-synthetic", help="How many.", rich_help_panel=_NEW)], 100
    ),
    "reads": Choice(
        Annotated[float, typer.Option("--reads", help="Expected reads of each.", rich_help_panel=_NEW)], 2e7
    ),
    "seed": Choice(
        Annotated[int, typer.Option("--seed", min=0, help="Decides the draws.", rich_help_panel=_NEW)], 0
    ),
}


def mixture(
    terminal: Terminal,
    model: options.ModelFile,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[POSITIONS]",
            help="The h5ad that `pydgd closest-normal` wrote, or a table with sample names and z1, z2, …; by "
            "default the training samples.",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="TABLE",
            help=f"Write responsibilities, samples x components: *{', *'.join(TABLES)}.",
            show_default=False,
        ),
    ] = None,
    groups: shared.Groups = None,
    group_column: shared.GroupColumn = None,
    **more: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Say which component of the model's mixture each sample belongs to, and what the components hold.

    Components are numbered as in dgd_component. Labels are those of the training samples or, with --groups,
    those of the file. Files that are there already are replaced.
    """
    start = time.monotonic()
    views = {name: more[name] for name in ("densities", "typical", "labels") if more[name] is not None}
    tables = [path for path in (output, *views.values()) if path is not None]
    inputs = [path for path in (model, source, groups) if path is not None]
    if not tables and more["synthetic"] is None:
        raise ConfigError("nothing to write: give --output, --densities, --typical, --labels or --synthetic")
    for path in tables:
        check_output(path, TABLES, inputs=inputs)
    if more["synthetic"] is not None:
        check_output(more["synthetic"], [".h5ad"], inputs=inputs)
    from pydgd import DGD, tl
    from pydgd.cli.result_tables import named, read_groups, read_positions, write_and_say, write_annotated

    trained = DGD.load(model)
    found = None if source is None else read_positions(source)
    given = read_groups(groups, group_column)
    if output is not None:
        write_and_say(terminal, named(tl.responsibilities(trained, found)), output, since=start)
    if "densities" in views:
        write_and_say(terminal, named(tl.component_densities(trained, found)), views["densities"])
    if "typical" in views:
        write_and_say(terminal, tl.typical_samples(trained, found, n=more["n_typical"]), views["typical"])
    if "labels" in views:
        write_and_say(terminal, tl.component_labels(trained, found, labels=given), views["labels"])
    if more["synthetic"] is not None:
        drawn = tl.sample_counts(trained, more["n_synthetic"], reads=more["reads"], seed=more["seed"])
        write_annotated(terminal, drawn, more["synthetic"])
