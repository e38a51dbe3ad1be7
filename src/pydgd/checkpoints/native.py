# SPDX-License-Identifier: BSD-3-Clause
"""The model file ``*.dgd``: a safetensors file whose metadata says what the tensors are. It holds no code.

Tensors are ``decoder.*``, ``prior.*``, ``profile``, ``representations`` and, if enough samples were held
out, ``reference.*`` and ``calibration.*``; every other part is JSON in the metadata, one entry each,
with a SHA-256 of the whole file's content under ``sha256``. The content hash of a record is another one:
it leaves out how long the training took.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pydgd.checkpoints.rebuild import rebuilt
from pydgd.checkpoints.record import ModelRecord
from pydgd.errors import ModelFileError
from pydgd.files import atomic_write

# Version 2 may hold `reference.*` and `calibration.*`; files of version 1 are read as models without one.
FORMAT, FORMAT_VERSION = "pydgd-model", 2
_ENTRIES = ("genes", "scaling", "decoder", "prior", "samples", "labels", "history", "options", "provenance")


def save_model(record: ModelRecord, path: str | PathLike[str]) -> ModelRecord:
    """Write a model file; whatever stood at `path` is replaced once the new file is complete.

    Args:
        record: What to keep.
        path: Where; by custom the name ends in ``.dgd``.

    Returns:
        The record with its content hash.

    Raises:
        OutputError: If the file cannot be written.
    """
    tensors = _tensors(record)
    entries = _entries(record)
    texts = {name: json.dumps(value, allow_nan=False) for name, value in entries.items()}
    metadata = {"format": FORMAT, "format_version": str(FORMAT_VERSION), **texts}
    metadata["sha256"] = _checksum(metadata, tensors)
    # Not save_file: it hides a full disk in an error of its own.
    content = save(tensors, metadata)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return replace(record, content_hash=_content_hash(entries, tensors))


def with_content_hash(record: ModelRecord) -> ModelRecord:
    """The record with its content hash, the same for every training of the same data and options."""
    return replace(record, content_hash=_content_hash(_entries(record), _tensors(record)))


def load_model(path: str | PathLike[str]) -> ModelRecord:
    """Read a model file, check that it is whole, and rebuild the model; nothing in the file is executed.

    Args:
        path: A file that `save_model` wrote.

    Returns:
        What was kept.

    Raises:
        ModelFileError: If there is no such file, or it is not a model, damaged, or of a newer version.
    """
    path = Path(path)
    metadata, tensors = _read(path)
    _check_format(path, metadata)
    if _checksum(metadata, tensors) != metadata.get("sha256"):
        raise ModelFileError(f"{path} is damaged: its content does not match its SHA-256; get a fresh copy")
    try:
        entries = {name: json.loads(metadata[name]) for name in _ENTRIES}
        return rebuilt(entries, tensors, _content_hash(entries, tensors))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error)[:300]
        raise ModelFileError(
            f"{path} is whole but does not describe a model that this version can build ({reason}); "
            "train it again or report it"
        ) from error


def _tensors(record: ModelRecord) -> dict[str, Tensor]:
    tensors = {**record.model.state_dict(), "representations": record.representations}
    if record.reference is not None:
        tensors |= record.reference.tensors()
    if record.calibration is not None:
        tensors |= record.calibration.tensors()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _entries(record: ModelRecord) -> dict[str, Any]:
    """What the metadata hold, ready for JSON."""
    model = record.model
    return {
        "genes": model.genes,
        "scaling": model.scaling,
        "decoder": model.decoder.config(),
        "prior": {"name": model.prior.name, **model.prior.config()},
        "samples": record.sample_names,
        "labels": record.labels,
        "history": _finite_columns(record.history),
        "options": record.options,
        "provenance": record.provenance,
    }


def _finite_columns(history: pd.DataFrame) -> dict[str, list[int | float | None]]:
    """Columns of numbers; NaN and infinity, which JSON does not know, become None."""
    columns = history.to_dict(orient="list")
    return {
        str(name): [value if math.isfinite(value) else None for value in values]
        for name, values in columns.items()
    }


def _checksum(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the file's content: of every entry as it is written, and of every tensor."""
    return _digest({name: metadata[name] for name in metadata.keys() - {"sha256"}}, tensors)


def _content_hash(entries: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of what was trained: timing is left out, so that the same training gives the same hash."""
    history = {name: column for name, column in entries["history"].items() if name != "seconds"}
    return _digest({**entries, "history": history}, tensors)


def _digest(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of one canonical JSON text, in which each tensor stands as type, shape and SHA-256."""
    parts = {
        name: [str(tensor.dtype), list(tensor.shape), hashlib.sha256(_bytes(tensor)).hexdigest()]
        for name, tensor in tensors.items()
    }
    text = json.dumps([values, parts], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    # A view as bytes of no numbers is refused.
    return tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else memoryview(b"")


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        what = "is not an ordinary file" if path.exists() else "does not exist"
        raise ModelFileError(f"{path} {what}; give a model file, e.g. one written by `pydgd train`")
    try:
        with safe_open(path, framework="pt") as file:
            # Copies: the tensors are a view of the file, which may change once it is read.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return dict(file.metadata() or {}), tensors
    except SafetensorError as error:
        raise ModelFileError(
            f"{path} is not a PyDGD model or is damaged ({error}); expected a file written by `pydgd train`"
        ) from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error


def _check_format(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise ModelFileError(
            f"{path} is a safetensors file but not a PyDGD model; expected one written by `pydgd train`"
        )
    version = metadata.get("format_version", "")
    # Python refuses to read a number of more than 4300 digits.
    if not (version.isdecimal() and len(version) < 10 and 1 <= int(version) <= FORMAT_VERSION):
        raise ModelFileError(
            f"{path} has format version {version[:20] or 'none'}, this PyDGD reads up to {FORMAT_VERSION}; "
            "upgrade PyDGD (pip install -U pydgd)"
        )
