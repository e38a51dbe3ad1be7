# SPDX-License-Identifier: BSD-3-Clause
"""The state of a run as bytes: all that its next step depends on, with a checksum."""

import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pydgd.errors import CheckpointError
from pydgd.training.best import Looks
from pydgd.training.result import EpochReport

if TYPE_CHECKING:
    from pydgd.training.engine import Run


def state_of(run: "Run") -> bytes:
    """A run's state as a safetensors file.

    Args:
        run: Not changed.
    """
    scalars, tensors = _parts_of(run)
    text = json.dumps(scalars)
    return save(tensors, {"run": text, "sha256": _digest(text, tensors)})


def put_into(run: "Run", path: Path) -> None:
    """Put a run into a state that is kept.

    Args:
        run: Of the same shape; changed in place.
        path: Holds what `state_of` gave.

    Raises:
        CheckpointError: If the file is missing or damaged, or of another run.
    """
    text, tensors = _read(path)
    try:
        _take(run, json.loads(text), tensors)
    except (AttributeError, LookupError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path} is damaged ({str(error)[:200]}); delete {path.parent}") from error


def _read(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Numbers as JSON, and tensors by name."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is missing or damaged ({error}); delete {path.parent} to begin anew"
        ) from error
    text = metadata.get("run", "")
    if metadata.get("sha256") != _digest(text, tensors):
        raise CheckpointError(f"{path} is damaged; delete {path.parent} to begin anew")
    return text, tensors


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    whole = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        whole.update(name.encode())
        whole.update(
            tensors[name].reshape(-1).view(torch.uint8).numpy().data if tensors[name].numel() else b""
        )
    return whole.hexdigest()


def _parts_of(run: "Run") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Numbers for JSON, and tensors by name."""
    tensors = {f"model.{name}": tensor for name, tensor in run.model.state_dict().items()}
    tensors["z"] = run.representations.z
    tensors["generator"], tensors["global_generator"] = run.epoch_state, torch.get_rng_state()
    for i, state in enumerate(run.best.states or ()):
        tensors |= {f"best.{i}.{name}": tensor for name, tensor in state.items()}
    moments = _moments_of(run)
    tensors |= {name: value for name, value in moments.items() if isinstance(value, Tensor)}
    scalars = {
        "epoch": run.epoch,
        "batch": run.batch,
        "sums": run.sums,
        "n_steps": run.n_steps,
        "n_skipped": run.n_skipped,
        "seconds": run.elapsed,
        "usual_length": run.optimisers.usual_length,
        "looks": asdict(run.best.looks),
        "reports": [list(report) for report in run.reports],
        "steps": {name: value for name, value in moments.items() if not isinstance(value, Tensor)},
    }
    return scalars, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _moments_of(run: "Run") -> dict[str, Any]:
    """What the optimisers remember, by optimiser, parameter and name."""
    return {
        f"optimiser.{i}.{j}.{name}": value
        for i, optimiser in enumerate(run.optimisers.both)
        for j, moments in optimiser.state_dict()["state"].items()
        for name, value in moments.items()
    }


def _take(run: "Run", scalars: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    run.model.load_state_dict(_under(tensors, "model."))
    with torch.no_grad():
        run.representations.z.copy_(tensors["z"])
    run.epoch_state = tensors["generator"]
    torch.set_rng_state(tensors["global_generator"])
    states = [_under(tensors, f"best.{i}.") for i in range(2)]
    run.best.states = states if states[0] else None
    run.best.looks = Looks(**scalars["looks"])
    _take_moments(run, {**tensors, **scalars["steps"]})
    run.epoch, run.batch, run.n_steps, run.n_skipped = (
        operator.index(scalars[name]) for name in ("epoch", "batch", "n_steps", "n_skipped")
    )
    run.seconds = float(scalars["seconds"])
    nll, prior_nll, n_seen = scalars["sums"]
    run.sums = (float(nll), float(prior_nll), operator.index(n_seen))
    run.optimisers.usual_length = scalars["usual_length"]
    run.reports = [EpochReport(*report) for report in scalars["reports"]]


def _take_moments(run: "Run", moments: Mapping[str, Any]) -> None:
    for i, optimiser in enumerate(run.optimisers.both):
        state: dict[int, dict[str, Any]] = {}
        for name, value in _under(moments, f"optimiser.{i}.").items():
            place, _, part = name.partition(".")
            state.setdefault(int(place), {})[part] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _under(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Entries whose names begin so, without it."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
