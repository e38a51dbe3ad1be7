# SPDX-License-Identifier: BSD-3-Clause
"""Reading counts for a command, and saying what was read. Heavy: commands import it when they run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anndata import AnnData

from pydgd.cli.terminal import Terminal
from pydgd.data import CountRows, open_counts, read_counts, select_samples
from pydgd.words import plural


def read(
    terminal: Terminal,
    path: Path,
    *,
    where: list[str] | None,
    orient: str,
    layer: str | None,
    round_counts: bool,
) -> AnnData:
    """Read counts and keep the samples that were asked for.

    Args:
        terminal: Where to say what was read.
        path: The file.
        where: Conditions on `obs`, all of which must hold.
        orient: ``auto``, ``samples`` or ``genes``.
        layer: Layer of an h5ad.
        round_counts: Round fractions.

    Raises:
        PyDGDError: As `pydgd.data.read_counts` and `pydgd.data.select_samples` do.
    """
    adata = read_counts(path, orient=orient, layer=layer, round_counts=round_counts)
    conditions = where or []
    if conditions:
        adata = select_samples(adata, conditions)
    _say(terminal, adata, path, conditions)
    return adata


@contextmanager
def open_rows(
    terminal: Terminal,
    path: Path,
    *,
    where: list[str] | None,
    orient: str,
    layer: str | None,
    round_counts: bool,
) -> Iterator[CountRows]:
    """Open counts that need not fit in memory; the arguments and errors are those of `read`.

    Args:
        terminal: Where to say what was read.
        path: The file, open until the end of the block.
        where: Conditions on `obs`, all of which must hold.
        orient: ``auto``, ``samples`` or ``genes``.
        layer: Layer of an h5ad.
        round_counts: Round fractions.

    Yields:
        The samples that were asked for, checked.
    """
    with open_counts(path, orient=orient, layer=layer, round_counts=round_counts) as counts:
        conditions = where or []
        chosen = counts.where(conditions) if conditions else counts
        _say(terminal, chosen, path, conditions)
        yield chosen


def _say(terminal: Terminal, counts: AnnData | CountRows, path: Path, conditions: list[str]) -> None:
    selected = f" where {' and '.join(conditions)}" if conditions else ""
    size = f"{plural(counts.n_obs, 'sample')} x {plural(counts.n_vars, 'gene')}"
    terminal.say(f"read {size} from {path}{selected}")
