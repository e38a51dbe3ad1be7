# SPDX-License-Identifier: BSD-3-Clause
"""An AnnData on disk that grows by samples, so that memory holds only some of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import sparse_dataset, write_elem
from scipy import sparse

from pydgd.data.blocks import AnyMatrix
from pydgd.data.h5ad_writer import create_h5
from pydgd.errors import ConfigError
from pydgd.files import atomic_folder

ZARR_MARKS = (".zgroup", "zarr.json")
"""A folder with one of these is a zarr store."""

# Numbers in a tile of an HDF5 dataset, 0.5 MiB; a tile has whole rows, so that reading rows reads only them.
_TILE_ELEMENTS = 2**17


def check_zarr() -> None:
    """Refuse to write zarr where it is not installed.

    Raises:
        ConfigError: If it is not.
    """
    if find_spec("zarr") is None:
        raise ConfigError(
            "writing *.zarr needs the package zarr; install it (pip install zarr) or write *.h5ad"
        )


def write_parts(parts: Iterable[AnnData], path: str | PathLike[str]) -> None:
    """Write one AnnData that comes in parts; whatever stood at `path` is replaced once all are written.

    Args:
        parts: Consecutive samples, at least one part, all with the same genes, layers and `obsm`. X, layers
            and `obsm` are appended; `obs` is put together at the end; `var` and `uns` are those of the first.
        path: Ends in ``.h5ad``, or in ``.zarr`` for a zarr folder.

    Raises:
        OutputError: If it cannot be written, for instance because the disk is full.
        ConfigError: If it shall be zarr, which is not installed.

    Example:
        >>> import tempfile, anndata
        >>> whole = AnnData(np.arange(6.0).reshape(3, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_parts((whole[rows].copy() for rows in ([0, 1], [2])), f"{folder}/counts.h5ad")
        ...     anndata.read_h5ad(f"{folder}/counts.h5ad").X[2]
        array([4., 5.])
    """
    create = _create_zarr if Path(path).suffix.lower() == ".zarr" else create_h5
    with create(path) as (file, raise_error):
        obs = []
        for number, part in enumerate(parts):
            if number == 0:
                _write_frame(file, part)
            _append(file, part, first=number == 0)
            obs.append(part.obs)
            # A disk that is full now is told now, not when the last sample is done.
            raise_error()
        labels = AnnData(obs=pd.concat(obs))
        labels.strings_to_categoricals()
        write_elem(file, "obs", labels.obs)


@contextmanager
def _create_zarr(path: str | PathLike[str]) -> Iterator[tuple[Any, Any]]:
    check_zarr()
    import zarr

    # Format 2, which all versions of zarr and anndata read.
    options: dict[str, Any] = {} if zarr.__version__.startswith("2.") else {"zarr_format": 2}
    with atomic_folder(path, marks=ZARR_MARKS) as temporary:
        # zarr raises its errors itself.
        yield zarr.open_group(str(temporary), mode="w", **options), lambda: None


def _write_frame(file: Any, part: AnnData) -> None:  # noqa: ANN401  # a group of h5py or zarr
    """What an AnnData has besides its samples."""
    frame = AnnData(obs=part.obs.iloc[:0], var=part.var.copy(), uns=dict(part.uns))
    frame.strings_to_categoricals()
    write_elem(file, "/", frame)


def _append(file: Any, part: AnnData, *, first: bool) -> None:  # noqa: ANN401  # a group of h5py or zarr
    matrices = {"X": part.X}
    matrices |= {f"layers/{name}": matrix for name, matrix in part.layers.items()}
    matrices |= {f"obsm/{name}": np.asarray(matrix) for name, matrix in part.obsm.items()}
    for key, matrix in matrices.items():
        if first:
            _begin(file, key, matrix)
        elif sparse.issparse(matrix):
            sparse_dataset(file[key]).append(matrix)
        else:
            stored = file[key]
            n_rows = stored.shape[0]
            stored.resize((n_rows + len(matrix), *stored.shape[1:]))
            stored[n_rows:] = matrix


def _begin(file: Any, key: str, matrix: AnyMatrix) -> None:  # noqa: ANN401  # a group of h5py or zarr
    options: dict[str, Any] = {}
    given: Any = matrix
    if sparse.issparse(matrix):
        given = given.copy()
        # 32 bits count only the first 2,147,483,647 stored numbers.
        given.indptr = given.indptr.astype(np.int64)
    elif isinstance(file, h5py.Group):
        n_rows = min(len(given), max(8, _TILE_ELEMENTS // given.shape[1]))
        options = {"chunks": (n_rows, given.shape[1]), "maxshape": (None, given.shape[1])}
    else:
        options = {"chunks": given.shape}
    write_elem(file, key, given, dataset_kwargs=options)
