# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd preprocess`: counts of any format, brought to the genes of a model and judged sample by sample."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.outputs import TABLES, Announcement, check_output
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError, FileFormatError

if TYPE_CHECKING:
    from pydgd.data import Preprocessed

_FORMATS = (".h5ad", *TABLES)
_SAMPLES = "Which samples are kept"


def preprocess(
    terminal: Terminal,
    counts: shared.CountsFile,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"Counts to write, samples x genes: *{', *'.join(_FORMATS)}.",
            show_default=False,
        ),
    ],
    *,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="MODEL", help="Keep the genes of this model, in its order.", show_default=False
        ),
    ] = None,
    genes: Annotated[
        Path | None,
        typer.Option(
            "--genes", metavar="LIST", help="Keep the genes of this list, one per line.", show_default=False
        ),
    ] = None,
    min_shared: shared.MinShared = 0.5,
    min_reads: Annotated[
        int, typer.Option("--min-reads", min=0, help="Fewest reads.", rich_help_panel=_SAMPLES)
    ] = 0,
    min_genes: Annotated[
        int, typer.Option("--min-genes", min=0, help="Fewest genes with reads.", rich_help_panel=_SAMPLES)
    ] = 0,
    drop_duplicates: Annotated[
        bool,
        typer.Option(
            "--drop-duplicates", help="Drop samples with the counts of another.", rich_help_panel=_SAMPLES
        ),
    ] = False,
    gene_table: shared.GeneTableFile = None,
    **reading: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Check counts of any format, bring them to a model's genes, and say what became of each sample.

    Genes that were not measured are left out and recorded, never filled with zeros: a model masks them.
    Beside FILE go FILE's name with .samples.csv (reads, genes with reads, twins, kept or why not) and with
    .genes.csv (which genes were measured). Files that are there already are replaced.
    """
    start = time.monotonic()
    if model is not None and genes is not None:
        raise ConfigError("--model and --genes both say which genes to keep; give one of them")
    if gene_table is not None and model is None and genes is None:
        raise ConfigError(
            "--gene-table brings genes to other names; say which: --model MODEL or --genes LIST"
        )
    beside = _checked(output, [path for path in (counts, model, genes, gene_table) if path is not None])
    from pydgd import data
    from pydgd.cli.counts import open_rows
    from pydgd.cli.gene_names import named_as

    wanted = _wanted(model, genes)
    with (
        open_rows(terminal, counts, Reading.take(reading), genes=wanted, empty_samples="keep") as given,
        named_as(terminal, given, wanted or (), gene_table) as named,
    ):
        found = data.preprocess(
            named.read(0, named.n_obs),
            wanted,
            min_reads=min_reads,
            min_genes=min_genes,
            drop_duplicates=drop_duplicates,
            min_shared=min_shared,
        )
    terminal.say(
        f"kept {found.counts.n_obs:,} of {len(found.samples):,} samples and {found.counts.n_vars:,} of "
        f"{len(found.genes):,} wanted genes; {found.n_dropped_genes:,} genes of the data are not wanted"
    )
    _write(terminal, found, output, beside, since=start)


def _checked(output: Path, inputs: list[Path]) -> dict[str, Path]:
    """The tables beside the output, once all of them can be written."""
    ending = check_output(output, _FORMATS, inputs=inputs)
    stem = output.with_name(output.name[: -len(ending)])
    beside = {what: stem.with_name(f"{stem.name}.{what}.csv") for what in ("samples", "genes")}
    for path in beside.values():
        check_output(path, TABLES, inputs=inputs)
    return beside


def _write(
    terminal: Terminal, found: "Preprocessed", output: Path, beside: dict[str, Path], *, since: float
) -> None:
    from pydgd.cli.tables import write_table
    from pydgd.data.h5ad_writer import write_h5ad

    news = Announcement(output)
    if output.name.lower().endswith(".h5ad"):
        write_h5ad(found.counts, output, compression="gzip")
    else:
        write_table(found.counts.to_df().rename_axis("sample").reset_index(), output)
    news.say(terminal, since=since)
    for what, table in (("samples", found.samples), ("genes", found.genes.reset_index())):
        news = Announcement(beside[what])
        write_table(table, beside[what])
        news.say(terminal)


def _wanted(model: Path | None, genes: Path | None) -> list[str] | None:
    """Genes of the model or of the list."""
    if model is not None:
        from pydgd import DGD

        return list(DGD.load(model).genes)
    if genes is None:
        return None
    try:
        lines = [line.strip() for line in genes.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"{genes}: no list of genes can be read from it ({error}); give a text file"
        ) from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise FileFormatError(f"{genes}: no gene in this list; write one per line")
    return names
