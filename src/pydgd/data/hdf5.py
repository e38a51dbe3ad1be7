# SPDX-License-Identifier: BSD-3-Clause
"""Counts of an h5ad file: the matrix and the labels, and nothing else of what it holds."""

import logging
from pathlib import Path

import h5py
import pandas as pd
from anndata.io import read_elem

from pydgd.data.counts import Parts, pick_layer
from pydgd.data.formats import damaged
from pydgd.errors import FileFormatError

_log = logging.getLogger(__name__)


def read_h5ad_parts(path: Path, layer: str | None) -> Parts:
    """Read counts, `obs` and `var`; other layers, embeddings and graphs stay on the disk.

    Args:
        path: The file.
        layer: As in `read_counts`.

    Returns:
        What the file says, not checked and not turned.

    Raises:
        FileFormatError: If it is truncated, damaged, or HDF5 of another kind.
        ConfigError: If there is no such layer.
    """
    try:
        with h5py.File(path) as file:
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
            return Parts(read_elem(file[key]), _labels(file["obs"]), _labels(file["var"]))
    # anndata passes on what h5py met: OSError for a damaged chunk, KeyError for a missing part.
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError) as error:
        raise damaged(path, "h5ad", error) from error


def _labels(group: h5py.Group) -> pd.DataFrame:
    labels: pd.DataFrame = read_elem(group)
    labels.index = labels.index.astype(str)
    return labels
