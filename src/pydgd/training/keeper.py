# SPDX-License-Identifier: BSD-3-Clause
"""A run on disk: whatever kills it, it goes on from its last kept state and ends with the same model."""

import hashlib
import json
import logging
import operator
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pydgd.errors import CheckpointError
from pydgd.files import atomic_write
from pydgd.training.best import Looks
from pydgd.training.ranks import ALONE, Ranks
from pydgd.training.result import EpochReport

if TYPE_CHECKING:
    from pydgd.training.engine import Run

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]  # the only other value

_log = logging.getLogger(__name__)

_LATEST = "latest.json"
_NOTED = {"step": int, "n_ranks": int, "facts": dict}
_NAME = re.compile(r"step-(\d+)\.rank-(\d+)\.safetensors")


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often the state of a run is kept.

    Attributes:
        folder: Made if it is not there; it holds nothing else.
        every: Seconds between two states; 0 keeps each step's, infinity none.
        resume: Whether to go on from a state that is there.
    """

    folder: Path
    every: float = 300.0
    resume: bool = False

    @property
    def has_state(self) -> bool:
        """Whether there is one to resume."""
        return (self.folder / _LATEST).exists()

    def delete(self) -> None:
        """Remove the folder, once the model is safe."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Keeper:
    """Writes the state of a run, and puts a run back into it.

    A state is one file per process, complete once ``latest.json`` names it; the one before it is deleted
    after that.

    Args:
        options: Where and how often.
        facts: What decides the run, such as options and names; a state of other facts is refused.
        ranks: Processes that train together.

    Raises:
        CheckpointError: If there is a state that is not to be resumed, or the processes see different ones.
    """

    @classmethod
    @contextmanager
    def opened(
        cls, options: Checkpoints, facts: Mapping[str, Any], *, ranks: Ranks = ALONE
    ) -> Iterator["Keeper"]:
        """A keeper that has its folder for itself; a run that ends before its first state leaves none.

        Args:
            options: As above.
            facts: As above.
            ranks: As above.

        Raises:
            CheckpointError: As above, or if the folder cannot be made, or another training has it.
        """
        try:
            options.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot make the folder {options.folder}: {error.strerror}") from error
        with _alone_in(options.folder) if ranks.index == 0 else nullcontext():
            try:
                yield cls(options, facts, ranks=ranks)
            finally:
                with suppress(OSError):  # it holds something
                    options.folder.rmdir()

    def __init__(self, options: Checkpoints, facts: Mapping[str, Any], *, ranks: Ranks = ALONE) -> None:
        self.options, self._ranks = options, ranks
        self._facts = {name: _fingerprint(value) for name, value in facts.items()}
        self._last = time.monotonic()
        latest = _latest(options.folder)
        if latest is not None and not options.resume:
            raise CheckpointError(
                f"{options.folder} holds the state of a training that was interrupted (step "
                f"{latest['step']:,}); resume it (resume=True; --resume), or delete the folder to begin anew"
            )
        steps = ranks.joined(torch.tensor([-1 if latest is None else int(latest["step"])]))
        if bool((steps != steps[0]).any()):
            raise CheckpointError(
                f"the processes of this training see different states in {options.folder}; write to a disk "
                "that all of them share"
            )
        if ranks.index == 0:
            for left_by_a_kill in options.folder.glob(".*.tmp*"):
                left_by_a_kill.unlink(missing_ok=True)

    def restore(self, run: "Run") -> bool:
        """Put the run into the last kept state; whether there was one.

        Raises:
            CheckpointError: If it is damaged, or of another run.
        """
        latest = _latest(self.options.folder)
        if latest is None:
            return False
        self._check(latest)
        path = self._path(latest["step"])
        metadata, tensors = _read(path)
        try:
            _put_into(run, json.loads(metadata["run"]), tensors)
        except (AttributeError, LookupError, ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise CheckpointError(
                f"{path} is damaged ({str(error)[:200]}); delete {self.options.folder}"
            ) from error
        _log.info("resumed at epoch %d, step %d", run.epoch + 1, run.n_steps)
        return True

    def keep_if_due(self, run: "Run") -> None:
        """Keep the run's state if the last one is old enough.

        Raises:
            OutputError: If it cannot be written; the one before it stays.
        """
        due = time.monotonic() - self._last >= self.options.every
        if self._ranks.agreed(wish=due):
            self.keep(run)

    def keep(self, run: "Run") -> None:
        """Keep the run's state.

        Raises:
            OutputError: If it cannot be written; the one before it stays.
        """
        scalars, tensors = _state_of(run)
        metadata = {"run": json.dumps(scalars)}
        metadata["sha256"] = _digest(metadata["run"], tensors)
        content = save(tensors, metadata)
        with atomic_write(self._path(run.n_steps)) as temporary:
            temporary.write_bytes(content)
        self._ranks.wait()
        if self._ranks.index == 0:
            note = {"step": run.n_steps, "n_ranks": self._ranks.size, "facts": self._facts}
            with atomic_write(self.options.folder / _LATEST) as temporary:
                temporary.write_text(json.dumps(note))
        self._ranks.wait()
        self._delete_older(run.n_steps)
        self._last = time.monotonic()

    def _path(self, step: int) -> Path:
        return self.options.folder / f"step-{step:09d}.rank-{self._ranks.index}.safetensors"

    def _delete_older(self, step: int) -> None:
        for path in self.options.folder.iterdir():
            found = _NAME.fullmatch(path.name)
            if found and int(found[1]) != step and int(found[2]) == self._ranks.index:
                path.unlink(missing_ok=True)

    def _check(self, latest: Mapping[str, Any]) -> None:
        if latest["n_ranks"] != self._ranks.size:
            raise CheckpointError(
                f"{self.options.folder} holds the state of {latest['n_ranks']} processes, this run has "
                f"{self._ranks.size}; start as many, or delete the folder"
            )
        known = latest["facts"]
        other = [name for name, value in self._facts.items() if known.get(name) != value]
        if other:
            raise CheckpointError(
                f"{self.options.folder} holds the state of another training: {', '.join(other)} differ; give "
                "the same counts and options, or delete the folder"
            )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder; the system lets it go with the process, however that ends."""
    with ExitStack() as stack:
        if fcntl is not None:
            place = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, place)
            if _is_taken(place):
                raise CheckpointError(
                    f"{folder} is in use by another training; wait for its end, or give this one another "
                    "output"
                )
        yield


def _is_taken(place: int) -> bool:
    """Lock an open folder, unless another has."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a network disk may know no locks
        return False
    return False


def _latest(folder: Path) -> dict[str, Any] | None:
    """What the folder says of its last complete state; None if it has none."""
    path = folder / _LATEST
    try:
        note = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); delete {folder} to begin anew") from error
    if not (isinstance(note, dict) and all(type(note.get(name)) is kind for name, kind in _NOTED.items())):
        raise CheckpointError(f"{path} is not what this version writes; delete {folder} to begin anew")
    return note


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is missing or damaged ({error}); delete {path.parent} to begin anew"
        ) from error
    if metadata.get("sha256") != _digest(metadata.get("run", ""), tensors):
        raise CheckpointError(f"{path} is damaged; delete {path.parent} to begin anew")
    return metadata, tensors


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    whole = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        whole.update(name.encode())
        whole.update(
            tensors[name].reshape(-1).view(torch.uint8).numpy().data if tensors[name].numel() else b""
        )
    return whole.hexdigest()


