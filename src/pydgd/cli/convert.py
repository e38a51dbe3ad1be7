# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd convert`: models and tables of bulkdgd, in and out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli.common import Choice
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError

_MODEL, _CSV, _ANNDATA = (".dgd",), (".csv", ".csv.gz"), (".h5ad",)
_IMPORT, _TABLES = "Models of bulkdgd", "Tables of bulkdgd"


def _file(option: str, says: str) -> Choice:
    shown = typer.Option(option, metavar="FILE", help=says, show_default=False, rich_help_panel=_IMPORT)
    return Choice(Annotated[Path | None, shown], default=None)


CONVERT_OPTIONS = {
    "decoder": _file("--decoder", "Its dec.pth, if the YAML does not name it."),
    "mixture": _file("--mixture", "Its gmm.pth or latent.pth, if the YAML does not name it."),
    "genes": _file("--genes", "Its genes.txt, if the YAML does not name it."),
    "representations": _file(
        "--representations", "Its representations_train.csv; flags measure distances to them."
    ),
    "label_key": Choice(
        Annotated[
            str | None,
            typer.Option(
                "--label-key",
                metavar="COLUMN",
                help="Column of --representations that describes the samples; by default tissue.",
                show_default=False,
                rich_help_panel=_IMPORT,
            ),
        ],
        default=None,
    ),
    "release": Choice(
        Annotated[
            int | None,
            typer.Option(
                "--release",
                min=1,
                max=2,
                help="Release of bulkdgd; by default what the YAML tells, and 2 for writing.",
                show_default=False,
                rich_help_panel=_IMPORT,
            ),
        ],
        default=None,
    ),
    "table": Choice(
        Annotated[
            str,
            typer.Option(
                "--table",
                metavar="samples|representations|means|r-values",
                help="What of an h5ad becomes a CSV.",
                rich_help_panel=_TABLES,
            ),
        ],
        default="samples",
    ),
}


def convert(
    terminal: Terminal,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="YAML or folder of a model of bulkdgd, a *.dgd, a CSV of bulkdgd, or an *.h5ad.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="In the same order: *.dgd, a folder, *.h5ad, or *.csv (also .gz).",
            show_default=False,
        ),
    ],
    **options: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Bring models and tables of bulkdgd here, or take ours there.

    A model of bulkdgd 1 or 2 (YAML, dec.pth, gmm.pth, genes.txt) becomes a *.dgd that gives the same means, r
    and densities; a *.dgd that bulkdgd can represent becomes such files in a folder. Its CSVs of samples,
    representations, means and r-values become h5ad, and back.
    """
    from pydgd.data.named import is_model_name

    table = options.pop("table")
    if _ends(source, _MODEL) or is_model_name(source):
        _export_model(terminal, source, output, options)
    elif _ends(source, _CSV):
        _refuse(options, source, "a table")
        _import_table(terminal, source, output)
    elif _ends(source, _ANNDATA):
        _refuse(options, source, "a table")
        _export_table(terminal, source, output, table)
    else:
        _import_model(terminal, source, output, options)


def _ends(path: Path, endings: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(endings)


def _refuse(options: dict[str, Any], source: Path, what: str, *, but: frozenset[str] = frozenset()) -> None:
    unused = [name for name, value in options.items() if name not in but and value is not None]
    if unused:
        raise ConfigError(f"{', '.join(unused)}: these are for models of bulkdgd, and {source} is {what}")


def _import_model(terminal: Terminal, source: Path, output: Path, options: dict[str, Any]) -> None:
    given = [value for value in (source, *options.values()) if isinstance(value, Path)]
    check_output(output, _MODEL, inputs=[path for path in given if path.is_file()])
    from pydgd import DGD

    news = Announcement(output)
    model = DGD.from_bulkdgd(source, **options)
    model.save(output)
    news.say(terminal, f"{len(model.genes):,} genes")


def _export_model(terminal: Terminal, source: Path, output: Path, options: dict[str, Any]) -> None:
    _refuse(options, source, "a model of PyDGD", but=frozenset({"release"}))
    if _ends(output, (*_MODEL, *_CSV, *_ANNDATA, ".yaml", ".pth")) or output.is_file():
        raise ConfigError(f"cannot write {output}: a model becomes several files, so give a folder")
    from pydgd import DGD

    for path in DGD.load(source).to_bulkdgd(output, release=options["release"] or 2):
        terminal.say(f"wrote {path}")


def _import_table(terminal: Terminal, source: Path, output: Path) -> None:
    check_output(output, _ANNDATA, inputs=[source])
    from pydgd.checkpoints import read_bulkdgd_table
    from pydgd.data.h5ad_writer import write_h5ad

    news = Announcement(output)
    table = read_bulkdgd_table(source)
    write_h5ad(table, output)
    news.say(terminal, f"{table.n_obs:,} samples")


def _export_table(terminal: Terminal, source: Path, output: Path, table: str) -> None:
    check_output(output, _CSV, inputs=[source])
    import anndata

    from pydgd.checkpoints import write_bulkdgd_table
    from pydgd.data.formats import detect_format
    from pydgd.data.hdf5 import damage_named, open_h5ad

    news = Announcement(output)
    detect_format(source)
    open_h5ad(source).close()
    with damage_named(source):
        adata = anndata.read_h5ad(source)
    write_bulkdgd_table(adata, output, kind=table)
    news.say(terminal, f"{table} of {adata.n_obs:,} samples")
