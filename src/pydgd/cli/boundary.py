# SPDX-License-Identifier: BSD-3-Clause
"""From the outside world to the commands and back: arguments in, exit code out."""

import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import typer

from pydgd.cli.app import app
from pydgd.cli.wording import in_options, options_of
from pydgd.errors import PyDGDError

OK, BUG, BAD_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

# Wrong options and missing arguments; typer names only this child of them, and has moved the rest around.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `pydgd`.

    Errors that PyDGD raises on purpose become one message on stderr. Other exceptions are bugs: a short
    message, and the traceback with ``--debug``.

    Args:
        arguments: What the user typed after `pydgd`; by default the process's own arguments.

    Returns:
        0 if all went well, 1 for a bug or too little memory, 2 for bad input, 130 after Ctrl-C, 143 after a
        request to terminate.

    Example:
        >>> main(["--version"])
        pydgd 0...
        0
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    _clean_up_when_terminated()
    try:
        # The code of a typer.Exit, or what the command returned: nothing. Ctrl-C is an Exit or an Abort,
        # by typer's version.
        code = int(app(args=arguments, prog_name="pydgd", standalone_mode=False) or OK)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except _UsageError as error:
        error.show()  # type: ignore[attr-defined]  # an exception of typer's, see above
        return BAD_INPUT
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exception(error)
        message, code = _message_and_code(error, arguments)
        _say(f"error: {message}")
    if code == INTERRUPTED:
        _say("interrupted; no file was left half-written")
    return code


def _message_and_code(error: Exception, arguments: Sequence[str]) -> tuple[str, int]:
    if isinstance(error, PyDGDError):
        return in_options(str(error), options_of(app, arguments)), BAD_INPUT
    if isinstance(error, OSError):
        # Of the system, with its file name: no permission, too many open files and the like.
        return str(error), BAD_INPUT
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); give fewer samples at a time, or a machine with more", BUG
    advice = "This is a bug in PyDGD. Please run it again with --debug and report what it prints."
    return f"unexpected {type(error).__name__}: {error}\n{advice}", BUG


def _say(message: str) -> None:
    typer.secho(message, fg="red", err=True)


def _clean_up_when_terminated() -> None:
    """Make SIGTERM, as a batch system sends it, unwind like Ctrl-C, so that temporary files go."""

    def stop(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  # Python's signature
        sys.exit(TERMINATED)

    try:
        signal.signal(signal.SIGTERM, stop)
    except ValueError:
        # Called from a thread that is not the main one; such a host handles its signals itself.
        return
