# SPDX-License-Identifier: BSD-3-Clause
"""A fitted embedding as a file: safetensors whose metadata says what the arrays are. It holds no code."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pydgd.errors import ConfigError, ModelFileError
from pydgd.files import atomic_write
from pydgd.tl.embedding_input import Fill

FORMAT, FORMAT_VERSION = "pydgd-embedding", 1
_COORDINATES = "coordinates"


@dataclass(frozen=True, eq=False)
class KeptEmbedding:
    """What a file holds of an embedding; see `pydgd.tl.embedding.Embedding`."""

    method: str
    columns: tuple[str, ...]
    options: dict[str, Any]
    fill: Fill
    arrays: dict[str, NDArray[Any]]
    coordinates: pd.DataFrame


def write_embedding(kept: KeptEmbedding, path: str | PathLike[str]) -> None:
    """Write a file; whatever stood at `path` is replaced once the new file is complete.

    Args:
        kept: What to keep.
        path: Where.

    Raises:
        ConfigError: If an option is no number, text or list of such.
        OutputError: If the file cannot be written.
    """
    facts = {
        "method": kept.method,
        "columns": kept.columns,
        "options": kept.options,
        "fill": asdict(kept.fill),
        "samples": kept.coordinates.index.tolist(),
        "axes": kept.coordinates.columns.tolist(),
    }
    try:
        text = json.dumps(facts)
    except TypeError as error:
        raise ConfigError(f"an option of {kept.method} cannot be kept in a file: {error}") from error
    arrays = {**kept.arrays, _COORDINATES: kept.coordinates.to_numpy(dtype=float)}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"format": FORMAT, "format_version": str(FORMAT_VERSION), "facts": text}
    content = save(arrays, {**metadata, "sha256": _checksum(metadata, arrays)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def read_embedding(path: str | PathLike[str], *, methods: Collection[str]) -> KeptEmbedding:
    """Read a file and check that it is whole.

    Args:
        path: What `write_embedding` wrote.
        methods: Those that arrays can describe.

    Raises:
        ModelFileError: If there is no such file, or it is damaged or something else.
    """
    path = Path(path)
    metadata, arrays = _read(path)
    if metadata.get("format") != FORMAT or metadata.get("format_version") != str(FORMAT_VERSION):
        raise ModelFileError(
            f"{path} is not an embedding of this version of PyDGD; give what Embedding.save or `pydgd embed "
            "--save` wrote"
        )
    if metadata.pop("sha256", "") != _checksum(metadata, arrays):
        raise ModelFileError(f"{path} is damaged: its content does not match its SHA-256; get a fresh copy")
    try:
        facts = json.loads(metadata["facts"])
        coordinates = pd.DataFrame(
            arrays.pop(_COORDINATES), index=pd.Index(facts["samples"]), columns=pd.Index(facts["axes"])
        )
        if facts["method"] not in methods:
            raise ValueError(f"unknown method {facts['method']!r}")
        return KeptEmbedding(
            method=facts["method"],
            columns=tuple(facts["columns"]),
            options=dict(facts["options"]),
            fill=Fill(**facts["fill"]),
            arrays=arrays,
            coordinates=coordinates,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} does not describe an embedding ({error}); fit it again") from error


def _read(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    if not path.is_file():
        what = "is not an ordinary file" if path.exists() else "does not exist"
        raise ModelFileError(f"{path} {what}; give what Embedding.save or `pydgd embed --save` wrote")
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
            return dict(file.metadata() or {}), arrays
    except SafetensorError as error:
        raise ModelFileError(
            f"{path} is not an embedding or is damaged ({error}); expected what `pydgd embed --save` wrote"
        ) from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error


def _checksum(metadata: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
