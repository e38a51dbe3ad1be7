# SPDX-License-Identifier: BSD-3-Clause
"""What may come of one hostile input: an answer or a refusal, soon and within some memory."""

import re
import signal
import traceback
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pydgd.errors import PyDGDError

MOST_SECONDS = 5.0
"""Of the processor."""
MOST_MEMORY = 500 * 2**20
"""Bytes besides four times the input."""


class HangError(BaseException):
    """Too long; no `Exception`, so that nothing takes it for an error of a file."""


def fault(read: Callable[[], object], size: int) -> str | None:
    """Read a hostile input of `size` bytes; what went wrong, or None if it was answered or refused."""
    before = _start_peak()
    try:
        with _at_most(MOST_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except PyDGDError as error:
        found = _unclear(error)
        if found is not None:
            return found
    except OSError as error:
        # Of the system, which names the file; a library's own have no number.
        if error.errno is None:
            return _said(error)
    except HangError:
        return f"hang: more than {MOST_SECONDS:.0f} s"
    except Exception as error:
        return _said(error)
    peak = _status("VmHWM") - before
    return f"memory: {peak / 2**20:.0f} MiB" if peak > 4 * size + MOST_MEMORY else None


def _unclear(error: PyDGDError) -> str | None:
    text = str(error)
    return None if text.strip() and len(text) < 20_000 else f"unclear message of {len(text)} characters"


def _said(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/pydgd/" in frame.filename]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-2:]))
    return f"{type(error).__name__} at {where}: {str(error)[:100]!r}"


@contextmanager
def _at_most(seconds: float):
    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _start_peak() -> int:
    """Forget the largest memory so far; bytes that are taken now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
