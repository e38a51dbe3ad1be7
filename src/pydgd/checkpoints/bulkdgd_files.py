# SPDX-License-Identifier: BSD-3-Clause
"""The files that make a model of bulkdgd, read without executing anything: tensors, genes, YAML."""

import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from pydgd.errors import ModelFileError

# Its shipped configurations are 1 to 2 kB.
_LARGEST_YAML = 1_000_000

# What torch and its unpickler raise at damaged files, besides their own errors.
_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def load_state(path: Path) -> dict[str, Any]:
    """A state dictionary that torch saved, such as ``dec.pth`` or ``gmm.pth``.

    Args:
        path: The file.

    Returns:
        Tensors, in memory, and plain values by name.

    Raises:
        ModelFileError: If there is no such file, it is damaged, holds more than tensors and plain values (its
            code is never run), or a tensor claims more numbers than the file has.
    """
    require_file(path, "dec.pth or gmm.pth")
    try:
        with warnings.catch_warnings():
            # Of damaged files torch also warns that their pickle looks unusual.
            warnings.simplefilter("ignore", UserWarning)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        raise ModelFileError(
            f"{path} is damaged, or holds more than tensors, which could be code and is not loaded "
            f"({type(error).__name__}); give the dec.pth or gmm.pth that bulkdgd wrote"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ModelFileError(
            f"{path} holds {type(state).__name__} instead of named tensors; give dec.pth or gmm.pth"
        )
    for name, value in state.items():
        if isinstance(value, Tensor):
            _check_tensor(path, name, value)
    return dict(state)


def _check_tensor(path: Path, name: str, value: Tensor) -> None:
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise ModelFileError(
            f"{path}: tensor {name} is not an ordinary one; give the file that bulkdgd wrote"
        )
    # A stride of 0 makes a terabyte of one number.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ModelFileError(
            f"{path}: tensor {name} claims {value.numel():,} numbers, more than are there; get a fresh copy"
        )


def read_gene_list(path: Path) -> tuple[str, ...]:
    """Names of genes, one in each line; blank lines and those that begin with ``#`` do not count.

    Args:
        path: The file.

    Returns:
        The names in the file's order.

    Raises:
        ModelFileError: If there is no such file, it is not UTF-8, or it holds no name or one twice.
    """
    lines = (line.strip() for line in _text(path, "genes.txt").splitlines())
    genes = tuple(line for line in lines if line and not line.startswith("#"))
    if not genes:
        raise ModelFileError(f"{path} holds no gene; give the list of the model's genes, one in each line")
    seen: set[str] = set()
    repeats = [name for name in genes if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if repeats:
        raise ModelFileError(
            f"{path}: {len(repeats):,} of {len(genes):,} genes are repeats (first: {repeats[0]!r}); give the "
            "list that the model was trained with"
        )
    return genes


def read_yaml(path: Path) -> dict[str, Any]:
    """A configuration; of YAML's tags only those of plain values are known.

    Args:
        path: The file.

    Returns:
        Its top-level mapping.

    Raises:
        ModelFileError: If there is no such file, or it is no YAML, larger than 1 MB, or no mapping.
    """
    try:
        values = yaml.safe_load(_text(path, "a model's configuration", most=_LARGEST_YAML))
    # ValueError: a date such as 2020-13-45.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"{path} is not YAML ({reason}); give a model's configuration of bulkdgd"
        ) from error
    if not isinstance(values, dict):
        raise ModelFileError(
            f"{path} holds {type(values).__name__} instead of names and values; give a model's configuration "
            "of bulkdgd, such as config_model.yaml"
        )
    return values


def require_file(path: Path, what: str) -> None:
    """Refuse a path at which there is no ordinary file.

    Args:
        path: Where it should be.
        what: What it should be, for the message.

    Raises:
        ModelFileError: If there is none.
    """
    if not path.is_file():
        found = "is not an ordinary file" if path.exists() else "does not exist"
        raise ModelFileError(f"{path} {found}; expected {what} of bulkdgd")


def _text(path: Path, what: str, *, most: int | None = None) -> str:
    require_file(path, what)
    if most is not None and path.stat().st_size > most:
        raise ModelFileError(
            f"{path} has {path.stat().st_size:,} bytes; expected {what} of bulkdgd, below {most:,}"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFileError(
            f"{path} is not UTF-8 text ({error.reason}); expected {what} of bulkdgd"
        ) from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
