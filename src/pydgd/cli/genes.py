# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd genes`: names and facts of genes from Ensembl's BioMart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli.outputs import TABLES, Announcement, check_output
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError, FileFormatError
from pydgd.files import atomic_write, check_writable


def genes(
    terminal: Terminal,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="TABLE",
            help="Table to write: *.csv, *.tsv (also .gz) or *.parquet.",
            show_default=False,
        ),
    ],
    *,
    gene_list: Annotated[
        Path | None,
        typer.Option("--list", metavar="FILE", help="Also write the Ensembl ids, one per line."),
    ] = None,
    species: Annotated[str, typer.Option("--species", metavar="human|mouse", help="Whose genes.")] = "human",
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            metavar="NAME",
            help="Attribute of BioMart to ask for; may be given several times. By default names of "
            "every kind, biotype and place.",
            show_default=False,
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="NAME=VALUE,…",
            help="Filter of BioMart in place of the default (biotype and transcript_biotype protein_coding); "
            "may be given several times, and all must hold.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Ask for all genes, without any filter.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="YAML",
            help="File with attributes (a list) and filters (name: values), as bulkdgd has them.",
            show_default=False,
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="A BioMart service, e.g. of an archived release."),
    ] = None,
    **options: Any,  # noqa: ANN401  # of `DOWNLOAD_OPTIONS`; typer checks them
) -> None:
    """Fetch names and facts of genes from Ensembl's BioMart, as a table for --gene-table and as a list.

    An answer is kept: the same question is not asked twice, unless --refresh is given.
    """
    check_output(output, TABLES)
    if gene_list is not None:
        check_writable(gene_list)
    from pydgd.cli.download_options import downloads
    from pydgd.cli.tables import write_table
    from pydgd.data.biomart import ENSEMBL, GENE_ID, fetch_genes

    query = _query(species, attribute, filters, config, everything=everything)
    table = fetch_genes(query, server=server or ENSEMBL, downloads=downloads("biomart", **options))
    ids = sorted(set(table[GENE_ID]) - {""})
    if not ids:
        raise ConfigError("BioMart has no gene that passes these filters; loosen them")
    news = Announcement(output)
    write_table(table, output)
    news.say(terminal, f"{len(ids):,} genes, {len(table):,} rows")
    if gene_list is not None:
        news = Announcement(gene_list)
        with atomic_write(gene_list) as temporary:
            temporary.write_text("\n".join(ids) + "\n")
        news.say(terminal, f"{len(ids):,} genes")


def _query(
    species: str,
    attributes: list[str] | None,
    filters: list[str] | None,
    config: Path | None,
    *,
    everything: bool,
) -> Any:  # noqa: ANN401  # a heavy class
    from pydgd.data.biomart import ATTRIBUTES, DATASETS, FILTERS, GeneQuery

    if species not in DATASETS:
        raise ConfigError(f"unknown species {species!r}; give one of {', '.join(DATASETS)}")
    if everything and filters:
        raise ConfigError("--all and --filter exclude each other; give one of them")
    asked = {} if config is None else _config(config)
    conditions = dict(map(_condition, filters)) if filters else asked.get("filters", FILTERS)
    return GeneQuery(
        asked.get("dataset", DATASETS[species]),
        attributes or asked.get("attributes", ATTRIBUTES[species]),
        {} if everything else conditions,
    )


def _condition(text: str) -> tuple[str, list[str]]:
    name, equals, values = text.partition("=")
    if not (name.strip() and equals and values.strip()):
        raise ConfigError(f"cannot read the filter {text!r}; write NAME=VALUE or NAME=VALUE,VALUE")
    return name.strip(), [value.strip() for value in values.split(",")]


def _config(path: Path) -> Mapping[str, Any]:
    """What a file asks for; other keys than ours and misshapen values are refused."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FileFormatError(
            f"{path}: cannot be read as YAML ({' '.join(str(error).split())[:200]})"
        ) from error
    found = found if isinstance(found, dict) else {"": found}
    unknown = sorted(set(map(str, found)) - {"attributes", "filters", "dataset"})
    if unknown:
        raise ConfigError(f"{path} has {unknown[0]!r}; give attributes, filters and dataset")
    filters, attributes = found.get("filters") or {}, found.get("attributes") or []
    if not isinstance(filters, dict) or not isinstance(attributes, list):
        raise ConfigError(f"{path}: attributes must be a list and filters a mapping of names to values")
    asked: dict[str, Any] = {name: value for name, value in found.items() if value}
    if filters:
        asked["filters"] = {
            str(name): [str(value) for value in (values if isinstance(values, list) else [values])]
            for name, values in filters.items()
        }
    return asked
