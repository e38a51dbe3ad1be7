# SPDX-License-Identifier: BSD-3-Clause
"""The model file ``*.dgd``: a safetensors file whose metadata says what the tensors are. It holds no code.

Tensors are ``decoder.*``, ``prior.*``, ``profile`` and ``representations``; every other part is JSON in the
metadata, one entry each, with a SHA-256 of the whole under ``sha256``.
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

from pydgd.checkpoints.record import ModelRecord
from pydgd.core.decoder import Decoder
from pydgd.core.latent import PRIORS
from pydgd.core.model import JointModel
from pydgd.errors import ModelFileError
from pydgd.files import atomic_write

FORMAT, FORMAT_VERSION = "pydgd-model", 1
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
    metadata, tensors = _contents(record)
    # Not save_file: it hides a full disk in an error of its own.
    content = save(tensors, metadata)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return replace(record, content_hash=metadata["sha256"])


def with_content_hash(record: ModelRecord) -> ModelRecord:
    """The record with the content hash that its file would have."""
    return replace(record, content_hash=_contents(record)[0]["sha256"])


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
    if _content_hash(metadata, tensors) != metadata.get("sha256"):
        raise ModelFileError(f"{path} is damaged: its content does not match its SHA-256; get a fresh copy")
    try:
        return _record(metadata, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"{path} is whole but does not describe a model that this version can build ({error}); "
            "train it again or report it"
        ) from error


def _contents(record: ModelRecord) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata, with the content hash, and tensors of the record's file."""
    tensors = {**record.model.state_dict(), "representations": record.representations}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "format_version": str(FORMAT_VERSION), **_entries(record)}
    metadata["sha256"] = _content_hash(metadata, tensors)
    return metadata, tensors


def _entries(record: ModelRecord) -> dict[str, str]:
    model = record.model
    values: dict[str, Any] = {
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
    return {name: json.dumps(values[name], allow_nan=False) for name in _ENTRIES}


def _finite_columns(history: pd.DataFrame) -> dict[str, list[int | float | None]]:
    """Columns of numbers; NaN and infinity, which JSON does not know, become None."""
    columns = history.to_dict(orient="list")
    return {
        str(name): [value if math.isfinite(value) else None for value in values]
        for name, values in columns.items()
    }


def _content_hash(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(metadata.keys() - {"sha256"}):
        digest.update(f"{name}={metadata[name]}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version or 'none'}, this PyDGD reads up to {FORMAT_VERSION}; "
            "upgrade PyDGD (pip install -U pydgd)"
        )


def _record(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> ModelRecord:
    entries = {name: json.loads(metadata[name]) for name in _ENTRIES}
    prior_options = dict(entries["prior"])
    prior = PRIORS[prior_options.pop("name")](**prior_options)
    state = dict(tensors)
    representations = state.pop("representations")
    # Torch draws a new layer's weights from the global generator, which loading must not touch.
    with torch.random.fork_rng(devices=[]):
        decoder = Decoder(**entries["decoder"])
    model = JointModel(entries["genes"], decoder, prior, entries["scaling"], state["profile"])
    model.load_state_dict(state)
    return ModelRecord(
        model=model.eval(),
        representations=representations,
        sample_names=tuple(entries["samples"]),
        labels=None if entries["labels"] is None else tuple(entries["labels"]),
        history=pd.DataFrame(entries["history"]).astype(float).astype({"epoch": int, "n_skipped": int}),
        options=entries["options"],
        provenance=entries["provenance"],
        content_hash=metadata["sha256"],
    )
