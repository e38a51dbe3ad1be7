# SPDX-License-Identifier: BSD-3-Clause
"""Let another process read a file of HDF5 or zarr first: what crashes or never ends there is refused here.

No check of ours sees what a damaged length or address inside such a file does to the library that follows it.
One process, started when first needed, is asked about every file; it costs a fifth of a second once, and some
milliseconds a file.
"""

import atexit
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from pydgd.errors import FileFormatError

_log = logging.getLogger(__name__)

_SCRIPT = Path(__file__).with_name("probe_process.py")
# Where the system counts a process's own time the script has limits of that; the clock's are for what waits.
_COUNTS_TIME = hasattr(signal, "setitimer")
_PATIENCE = 600.0 if _COUNTS_TIME else 60.0
# By what a process dies that a library has damaged; by others it is ended from outside.
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP")
_ENDLESS = "reading it does not come to an end"


def probe(path: Path) -> None:
    """Refuse a file at which its library crashes, runs without end, or takes memory out of all proportion.

    Args:
        path: A file of HDF5 or a folder of zarr. If there is none, or it is damaged in other ways, whoever
            reads it says so.

    Raises:
        FileFormatError: If it is such a file.
    """
    said = _PROBE.ask(path)
    if said is not None:
        raise FileFormatError(f"{path}: {said}; the file is damaged: copy, download or write it again")


def prepare() -> None:
    """Start the process without waiting for it, where a file may soon be read."""
    _PROBE.prepare()


class _LostError(Exception):
    """The process has ended without an answer; bears what that says of the file, or None."""


class _Probe:
    """The process, for one thread at a time and for none of another process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._begun: subprocess.Popen[str] | None = None
        self._can_start = True

    def prepare(self) -> None:
        """Start the process, unless it runs."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._process is None and self._begun is None and self._can_start:
                self._begun = _begin()

    def ask(self, path: Path) -> str | None:
        """What is wrong with a file, or None; also None where no process can be had."""
        with self._lock:
            try:
                return self._verdict(path)
            except BaseException:
                # Its answer would be taken for that of the next question.
                self.stop()
                raise

    def _verdict(self, path: Path) -> str | None:
        if self._process is not None:
            try:
                return _answer(self._process, path)
            except _LostError:
                # A file before this one may have damaged the process: the word of a fresh one counts.
                self.stop()
        begun, self._begun = self._begun, None
        self._process = _started(begun) if self._can_start else None
        self._can_start = self._process is not None
        if self._process is None:
            return None
        try:
            return _answer(self._process, path)
        except _LostError as error:
            self.stop()
            said: str | None = error.args[0]
            return said

    def stop(self) -> None:
        """End the process."""
        for process in filter(None, (self._process, self._begun)):
            _end(process)
        self._process = self._begun = None

    def forget(self) -> None:
        """What a forked child must do: the process is its parent's, and the lock perhaps held for good."""
        for process in filter(None, (self._process, self._begun)):
            _close(process)
            # It cannot be waited for here, and the destructor complains of what still runs.
            process.returncode = 0
        self.__init__()  # type: ignore[misc]  # as new


def _started(begun: "subprocess.Popen[str] | None") -> "subprocess.Popen[str] | None":
    """A process that waits for questions; None, with a warning, where none can be started."""
    try:
        return _ready(begun or _begin())
    except (OSError, ValueError, _LostError) as error:
        _log.warning(
            "no process can be started that tries h5ad and zarr files before they are read (%s): a file that "
            "is damaged inside may crash this one",
            error,
        )
        return None


def _begin() -> "subprocess.Popen[str]":
    if getattr(sys, "frozen", False) or not sys.executable:
        raise OSError("this program is frozen, or in another one")
    # One thread, and one arena of memory, so that the script's limit is about the file.
    frugal = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    zarr = {"ZARR_THREADING__MAX_WORKERS": "1", "ZARR_ASYNC__CONCURRENCY": "1"}
    process = subprocess.Popen(  # noqa: S603  # this Python, and a script of ours
        [sys.executable, "-I", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="ascii",
        env={**os.environ, **frugal, **zarr},
        # Else Ctrl-C would end it before it can ignore that, and no other one would be tried.
        process_group=0,
    )
    # -I leaves out what the environment adds to the places of packages. What is no text, Python skips, too.
    _say(process, [place for place in sys.path if isinstance(place, str)])
    return process


def _ready(process: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
    try:
        if _line(process) != "ready\n":
            raise _LostError(f"{sys.executable} does not run it")
    except BaseException:
        _end(process)
        raise
    return process


def _answer(process: "subprocess.Popen[str]", path: Path) -> str | None:
    # Its /dev/stdin is another one.
    line = _exchange(process, os.path.realpath(path))
    if line.endswith("\n"):
        said: str | None = json.loads(line)
        return said and f"reading it takes memory out of all proportion to its size ({said})"
    raise _LostError(_cause(process, path))


def _cause(process: "subprocess.Popen[str]", path: Path) -> str | None:
    """What the end of the process says of a file."""
    code = process.wait()
    if code == 0:
        # It has retired after the last file.
        return None
    if _COUNTS_TIME and code == -signal.SIGPROF:
        return _ENDLESS
    if code in {-getattr(signal, name, 0) for name in _CRASHES} - {0}:
        return f"its library crashes over it ({signal.Signals(-code).name})"
    if os.name == "nt" and code:
        # What was ended for its time has code 1, as `kill` gives it.
        return _ENDLESS if code == 1 else f"its library crashes over it (code {code:#x})"
    _log.warning("%s: the process that tries files first was ended (code %s); read without it", path, code)
    return None


def _exchange(process: "subprocess.Popen[str]", question: object) -> str:
    """Say something to the process, and its next line; what has no end of line if it ends before that."""
    _say(process, question)
    return _line(process)


def _say(process: "subprocess.Popen[str]", question: object) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    timer = threading.Timer(_PATIENCE, process.kill)
    timer.daemon = True
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    _close(process)
    process.wait()


def _close(process: "subprocess.Popen[str]") -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


_PROBE = _Probe()
atexit.register(_PROBE.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PROBE.forget)
