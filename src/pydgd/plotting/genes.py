# SPDX-License-Identifier: BSD-3-Clause
"""One sample's genes out of a table of differential expression, and which of them changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pydgd.plotting.axes import too_many_for_vectors
from pydgd.plotting.names import place_names
from pydgd.plotting.palette import DOWN, NEITHER, UP
from pydgd.plotting.text import plain
from pydgd.stats import call_directions


@dataclass(frozen=True, eq=False)
class Calls:
    """Which genes count as up or down in the sample.

    Attributes:
        up: True where padj and log2FoldChange pass and the change is upwards; one value per gene.
        down: The same downwards.
    """

    up: NDArray[np.bool_]
    down: NDArray[np.bool_]

    @classmethod
    def of(cls, genes: pd.DataFrame, *, padj: float, log2fc: float) -> "Calls":
        """Genes below `padj` that changed by at least `log2fc`.

        Args:
            genes: Rows of one sample with padj and log2FoldChange.
            padj: Adjusted p-value that a called gene stays below.
            log2fc: Smallest absolute log2 fold change, >= 0.

        Raises:
            ConfigError: If a threshold is out of range.
        """
        change, adjusted_p = (genes[name].to_numpy(dtype=float) for name in ("log2FoldChange", "padj"))
        direction = call_directions(change, adjusted_p, padj=padj, log2fc=log2fc)
        return cls(up=direction > 0, down=direction < 0)


def genes_of_sample(table: pd.DataFrame, sample: str | None, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of one sample in which all columns have a value.

    Args:
        table: What `pydgd.differential_expression` returns.
        sample: Its name; None if the table has only one.
        columns: Columns that must be there and not missing.

    Returns:
        The sample's rows with `gene` and `columns`, at least one.

    Raises:
        ValueError: If a column or the sample is not there, the sample is not said, or no row is left.

    Example:
        >>> table = pd.DataFrame({"sample": "T1", "gene": ["TP53", "MYC"], "pvalue": [0.5, None]})
        >>> genes_of_sample(table, None, ["pvalue"])["gene"].tolist()
        ['TP53']
    """
    missing = [name for name in ("sample", "gene", *columns) if name not in table.columns]
    if missing:
        raise ValueError(
            f"table lacks the columns {', '.join(missing)}; pass what pydgd.differential_expression returns"
        )
    rows = table[table["sample"] == _one_sample(table["sample"], sample)]
    rows = rows.dropna(subset=list(columns))
    if rows.empty:
        raise ValueError(
            f"nothing to plot: no gene of sample {sample!r} has a value in {', '.join(columns)}; "
            "untested_reason says why a gene has none"
        )
    return rows


def _one_sample(names: pd.Series, sample: str | None) -> str:
    samples = [str(name) for name in names.unique()]
    if not samples:
        raise ValueError("nothing to plot: the table is empty")
    shown = ", ".join(map(repr, samples[:5])) + (f", … ({len(samples)} in all)" if len(samples) > 5 else "")
    if sample is None and len(samples) > 1:
        raise ValueError(f"the table has several samples: {shown}; say which with sample=...")
    if sample is not None and sample not in samples:
        raise ValueError(f"no sample {sample!r} in the table; there is {shown}")
    return samples[0] if sample is None else sample


def name_surest(ax: Axes, genes: pd.DataFrame, calls: Calls, places: NDArray[np.float64], n_top: int) -> None:
    """Write the names of the surest called genes beside their points. Call it last.

    Args:
        ax: Where to write.
        genes: Rows of one sample with gene, log2FoldChange and log_pvalue.
        calls: Which of them are up or down.
        places: Where they are drawn, (n_genes, 2).
        n_top: How many names at most.
    """
    top = _surest(genes, calls, n_top)
    place_names(ax, places[top], genes["gene"].astype(str).to_numpy()[top].tolist(), others=places)


def _surest(genes: pd.DataFrame, calls: Calls, n_top: int) -> NDArray[np.int_]:
    """Places of the called genes with the smallest p, half of them up where there are enough."""
    order = np.lexsort((-genes["log2FoldChange"].abs().to_numpy(), genes["log_pvalue"].to_numpy()))
    up, down = order[calls.up[order]], order[calls.down[order]]
    # A gene that is down can lose only what it had, so by p alone the names would all be on the right.
    n_top = max(n_top, 0)
    n_down = min(len(down), max(n_top // 2, n_top - len(up)))
    return np.concatenate([up[: n_top - n_down], down[:n_down]])


def title_of(genes: pd.DataFrame) -> str:
    """The sample's name, safe from matplotlib's mathematics.

    Args:
        genes: Rows of one sample.
    """
    return plain(genes["sample"].iloc[0])


def scatter_calls(ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], calls: Calls) -> None:
    """Draw unchanged genes as grey discs, then those down and up as triangles that point there.

    The legend has their numbers.

    Args:
        ax: Where to draw.
        x: Horizontal position of each gene.
        y: Vertical position of each gene.
        calls: Which are up or down.
    """
    unchanged = ~(calls.up | calls.down)
    for chosen, name, colour, marker, size in (
        (unchanged, "unchanged", NEITHER, "o", 8),
        (calls.down, "down", DOWN, "v", 18),
        (calls.up, "up", UP, "^", 18),
    ):
        ax.scatter(
            x[chosen],
            y[chosen],
            s=size,
            c=colour,
            marker=marker,
            alpha=0.5 if name == "unchanged" else 0.8,
            linewidths=0,
            label=f"{name} ({chosen.sum():,})",
            rasterized=too_many_for_vectors(len(x)),
        )