def _fingerprint(value: Any) -> str:  # noqa: ANN401  # whatever JSON or bytes can hold
    content = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _state_of(run: "Run") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Numbers for JSON, and tensors by name."""
    tensors = {f"model.{name}": tensor for name, tensor in run.model.state_dict().items()}
    tensors["z"] = run.representations.z
    tensors["generator"], tensors["global_generator"] = run.epoch_state, torch.get_rng_state()
    for i, state in enumerate(run.best.states or ()):
        tensors |= {f"best.{i}.{name}": tensor for name, tensor in state.items()}
    steps: dict[str, int] = {}
    for i, optimiser in enumerate(run.optimisers.both):
        for j, moments in optimiser.state_dict()["state"].items():
            for name, value in moments.items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser.{i}.{j}.{name}"] = value
                else:
                    steps[f"optimiser.{i}.{j}.{name}"] = value
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
        "steps": steps,
    }
    return scalars, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _put_into(run: "Run", scalars: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    run.model.load_state_dict(_under(tensors, "model."))
    with torch.no_grad():
        run.representations.z.copy_(tensors["z"])
    run.epoch_state = tensors["generator"]
    torch.set_rng_state(tensors["global_generator"])
    states = [_under(tensors, f"best.{i}.") for i in range(2)]
    run.best.states = states if states[0] else None
    run.best.looks = Looks(**scalars["looks"])
    for i, optimiser in enumerate(run.optimisers.both):
        moments = {**_under(tensors, f"optimiser.{i}."), **_under(scalars["steps"], f"optimiser.{i}.")}
        state: dict[int, dict[str, Any]] = {}
        for name, value in moments.items():
            place, _, part = name.partition(".")
            state.setdefault(int(place), {})[part] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    run.epoch, run.batch, run.n_steps, run.n_skipped = (
        operator.index(scalars[name]) for name in ("epoch", "batch", "n_steps", "n_skipped")
    )
    run.seconds = float(scalars["seconds"])
    nll, prior_nll, n_seen = scalars["sums"]
    run.sums = (float(nll), float(prior_nll), operator.index(n_seen))
    run.optimisers.usual_length = scalars["usual_length"]
    run.reports = [EpochReport(*report) for report in scalars["reports"]]


def _under(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Entries whose names begin so, without it."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
