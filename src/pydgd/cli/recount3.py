# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd recount3`: read counts of GTEx, TCGA and SRA."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli.common import Choice
from pydgd.cli.download_options import DOWNLOAD_OPTIONS
from pydgd.cli.outputs import TABLES, check_output
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError

COUNTS = (".h5ad", *TABLES)
_SAMPLES = "Which samples and columns"


def _option(kind: Any, *names: str, says: str, metavar: str | None = None) -> Any:  # noqa: ANN401  # typing's own
    return Annotated[
        kind, typer.Option(*names, help=says, metavar=metavar, rich_help_panel=_SAMPLES, show_default=False)
    ]


RECOUNT3_OPTIONS = {
    "query": Choice(
        _option(
            str,
            "--query",
            metavar="TEXT",
            says="Samples by their metadata, e.g. \"gtex.smtsd == 'Bladder'\"; pandas evaluates it.",
        ),
        "",
    ),
    "keep": Choice(
        _option(
            list[str] | None, "--keep", metavar="COLUMN", says="Column of metadata to keep; by default all."
        ),
        None,
    ),
    "drop": Choice(
        _option(list[str] | None, "--drop", metavar="COLUMN", says="Column of metadata to drop."), None
    ),
    **DOWNLOAD_OPTIONS,
}


def recount3(
    terminal: Terminal,
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="gtex, tcga or sra.", show_default=False)
    ] = None,
    project: Annotated[
        str | None,
        typer.Argument(
            metavar="PROJECT",
            help="Tissue (BLADDER), cancer (BRCA) or study (SRP009615).",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Read counts to write: *.h5ad, or genes x samples as *.csv, *.tsv (also .gz) or *.parquet. "
            "With --batches a folder.",
            show_default=False,
        ),
    ],
    metadata: Annotated[
        Path | None,
        typer.Option("--metadata", metavar="TABLE", help="Also write the metadata and quality control."),
    ] = None,
    batches: Annotated[
        Path | None,
        typer.Option(
            "--batches",
            metavar="FILE",
            help="CSV or YAML with source, project and perhaps annotation, query, keep and drop of each.",
            show_default=False,
        ),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help=f"With --batches, what to write: {', '.join(COUNTS)}.")
    ] = "h5ad",
    annotation: Annotated[
        str,
        typer.Option(
            "--annotation", help="gencode_v29, gencode_v26, refseq, fantom6_cat, or a file code (G029)."
        ),
    ] = "gencode_v29",
    organism: Annotated[str, typer.Option("--organism", metavar="human|mouse", help="Of SRA.")] = "human",
    coverage: Annotated[
        bool, typer.Option("--coverage", help='Keep the base coverage in layers["coverage"] of the h5ad.')
    ] = False,
    mirror: Annotated[
        str | None, typer.Option("--mirror", metavar="URL", help="Another server with recount3's layout.")
    ] = None,
    **options: Any,  # noqa: ANN401  # of `RECOUNT3_OPTIONS`; typer checks them
) -> None:
    """Fetch read counts with metadata and quality control from recount3.

    recount3 holds sums of base coverage; they become reads by the mean mapped length of each sample. Files
    are kept with their checksums, go on where they broke off, and are tried again if the server is busy.
    """
    if (batches is None) == (source is None or project is None):
        raise ConfigError("give SOURCE and PROJECT, e.g. gtex BLADDER, or --batches FILE")
    if batches is None:
        check_output(output, COUNTS)
    if metadata is not None:
        check_output(metadata, TABLES)
    from pydgd.cli.recount3_outputs import run_batches, run_one

    how = {"annotation": annotation, "mirror": mirror, "coverage": coverage, **options}
    if batches is None:
        run_one(terminal, (source or "", project or "", organism), output, metadata, **how)
    else:
        if metadata is not None or options["query"] or options["keep"] or options["drop"]:
            raise ConfigError(
                "with --batches, query, keep and drop stand in its file, and metadata in the folder"
            )
        run_batches(terminal, batches, output, "." + file_format.removeprefix("."), **how)
