# SPDX-License-Identifier: BSD-3-Clause
"""How far a piece of work has come."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

SECONDS_BETWEEN_LINES = 5.0


@runtime_checkable
class Progress(Protocol):
    """What long work calls now and then."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` are done; `note` says how well."""


class SilentProgress:
    """Shows nothing."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Accept a report."""


class PlainProgress:
    """Lines for log files and pipes: the first report, one every few seconds, and the last.

    Args:
        say: Prints one line.
        what: The work, e.g. ``"training"``.
        unit: What is counted, e.g. ``"epochs"``.
        clock: Seconds that only ever grow.

    Example:
        >>> report = PlainProgress(print, "training", "epochs", clock=iter([0.0, 2.0]).__next__)
        >>> report(1, 5, "6.02 nats per count")
        training: 1 of 5 epochs, 6.02 nats per count; 2 s, about 8 s left
    """

    def __init__(
        self, say: Callable[[str], None], what: str, unit: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._what, self._unit, self._clock = say, what, unit, clock
        self._start, self._last = clock(), float("-inf")

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Print a line if it is time."""
        now = self._clock()
        if done < total and now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        spent = now - self._start
        left = f", about {duration(spent / done * (total - done))} left" if 0 < done < total else ""
        note = f", {note}" if note else ""
        self._say(f"{self._what}: {done:,} of {total:,} {self._unit}{note}; {duration(spent)}{left}")


class BarProgress:
    """A bar with the time left, which goes when the work is done.

    Args:
        console: On a terminal.
        what: The work.
    """

    def __init__(self, console: Console, what: str) -> None:
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task(what, total=None, note="")

    def __enter__(self) -> "BarProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, total=total, note=note)


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    Args:
        seconds: At least 0.

    Example:
        >>> duration(0.31), duration(42.4), duration(90.0), duration(7500.0)
        ('0.3 s', '42 s', '1 min 30 s', '2 h 5 min')
    """
    whole = round(seconds)
    if seconds < 1:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
