# SPDX-License-Identifier: BSD-3-Clause
"""Reading counts for a command, and saying what was read. Heavy: commands import it when they run."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anndata import AnnData

from pydgd.cli.reading import Reading
from pydgd.cli.terminal import Terminal
from pydgd.data import CountRows, open_counts, read_counts, select_samples
from pydgd.words import plural


def read(terminal: Terminal, path: Path, reading: Reading, *, genes: Iterable[str] | None = None) -> AnnData:
    """Read counts and keep the samples that were asked for.

    Args:
        terminal: Where to say what was read.
        path: A file, a folder, or a pattern.
        reading: What the user said about them.
        genes: Genes of the model that they are for.

    Raises:
        PyDGDError: As `pydgd.data.read_counts` and `pydgd.data.select_samples` do.
    """
    adata = read_counts(path, genes=genes, **reading.arguments)
    conditions = reading.where or []
    if conditions:
        adata = select_samples(adata, conditions)
    _say(terminal, adata, path, conditions)
    return adata


@contextmanager
def open_rows(
    terminal: Terminal,
    path: Path,
    reading: Reading,
    *,
    genes: Iterable[str] | None = None,
    empty_samples: str = "refuse",
) -> Iterator[CountRows]:
    """Open counts that need not fit in memory; the arguments and errors are those of `read`.

    Args:
        terminal: Where to say what was read.
        path: A file, open until the end of the block, a folder, or a pattern.
        reading: What the user said about them.
        genes: Genes of the model that they are for.
        empty_samples: ``refuse`` samples without reads, or ``keep`` them.

    Yields:
        The samples that were asked for, checked.
    """
    with open_counts(path, genes=genes, empty_samples=empty_samples, **reading.arguments) as counts:
        conditions = reading.where or []
        chosen = counts.where(conditions) if conditions else counts
        _say(terminal, chosen, path, conditions)
        yield chosen


def _say(terminal: Terminal, counts: AnnData | CountRows, path: Path, conditions: list[str]) -> None:
    selected = f" where {' and '.join(conditions)}" if conditions else ""
    size = f"{plural(counts.n_obs, 'sample')} x {plural(counts.n_vars, 'gene')}"
    terminal.say(f"read {size} from {path}{selected}")
