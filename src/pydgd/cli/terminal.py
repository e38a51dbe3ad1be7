# SPDX-License-Identifier: BSD-3-Clause
"""Where commands say things: news and progress on stderr, results that were asked for on stdout."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from pydgd.cli.progress import BarProgress, PlainProgress, Progress, SilentProgress


class _ToConsole(logging.Handler):
    """Log records above a progress bar rather than through it, a repeated warning once."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console, self._warned = console, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        text = self.format(record)
        if record.levelno <= logging.INFO:
            _print(self._console, text)
        elif text not in self._warned:
            self._warned.add(text)
            _print(self._console, f"{record.levelname.lower()}: {text}")


@dataclass(frozen=True)
class Terminal:
    """The user's terminal, or the file that stands in for it.

    Attributes:
        news: Console on stderr.
        quiet: Whether to say nothing but errors.
    """

    news: Console
    quiet: bool

    @classmethod
    def open(cls, *, quiet: bool = False, verbose: bool = False, debug: bool = False) -> "Terminal":
        """Set up what a process says, logging included.

        Args:
            quiet: Only errors.
            verbose: Also what was decided along the way (logging level INFO).
            debug: Everything (DEBUG), and warnings of libraries.
        """
        news = Console(stderr=True, highlight=False, soft_wrap=True)
        level = (
            logging.DEBUG
            if debug
            else logging.INFO
            if verbose
            else logging.ERROR
            if quiet
            else logging.WARNING
        )
        log = logging.getLogger("pydgd")
        log.handlers = [_ToConsole(news)]
        log.propagate = False
        log.setLevel(level)
        if not debug:
            # Of libraries, about their own future: nothing that a user of commands could act on.
            warnings.simplefilter("ignore")
        return cls(news, quiet)

    def say(self, message: str) -> None:
        """Print news on stderr unless asked to be quiet.

        Args:
            message: Plain text.
        """
        if not self.quiet:
            _print(self.news, message)

    @contextmanager
    def progress(self, what: str, unit: str) -> Iterator[Progress]:
        """Show how far a piece of work has come: a bar on a terminal, else a line every few seconds.

        Args:
            what: The work, e.g. ``"training"``.
            unit: What is counted, e.g. ``"epochs"``.

        Yields:
            To be called with the number done, the number in all, and a note.
        """
        if self.quiet:
            yield SilentProgress()
        elif self.news.is_terminal:
            with BarProgress(self.news, what) as bar:
                yield bar
        else:
            yield PlainProgress(self.say, what, unit)


def _print(console: Console, message: str) -> None:
    console.print(message, markup=False)
