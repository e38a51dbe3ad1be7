# SPDX-License-Identifier: BSD-3-Clause
"""Counts of an h5ad file: the matrix and the labels, and nothing else of what it holds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pandas as pd
from anndata.io import read_elem, sparse_dataset

from pydgd.data.blocks import LazyRows, Matrix
from pydgd.data.counts import Parts, pick_layer
from pydgd.data.formats import damaged
from pydgd.errors import FileFormatError

_log = logging.getLogger(__name__)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what HDF5 says of a damaged file into an error that names it.

    Args:
        path: The file.

    Raises:
        FileFormatError: If it is truncated or damaged.
    """
    try:
        yield
    # anndata passes on what h5py met: OSError for a damaged chunk, KeyError for a missing part.
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError) as error:
        raise damaged(path, "h5ad", error) from error


def open_h5ad(path: Path) -> h5py.File:
    """Open a file for reading.

    Args:
        path: The file; the caller closes it.

    Raises:
        FileFormatError: If it is truncated or damaged.
    """
    with damage_named(path):
        return h5py.File(path)


def h5ad_parts(file: h5py.File, path: Path, layer: str | None) -> Parts:
    """Counts, `obs` and `var` of an open file; other layers, embeddings and graphs are left alone.

    Args:
        file: The open file.
        path: Its path.
        layer: As in `read_counts`.

    Returns:
        What the file says, not checked and not turned. Dense and CSR counts stay in the file and are read
        from it row by row; CSC counts have no rows there and are read.

    Raises:
        FileFormatError: If it is truncated, damaged, or HDF5 of another kind.
        ConfigError: If there is no such layer.
    """
    with damage_named(path):
        missing = [key for key in ("obs", "var") if not isinstance(file.get(key), h5py.Group)]
        if missing:
            raise FileFormatError(
                f"{path}: an HDF5 file, but not an AnnData: it lacks the group {' and '.join(missing)} "
                f"and holds {', '.join(map(repr, list(file)[:5])) or 'nothing'}; write it with "
                "AnnData.write_h5ad"
            )
        place = pick_layer(list(file.get("layers", ())), layer)
        key = "X" if place == "X" else f"layers/{place}"
        if key not in file:
            raise FileFormatError(
                f"{path}: the AnnData has no X; put raw counts there or in layers['counts']"
            )
        _log.info("%s: counts from %s", path, key)
        return Parts(_rows_of(file[key]), _labels(file["obs"]), _labels(file["var"]))


def _rows_of(stored: h5py.Dataset | h5py.Group) -> Matrix:
    """What of a dataset or group can be read by rows stays where it is."""
    if isinstance(stored, h5py.Dataset) and stored.ndim == 2:
        return LazyRows.of(stored)
    if stored.attrs.get("encoding-type") == "csr_matrix":
        return LazyRows.of(sparse_dataset(stored))
    whole: Matrix = read_elem(stored)
    return whole


def _labels(group: h5py.Group) -> pd.DataFrame:
    labels: pd.DataFrame = read_elem(group)
    labels.index = labels.index.astype(str)
    return labels
