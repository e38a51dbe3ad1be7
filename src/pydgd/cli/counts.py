# SPDX-License-Identifier: BSD-3-Clause
"""Reading counts for a command, and saying what was read. Heavy: commands import it when they run."""

from pathlib import Path

from anndata import AnnData

from pydgd.cli.terminal import Terminal
from pydgd.data import read_counts, select_samples


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
    selected = f" where {' and '.join(conditions)}" if conditions else ""
    terminal.say(f"read {adata.n_obs:,} samples x {adata.n_vars:,} genes from {path}{selected}")
    return adata
