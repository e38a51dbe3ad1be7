# SPDX-License-Identifier: BSD-3-Clause
"""Checked counts that need not fit in memory: labels are there at once, rows when they are asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from pydgd.data.blocks import LazyRows
from pydgd.data.counts import ARE_READS, Parts, as_counts, pick_layer
from pydgd.data.selection import which_samples


@dataclass(frozen=True, eq=False)
class CountRows:
    """Counts, all of which were checked, in memory or on disk.

    Attributes:
        matrix: Samples × genes.
        obs: Sample names (index) and labels.
        var: Gene names (index) and labels.
    """

    matrix: LazyRows
    obs: pd.DataFrame
    var: pd.DataFrame

    @classmethod
    def checked(cls, parts: Parts, *, round_counts: bool = False) -> "CountRows":
        """Read everything once, slab by slab, so that bad counts are told before hours of work.

        Args:
            parts: Counts and labels.
            round_counts: As in `as_counts`.

        Raises:
            CountsError: If the values are not counts.
            NamesError: If names are missing, empty or repeated.
        """
        return cls(LazyRows.of(parts.validated(round_counts=round_counts)), parts.obs, parts.var)

    @property
    def n_obs(self) -> int:
        """Number of samples."""
        return len(self.obs)

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return len(self.var)

    @property
    def labels(self) -> AnnData:
        """Names and labels without counts."""
        return AnnData(obs=self.obs, var=self.var)

    def read(self, first: int, last: int) -> AnnData:
        """The samples from number `first` up to, not including, `last`.

        Args:
            first: From 0.
            last: At most `n_obs`.

        Raises:
            TooLargeError: If these are all, and more than memory holds.
        """
        rows = slice(first, last)
        if last - first == self.n_obs:
            self.matrix.check_memory()
        return AnnData(self.matrix[rows], obs=self.obs.iloc[rows], var=self.var)

    def where(self, expression: str | Iterable[str]) -> "CountRows":
        """The samples that meet every condition.

        Args:
            expression: As in `select_samples`, whose errors these are.
        """
        return self.take(which_samples(self.obs, expression))

    def take(self, rows: NDArray[np.intp]) -> "CountRows":
        """Some of the samples.

        Args:
            rows: Their numbers, rising.
        """
        return CountRows(self.matrix.take(rows), self.obs.iloc[rows], self.var)


def count_rows(
    data: object, *, sample_names: Iterable[str] | None = None, genes: Iterable[str] | None = None
) -> CountRows:
    """Counts to be read a few samples at a time.

    Args:
        data: A backed AnnData (``anndata.read_h5ad(path, backed="r")``), whose counts stay on the disk if
            they are dense or CSR and it is not a view; or what `as_counts` takes.
        sample_names: Names of the rows of an array.
        genes: Names of the columns of an array.

    Raises:
        PyDGDError: As `as_counts` does.

    Example:
        >>> import numpy as np
        >>> counts = count_rows(np.array([[3, 0], [1, 2]]), sample_names=["S1", "S2"], genes=["TP53", "MYC"])
        >>> counts.read(1, 2).to_df()
            TP53  MYC
        S2     1    2
    """
    if sample_names is None and genes is None:
        return _rows(data)
    return _in_memory(as_counts(data, sample_names=sample_names, genes=genes))


@singledispatch
def _rows(data: object) -> CountRows:
    return _in_memory(as_counts(data))


@_rows.register
def _(data: CountRows) -> CountRows:
    return data


@_rows.register
def _(data: AnnData) -> CountRows:
    # anndata takes no part of a part of a file; CSC has no rows to read.
    on_disk = data.isbacked and not data.is_view and pick_layer(list(data.layers), None) == "X"
    if not on_disk or getattr(data.X, "format", "csr") != "csr":
        return _in_memory(as_counts(data))
    known = bool(data.uns.get(ARE_READS, False))
    return CountRows.checked(Parts(LazyRows.of(data.X), data.obs.copy(), data.var.copy(), are_reads=known))


def _in_memory(adata: AnnData) -> CountRows:
    return CountRows(LazyRows.of(adata.X), adata.obs, adata.var)
