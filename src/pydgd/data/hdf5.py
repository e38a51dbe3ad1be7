# SPDX-License-Identifier: BSD-3-Clause
"""Counts of an h5ad file or a zarr store: the matrix and the labels, and nothing else of what it holds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

# Private, but the only name of what anndata says of parts whose kind it does not know.
from anndata._io.specs.registry import IORegistryError
from anndata.io import read_elem, sparse_dataset
from numpy.typing import NDArray
from scipy import sparse

from pydgd.data.blocks import LazyRows, Matrix
from pydgd.data.claims import check_claims
from pydgd.data.counts import Parts, pick_layer
from pydgd.data.formats import damaged
from pydgd.data.memory import check_memory
from pydgd.errors import ConfigError, FileFormatError, PyDGDError
from pydgd.probe import probe

_log = logging.getLogger(__name__)

_OF_PARTS = (ValueError, TypeError, AttributeError, IndexError, OverflowError, SystemError, IORegistryError)


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
    except PyDGDError:
        raise
    # anndata passes on what h5py, zarr and pandas met: OSError for a damaged chunk, KeyError for a lost part,
    # the others for parts that do not fit together, SystemError for a damaged length.
    except (OSError, KeyError, RuntimeError, *_OF_PARTS) as error:
        raise damaged(path, "zarr" if path.is_dir() else "h5ad", error) from error
    # A damaged length asks for any amount.
    except MemoryError as error:
        raise FileFormatError(
            f"{path}: reading it takes more memory than there is ({str(error)[:100] or 'no size given'}); "
            "the file is damaged, or too large for this machine: copy it again, or read fewer samples"
        ) from error


def open_h5ad(path: Path) -> h5py.File:
    """Open a file for reading.

    Args:
        path: The file; the caller closes it.

    Raises:
        FileFormatError: If it is truncated or damaged, or claims far more than it holds.
    """
    probe(path)
    with damage_named(path):
        file = h5py.File(path)
        try:
            check_claims(file, path)
        except BaseException:
            file.close()
            raise
        return file


def open_zarr(path: Path) -> Any:  # noqa: ANN401  # zarr has no types that all its versions share
    """Open a zarr store for reading.

    Args:
        path: A folder.

    Raises:
        ConfigError: If zarr is not installed.
        FileFormatError: If it is damaged.
    """
    if find_spec("zarr") is None:
        raise ConfigError(f"{path}: reading zarr needs the package zarr; install it (pip install zarr)")
    import zarr

    probe(path)
    with damage_named(path):
        return zarr.open_group(str(path), mode="r")


def anndata_parts(file: Any, path: Path, layer: str | None) -> Parts:  # noqa: ANN401  # a group of h5py or zarr
    """Counts, `obs` and `var` of an open file; other layers, embeddings and graphs are left alone.

    Args:
        file: The open file or store.
        path: Its path.
        layer: As in `read_counts`.

    Returns:
        What the file says, not checked and not turned. Dense and CSR counts stay in the file and are read
        from it row by row; CSC counts have no rows there and are read.

    Raises:
        FileFormatError: If it is truncated, damaged, or of another kind.
        ConfigError: If there is no such layer.
    """
    with damage_named(path):
        missing = [key for key in ("obs", "var") if key not in file or hasattr(file[key], "dtype")]
        if missing:
            what, repair = ("a zarr store", "write_zarr") if path.is_dir() else ("an HDF5 file", "write_h5ad")
            raise FileFormatError(
                f"{path}: {what}, but not an AnnData: it lacks the group {' and '.join(missing)} "
                f"and holds {', '.join(map(repr, list(file)[:5])) or 'nothing'}; write it with "
                f"AnnData.{repair}"
            )
        has_layers = "layers" in file and not hasattr(file["layers"], "dtype")
        place = pick_layer(list(file["layers"]) if has_layers else [], layer)
        key = "X" if place == "X" else f"layers/{place}"
        if key not in file:
            raise FileFormatError(
                f"{path}: the AnnData has no X; put raw counts there or in layers['counts']"
            )
        if path.is_dir():
            check_claims(file, path, ["obs", "var", key])
        _log.info("%s: counts from %s", path, key)
        return Parts(_rows_of(file[key], path), _labels(file["obs"]), _labels(file["var"]))


def _rows_of(stored: Any, path: Path) -> Matrix:  # noqa: ANN401  # a dataset or group of h5py or zarr
    """What of a dataset or group can be read by rows stays where it is."""
    if getattr(stored, "ndim", 0) == 2:
        rows = _named(stored, stored if isinstance(stored, h5py.Dataset) else _ZarrRows(stored, path), path)
        return replace(rows, row_bytes=float(rows.shape[1] * rows.dtype.itemsize))
    if stored.attrs.get("encoding-type") == "csr_matrix":
        rows = _named(stored, _CsrRows(stored), path)
        return replace(rows, row_bytes=_sparse_bytes(stored) / max(1, rows.shape[0]))
    # By columns: turned into rows in memory, where both are for a while.
    check_memory(
        2 * _sparse_bytes(stored),
        f"{path}: reading {stored.name}",
        "write it by rows (CSR) or with fewer samples",
    )
    whole: Any = read_elem(stored)
    if not (isinstance(whole, np.ndarray) or sparse.issparse(whole)):
        raise FileFormatError(
            f"{path}: {stored.name} is no matrix but a {type(whole).__name__}; put raw counts there"
        )
    sound: Matrix = _sound(whole)
    return sound


def _named(stored: Any, matrix: Any, path: Path) -> LazyRows:  # noqa: ANN401  # whatever has rows to slice
    """The matrix's rows, whose damage is told whenever they are read."""
    rows = LazyRows.of(matrix)

    def fetch(places: slice | NDArray[np.intp]) -> Any:  # noqa: ANN401  # array or CSR
        if not getattr(stored, "id", True):  # zarr has none, and is never closed
            raise ConfigError(f"{path} is closed; read its counts within the block of open_counts")
        with damage_named(path):
            return rows.fetch(places)

    return replace(rows, fetch=fetch, source=str(path))


