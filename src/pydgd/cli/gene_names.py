# SPDX-License-Identifier: BSD-3-Clause
"""Counts under a model's gene names, for commands. Heavy: commands import it when they run."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydgd.cli.counts import open_rows
from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal
from pydgd.data import CountRows, GeneTable
from pydgd.data.gene_mapping import map_rows


@contextmanager
def open_named(
    terminal: Terminal, path: Path, reading: Reading, *, genes: Iterable[str], gene_table: Path | None
) -> Iterator[CountRows]:
    """Open counts for a model, under its names of genes if the user has given a table of names.

    Args:
        terminal: Where to say what was read, matched and lost.
        path: A file, open until the end of the block, a folder, or a pattern.
        reading: What the user said about them.
        genes: Of the model.
        gene_table: What `GeneTable.read` reads, or None to leave the names as they are.

    Yields:
        The samples that were asked for, checked.

    Raises:
        PyDGDError: As `open_rows` and `named_as` do.
    """
    with (
        open_rows(terminal, path, reading, genes=genes) as given,
        named_as(terminal, given, genes, gene_table) as named,
    ):
        yield named


@contextmanager
def named_as(
    terminal: Terminal, counts: CountRows, genes: Iterable[str], gene_table: Path | None
) -> Iterator[CountRows]:
    """Give counts the names of a model's genes, if the user has given a table of names.

    Args:
        terminal: Where to say what was matched and lost.
        counts: As they were read.
        genes: Of the model.
        gene_table: What `GeneTable.read` reads, or None to leave the names as they are.

    Yields:
        The counts under the model's names; they are renamed as they are read.

    Raises:
        PyDGDError: As `GeneTable.read` and `map_rows` do.
    """
    if gene_table is None:
        yield counts
        return
    renamed, report = map_rows(counts, to=genes, table=GeneTable.read(gene_table))
    terminal.say(f"genes: {report}")
    yield renamed
