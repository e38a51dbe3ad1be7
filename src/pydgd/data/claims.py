# SPDX-License-Identifier: BSD-3-Clause
"""What a file claims to hold, against what it does hold: nothing is allocated on its word alone."""

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import h5py

from pydgd.errors import FileFormatError

MOST_PACKING = 1_100
"""Bytes that one stored byte may claim: deflate, the usual packing, packs at most 1,032 to one."""

SLACK = 64 * 2**20
"""Bytes that may be claimed in any case; what was never written takes no room and is zeros."""


def check_claims(
    file: Any,  # noqa: ANN401  # a group of h5py or zarr
    path: Path,
    names: Iterable[str] | None = None,
) -> None:
    """Refuse arrays that are far larger than what is stored of them, and data that lie in other files.

    Args:
        file: An open file or store.
        path: Its path.
        names: Groups and arrays in it that are to be read; by default all.

    Raises:
        FileFormatError: The message names the array.
    """
    wanted = list(file) if names is None else [name for name in names if name in file]
    if isinstance(file, h5py.Group):
        seen: set[int] = set()
        for name in wanted:
            _check_hdf5(file, name, path, seen, {h5py.h5o.get_info(file.id).addr})
    else:
        sizes = [entry.stat().st_size for entry in path.rglob("*") if entry.is_file()]
        for name in wanted:
            _check_zarr(file[name], path, sizes)


def _check_hdf5(group: h5py.Group, name: str, path: Path, seen: set[int], above: set[int]) -> None:
    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        raise _foreign(name, path)
    node = group.get(name)
    # A link to nowhere matters only to who follows it.
    if node is None:
        return
    place = h5py.h5o.get_info(node.id).addr
    if place in above:
        raise FileFormatError(f"{path}: the link {node.name} goes round in a circle; write the file again")
    if place in seen:
        return
    seen.add(place)
    if isinstance(node, h5py.Dataset):
        if node.external or node.is_virtual:
            raise _foreign(node.name, path)
        # Of a tile all comes into memory, be it larger than the array.
        n_values = max(node.size, prod(node.chunks or ())) if node.size else 0
        _check_size(node.name, n_values * node.dtype.itemsize, node.id.get_storage_size(), path)
    elif isinstance(node, h5py.Group):
        for inside in node:
            _check_hdf5(node, inside, path, seen, above | {place})


def _foreign(name: str, path: Path) -> FileFormatError:
    return FileFormatError(
        f"{path}: {name} lies in another file, which is not followed; write everything into one file"
    )


def _check_zarr(node: Any, path: Path, sizes: list[int]) -> None:  # noqa: ANN401  # a group or array of zarr
    if not hasattr(node, "dtype"):
        for name in node:
            _check_zarr(node[name], path, sizes)
        return
    n_tiles = prod(-(-side // max(1, tile)) for side, tile in zip(node.shape, node.chunks, strict=True))
    if n_tiles > MOST_PACKING + 10 * len(sizes):
        raise FileFormatError(
            f"{path}: {node.name} claims {n_tiles:,} files where the folder has {len(sizes):,}; damaged "
            "or incomplete: write or copy it again"
        )
    size = max(prod(node.shape), prod(node.chunks)) * node.dtype.itemsize
    _check_size(node.name, size, sum(sizes), path)


def _check_size(name: str, claimed: int, stored: int, path: Path) -> None:
    if claimed > SLACK + MOST_PACKING * stored:
        raise FileFormatError(
            f"{path}: {name} claims {claimed / 2**20:,.0f} MiB, of which {stored / 2**20:,.3f} MiB are "
            "stored; the file is damaged or was never written to the end: write or copy it again"
        )