def _sparse_bytes(stored: Any) -> int:  # noqa: ANN401  # a group of h5py or zarr
    """Memory of the numbers and places that a group holds; 0 for what is no sparse matrix."""
    parts = [
        stored[name] for name in ("data", "indices", "indptr") if hasattr(stored, "keys") and name in stored
    ]
    return sum(prod(part.shape) * part.dtype.itemsize for part in parts if hasattr(part, "dtype"))


class _CsrRows:
    """The rows of a CSR group, each part checked before SciPy, which trusts its indices, works on it."""

    def __init__(self, stored: Any) -> None:  # noqa: ANN401  # a group of h5py or zarr
        self._stored = sparse_dataset(stored)
        self.shape, self.dtype = self._stored.shape, self._stored.dtype
        if len(self.shape) != 2:
            raise ValueError(f"the shape of a sparse matrix is two numbers, got {self.shape}")

    def __getitem__(self, rows: Any) -> Any:  # noqa: ANN401  # a slice or numbers; CSR
        return _sound(self._stored[rows])


def _sound(matrix: Any) -> Any:  # noqa: ANN401  # dense or sparse
    """The matrix itself; ValueError if sparse indices point outside of it."""
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)
        # SciPy looks at the pointers between the first and the last only where the last is above 0.
        if (np.diff(matrix.indptr) < 0).any():
            raise ValueError("index pointers of a sparse matrix must not fall")
    return matrix


class _ZarrRows:
    """A zarr array whose rows can be chosen by number as those of HDF5."""

    def __init__(self, stored: Any, path: Path) -> None:  # noqa: ANN401  # zarr has no types of its own
        self._stored, self.shape, self.dtype = stored, stored.shape, stored.dtype
        # zarr reads a file that is missing as zeros, and writes none for zeros.
        if missing := stored.nchunks - stored.nchunks_initialized:
            _log.warning(
                "%s: %d of the %d files of %s are missing and count as zeros; if this was copied, check "
                "that the copy is complete",
                path,
                missing,
                stored.nchunks,
                stored.name,
            )

    def __getitem__(self, rows: Any) -> Any:  # noqa: ANN401  # a slice or numbers; an array
        return self._stored[rows] if isinstance(rows, slice) else self._stored.oindex[rows, slice(None)]


def _labels(group: Any) -> pd.DataFrame:  # noqa: ANN401  # a group of h5py or zarr
    labels: pd.DataFrame = read_elem(group)
    labels.index = labels.index.astype(str)
    return labels
