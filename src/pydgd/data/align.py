# SPDX-License-Identifier: BSD-3-Clause
"""Counts brought to a model's genes, by name and in its order; genes that the data lack are marked."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from pydgd.data.blocks import by_rows, row_blocks
from pydgd.data.memory import check_memory
from pydgd.data.mismatch import mismatch_error
from pydgd.errors import ConfigError, NamesError
from pydgd.words import plural

_log = logging.getLogger(__name__)

# float32 holds every whole number up to here.
_EXACT_FLOAT32 = 2**24


@dataclass(frozen=True, eq=False)
class AlignedCounts:
    """Counts in a model's gene order.

    Attributes:
        counts: Samples × genes of the model, 0 where a gene was not measured; float32, or float64 where a
            count is beyond 2**24 = 16,777,216, the last number up to which float32 is exact.
        measured: Which genes of the model the data have. **A gene that is not measured is unknown, not 0.**
        sample_names: In the order of the data.
        genes: In the order of the model.
        n_dropped: How many genes of the data the model does not know.
    """

    counts: Float[np.ndarray, "samples genes"]
    measured: Bool[np.ndarray, " genes"]
    sample_names: tuple[str, ...]
    genes: tuple[str, ...]
    n_dropped: int

    @property
    def n_missing(self) -> int:
        """How many genes of the model the data lack."""
        return int(self.measured.size - self.measured.sum())

    def taken(self, rows: NDArray[np.intp]) -> "AlignedCounts":
        """Some of the samples.

        Args:
            rows: Their numbers.
        """
        names = tuple(self.sample_names[row] for row in rows)
        return replace(self, counts=self.counts[rows], sample_names=names)


@dataclass(frozen=True, eq=False)
class GeneMatch:
    """Where a model's genes stand in some data.

    Attributes:
        genes: Of the model.
        places: Number of each one's column in the data, -1 where the data lack it.
        n_dropped: How many genes of the data the model does not know.
    """

    genes: tuple[str, ...]
    places: NDArray[np.intp]
    n_dropped: int

    @property
    def measured(self) -> Bool[np.ndarray, " genes"]:
        """Which genes of the model the data have."""
        return np.asarray(self.places >= 0)

    def align(self, adata: AnnData) -> AlignedCounts:
        """The counts of some samples of these data in the model's order.

        Args:
            adata: Checked counts with the columns that were matched.

        Raises:
            TooLargeError: If memory does not hold them, which are dense whatever they were.
        """
        check_memory(
            adata.n_obs * len(self.genes) * np.dtype(np.float32).itemsize,
            f"holding counts of {plural(adata.n_obs, 'sample')} x {plural(len(self.genes), 'gene')}",
            "give fewer samples at a time",
        )
        return AlignedCounts(
            counts=_gather(adata, self.places[self.measured], self.measured),
            measured=self.measured,
            sample_names=tuple(adata.obs_names),
            genes=self.genes,
            n_dropped=self.n_dropped,
        )


def align_to_genes(adata: AnnData, genes: Iterable[str], *, min_shared: float = 0.5) -> AlignedCounts:
    """Bring counts to a list of genes, by name and never by position.

    Args:
        adata: Checked counts, as `as_counts` gives them.
        genes: The genes of the model, without repeats.
        min_shared: Share of `genes` that the data must have, above 0 and at most 1.

    Returns:
        Counts of the model's genes. Genes that are missing are logged as a warning.

    Raises:
        GeneMismatchError: If too few genes are shared; the message compares the kinds of ids and says what
            would match: ids without version, another column of `var`, the table turned round.
        NamesError: If `genes` is empty or has repeats.
        ConfigError: If `min_shared` is out of range.

    Example:
        >>> data = AnnData(np.array([[3, 0], [1, 2]]), var=pd.DataFrame(index=["MYC", "TP53"]))
        >>> align_to_genes(data, ["TP53", "MYC"]).counts
        array([[0., 3.],
               [2., 1.]], dtype=float32)
    """
    return match_genes(adata, genes, min_shared=min_shared).align(adata)


def match_genes(adata: AnnData, genes: Iterable[str], *, min_shared: float = 0.5) -> GeneMatch:
    """Find a list of genes in some data by name; arguments and errors are those of `align_to_genes`.

    Args:
        adata: Names suffice; it may be without counts.
        genes: The genes of the model, without repeats.
        min_shared: Share of `genes` that the data must have, above 0 and at most 1.

    Example:
        >>> match_genes(AnnData(var=pd.DataFrame(index=["MYC", "TP53"])), ["TP53", "MYC"]).places
        array([1, 0])
    """
    if not 0 < min_shared <= 1:
        raise ConfigError(f"min_shared is {min_shared}; give a share of the genes, above 0 and at most 1")
    wanted = pd.Index(list(genes))
    if not len(wanted) or not wanted.is_unique:
        raise NamesError(
            f"the model's genes must be unique and at least one, got {len(wanted)}; give each once"
        )
    places = adata.var_names.get_indexer(wanted)
    measured = places >= 0
    if measured.sum() < min_shared * len(wanted):
        raise mismatch_error(adata, wanted, min_shared)
    _warn_of_missing(wanted[~measured], len(wanted))
    return GeneMatch(tuple(wanted), places, adata.n_vars - int(measured.sum()))


def _gather(adata: AnnData, places: np.ndarray, measured: np.ndarray) -> Float[np.ndarray, "samples genes"]:
    """The columns at `places` where `measured`, zeros elsewhere."""
    counts = np.zeros((adata.n_obs, measured.size), dtype=np.float32)
    for rows, block in row_blocks(by_rows(adata.X)):
        chosen = block[:, places]
        if counts.dtype == np.float32 and chosen.max() > _EXACT_FLOAT32:
            counts = counts.astype(np.float64)
        counts[rows, measured] = chosen
    return counts


def _warn_of_missing(missing: pd.Index, n_genes: int) -> None:
    if len(missing):
        _log.warning(
            "the counts lack %d of the model's %d genes (first: %s); they are treated as unknown, not as 0",
            len(missing),
            n_genes,
            ", ".join(missing[:3]),
        )
