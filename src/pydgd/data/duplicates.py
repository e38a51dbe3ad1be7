# SPDX-License-Identifier: BSD-3-Clause
"""Genes that stand there more than once, added up."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from pydgd.data.blocks import LazyRows
from pydgd.data.counts import Parts

_log = logging.getLogger(__name__)


def with_genes_summed(parts: Parts) -> Parts:
    """Add up the reads of columns of one name; the labels are those of the first of them.

    Args:
        parts: Counts, not yet checked, dense, sparse or on disk.

    Returns:
        The same if no name is repeated, else a matrix of as many columns as there are names.

    Example:
        >>> obs, var = pd.DataFrame(index=["S1"]), pd.DataFrame(index=["MYC", "TP53", "MYC"])
        >>> with_genes_summed(Parts(np.array([[1, 2, 4]]), obs, var)).matrix
        array([[5, 2]])
    """
    names = parts.var.index
    if names.is_unique:
        return parts
    first = ~names.duplicated()
    places, _ = pd.factorize(names)
    _log.warning(
        "%d genes stand there more than once (first: %s); their reads are summed",
        names[names.duplicated()].nunique(),
        names[names.duplicated()][0],
    )
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    sums = sparse.csr_matrix(
        (np.ones(len(names), dtype=np.int64), (np.arange(len(names)), places)),
        shape=(len(names), int(first.sum())),
    )

    def summed(block: Any, _rows: Any) -> Any:  # noqa: ANN401  # array or CSR
        if hasattr(block, "toarray"):
            return sparse.csr_matrix(block @ sums.astype(_wide(block.dtype)))
        return np.add.reduceat(block[:, order], starts, axis=1, dtype=_wide(block.dtype))

    var = parts.var[first]
    lazy = LazyRows.of(parts.matrix).mapped(
        summed, n_columns=len(var), dtype=_wide(np.dtype(parts.matrix.dtype))
    )
    return replace(parts, matrix=lazy if isinstance(parts.matrix, LazyRows) else lazy[:], var=var)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A type that sums do not overflow."""
    return np.dtype(np.int64) if dtype.kind in "iu" else np.dtype(np.float64)
