# SPDX-License-Identifier: BSD-3-Clause
"""A run on disk: whatever kills it, it goes on from its last kept state and ends with the same model."""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pydgd.errors import CheckpointError
from pydgd.files import atomic_write
from pydgd.training.ranks import ALONE, Ranks
from pydgd.training.run_state import put_into, state_of

if TYPE_CHECKING:
    from pydgd.training.engine import Run

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]  # the only other value

_log = logging.getLogger(__name__)

# Several processes ask the first one whether a state is due, and each question has to wait for the slowest.
STEPS_BETWEEN_QUESTIONS = 16

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
        put_into(run, self._path(latest["step"]))
        _log.info("resumed at epoch %d, step %d", run.epoch + 1, run.n_steps)
        return True

    def keep_if_due(self, run: "Run") -> None:
        """Keep the run's state if the last one is old enough.

        Raises:
            OutputError: If it cannot be written; the one before it stays.
        """
        if self._ranks.size > 1 and self.options.every and run.n_steps % STEPS_BETWEEN_QUESTIONS:
            return
        due = time.monotonic() - self._last >= self.options.every
        if self._ranks.agreed(wish=due):
            self.keep(run)

    def keep(self, run: "Run") -> None:
        """Keep the run's state.

        Raises:
            OutputError: If it cannot be written; the one before it stays.
        """
        content = state_of(run)
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


def _fingerprint(value: Any) -> str:  # noqa: ANN401  # whatever JSON or bytes can hold
    content = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]
